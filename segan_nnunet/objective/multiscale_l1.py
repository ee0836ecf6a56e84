"""The multi-scale L1 distance between a predicted and a true segmentation (Section 2.1).

B batch, C image channels, R regions, L layers of the critic, *S space (H, W or D, H, W).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.nn.functional import all_reduce  # with a gradient, unlike torch.distributed's

LOWEST_INTENSITY = 0.1


def rescale_intensities(image: Tensor, lowest: float = LOWEST_INTENSITY) -> Tensor:
    """Map each channel of each sample linearly onto [lowest, 1]: what the critic sees as the image.

    The paper takes its images from a compact range "such as [0, 1]" (footnote 1). Where an image is 0 a mask has no
    effect, x∘p = 0 for every p, and S learns nothing there. So the range here starts above 0: nnU-Net's background is
    the darkest value of a channel whenever it normalises without a mask.

    Args:
        image: (B, C, *S), any range. A constant channel becomes `lowest`.
        lowest: the value of the darkest voxel, 0 < lowest < 1 (0: the paper's example, with the fault above).
    """
    dims = tuple(range(2, image.ndim))
    image = image.float()
    darkest = image.amin(dims, keepdim=True)
    extent = (image.amax(dims, keepdim=True) - darkest).clamp_min(torch.finfo(torch.float32).tiny)
    return (image - darkest) * ((1 - lowest) / extent) + lowest


def mask_image(image: Tensor, masks: Tensor) -> Tensor:
    """x∘y of Eq. 2: the image (B, C, *S) multiplied voxel by voxel by a label map (B, 1, *S).

    Several label maps (B, G, *S) make as many masked images, concatenated (S3-1C of Section 3.1): (B, G·C, *S).
    """
    return (image[:, None] * masks[:, :, None]).flatten(1, 2)  # (B, G, C, *S) -> (B, G·C, *S)


def layer_distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The terms of Eq. 3 as they stand, with means for norms: mean |f_i − f'_i| of each layer, float32 of shape (L,).

    Their mean is ℓ_mae. Range [0, inf); 0 if and only if the features are equal. A layer whose features are small
    hardly counts, and a critic that enlarges its features enlarges its distance.

    Args:
        features, other: f_C of two masked images, one tensor per layer.
    """
    return torch.stack([absolute_sum(a - b) / a.numel() for a, b in zip(features, other, strict=True)])


def relative_distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The terms of Eq. 3, each relative to the features that it compares: Σ|f_i − f'_i| / Σ(|f_i| + |f'_i|).

    Range [0, 1], whatever the critic's weights are, since |a − b| <= |a| + |b|: so is the loss, their mean. 0 if and
    only if the features are equal; 1 if no feature is felt in both images. A layer of small features counts as much as
    any other, and a critic that merely enlarges its features gains nothing: the game is about what they tell apart.
    Of a label map alone, without image and critic, this is the soft Dice distance 1 − 2Σpy / Σ(p + y).

    The sums are over the whole batch, in DDP over that of all processes: in most slices of a brain there is no tumour,
    and such a slice by itself has a distance of 1 however little S finds in it.

    Args: as `layer_distances`. Returns: float32 of shape (L,).
    """
    pairs = list(zip(features, other, strict=True))
    differences = torch.stack([absolute_sum(a - b) for a, b in pairs])
    sizes = torch.stack([absolute_sum(a) + absolute_sum(b) for a, b in pairs])
    if dist.is_available() and dist.is_initialized():
        differences, sizes = all_reduce(torch.stack([differences, sizes]))
    return differences / sizes.clamp_min(torch.finfo(torch.float32).tiny)


def concatenated_distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The terms as in the authors' released code: one mean over the features of all layers, concatenated and scaled.

    Layer i then weighs by its number of features N_i and by a scale of 1 for the masked image and the first block, 2
    for those between, 4 for the last: s_i Σ|f_i − f'_i| / Σ_j N_j. These are multiplied by L, so that their mean, the
    loss, is the code's.

    Args: as `layer_distances`. Returns: float32 of shape (L,).
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


def absolute_sum(values: Tensor) -> Tensor:
    """Σ|v|, a scalar in float32.

    The sum is taken in float32 also under autocast: a mean over 10^7 features has gradients that float16 cannot hold.
    Differences stay in the features' own precision, and a norm is taken rather than `l1_loss`: that spares the
    backward pass copies of all features in float32, and in another memory format than theirs (docs/performance.md).
    """
    return torch.linalg.vector_norm(values, 1, dtype=torch.float32)
