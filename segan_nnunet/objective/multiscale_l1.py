"""The multi-scale L1 distance between a predicted and a true segmentation (Section 2.1).

B batch, C image channels, R regions, L layers of the critic, *S space (H, W or D, H, W).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

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


def mask_image(image: Tensor, mask: Tensor) -> Tensor:
    """x∘y of Eq. 2: the image (B, C, *S) multiplied voxel by voxel by one label map (B, 1, *S)."""
    return image * mask


def mask_image_jointly(image: Tensor, masks: Tensor) -> Tensor:
    """x∘y of every label map, concatenated (S3-1C of Section 3.1): (B, C, *S) and (B, R, *S) -> (B, R·C, *S)."""
    return (image[:, None] * masks[:, :, None]).flatten(1, 2)  # (B, R, C, *S) -> (B, R·C, *S)


def layer_distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The terms of Eq. 3: the mean absolute difference of each layer's features, float32 of shape (L,).

    Their mean is ℓ_mae. Range [0, inf); 0 if and only if the features are equal. Sums are taken in float32 also under
    autocast: a mean over 10^7 features has gradients that float16 cannot hold. Differences are taken in the features'
    own precision, and by a norm rather than `l1_loss`: that spares the backward pass copies of all features in
    float32, and in another memory format than theirs (docs/performance.md).
    """
    differences = [a - b for a, b in zip(features, other, strict=True)]
    return torch.stack([torch.linalg.vector_norm(d, 1, dtype=torch.float32) / d.numel() for d in differences])
