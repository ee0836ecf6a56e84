"""The objective of the authors' released code. It differs from the paper's."""

from collections.abc import Sequence

import torch
from torch import Tensor

from segan_nnunet.objective.multiscale_l1 import absolute_sum

SMOOTHING = 1e-5  # two empty maps agree: their Dice is 1, not 0/0


def concatenated_distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """Return the terms of one mean over the features of all layers, concatenated and scaled.

    The term of layer i is L · s_i Σ|f_i − f'_i| / Σ_j N_j. N_j is the number of features of layer j. The scale s_i is 1
    for the masked image and the first block, 2 for the blocks between, and 4 for the last block. The mean over the L
    terms is the loss of the released code.

    Args:
        features, other: as for `layer_distances`.

    Returns:
        float32 of shape (L,).
    """
    total = sum(a.numel() for a in features)
    scales = [1.0 if layer < 2 else 2.0 for layer in range(len(features))]
    if len(features) > 2:
        scales[-1] = 4.0
    return torch.stack(
        [
            absolute_sum(a - b) * (scale * len(features) / total)
            for a, b, scale in zip(features, other, scales, strict=True)
        ]
    )


def soft_dice_distance(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return 1 − 2 Σ p·y / (Σ p² + Σ y²), summed over voxels, averaged over samples and label maps; in [0, 1].

    The released code adds this Dice term, with squares as in V-net, to S's loss. Sums are in float32.

    Args:
        predicted: S(x), (B, R, *S) in [0, 1].
        truth: y, (B, R, *S) of 0 and 1.
    """
    p, y = predicted.float().flatten(2), truth.float().flatten(2)  # (B, R, voxels)
    overlap, extent = (p * y).sum(-1), (p * p).sum(-1) + (y * y).sum(-1)
    return (1 - (2 * overlap + SMOOTHING) / (extent + SMOOTHING)).mean()
