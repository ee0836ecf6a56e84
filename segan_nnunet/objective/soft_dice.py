"""The Dice term that the authors' released code adds to the segmentor's loss; the paper has none."""

from torch import Tensor

SMOOTHING = 1e-5  # 0/0 where a map is empty in both counts as agreement


def soft_dice_distance(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 − 2 Σ p·y / (Σ p² + Σ y²), summed over the voxels, averaged over samples and label maps; in [0, 1].

    The squares are those of the released code (and of V-net). Sums are taken in float32.

    Args:
        predicted: S(x), (B, R, *S) in [0, 1].
        truth: y, (B, R, *S) of 0 and 1.
    """
    p, y = predicted.float().flatten(2), truth.float().flatten(2)  # (B, R, voxels)
    overlap, extent = (p * y).sum(-1), (p * p).sum(-1) + (y * y).sum(-1)
    return (1 - (2 * overlap + SMOOTHING) / (extent + SMOOTHING)).mean()
