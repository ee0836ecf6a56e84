"""The multi-scale L1 distance between a predicted and a true segmentation: Eq. 2 and Eq. 3 (Section 2.1).

    L      = 1/N Σ_n ℓ_mae( f_C(x_n ∘ S(x_n)), f_C(x_n ∘ y_n) )      (Eq. 2)
    ℓ_mae  = 1/L Σ_i ‖ f_C^i(x_n ∘ S(x_n)) − f_C^i(x_n ∘ y_n) ‖_1     (Eq. 3; "mae": ‖·‖_1 is a mean over the features)

B batch, C image channels, R regions, G regions of one critic, K critics, L layers of a critic, *S space (H, W or
D, H, W).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.nn.functional import all_reduce  # with a gradient, unlike torch.distributed's

from segan_nnunet.networks.critic import PAPER_LAYERS

LOWEST_INTENSITY = 0.1

Distances = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]


def rescale_intensities(image: Tensor, lowest: float = LOWEST_INTENSITY) -> Tensor:
    """Map each channel of each sample linearly onto [lowest, 1]. The critic sees this image.

    The paper takes its images from a compact range "such as [0, 1]" (footnote 1). Where an image is 0, a mask has no
    effect (x∘p = 0 for every p), and S learns nothing. nnU-Net's background is the darkest value of a channel unless it
    normalises within a mask. So the range here starts above 0.

    Args:
        image: (B, C, *S), any range. A constant channel becomes `lowest`.
        lowest: value of the darkest voxel, 0 <= lowest < 1. The paper's example is 0, with the disadvantage above.
    """
    dims = tuple(range(2, image.ndim))
    image = image.float()
    darkest = image.amin(dims, keepdim=True)
    extent = (image.amax(dims, keepdim=True) - darkest).clamp_min(torch.finfo(torch.float32).tiny)
    return (image - darkest) * ((1 - lowest) / extent) + lowest


def mask_image(image: Tensor, masks: Tensor) -> Tensor:
    """Return x∘y of Eq. 2: the image (B, C, *S), multiplied voxel by voxel by a label map (B, 1, *S).

    Several label maps (B, G, *S) give as many masked images, concatenated (S3-1C of Section 3.1): (B, G·C, *S).
    """
    return (image[:, None] * masks[:, :, None]).flatten(1, 2)  # (B, G, C, *S) -> (B, G·C, *S)


def layer_distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """Return the terms of Eq. 3 as published: mean |f_i − f'_i| of each layer, float32 of shape (L,).

    Their mean is ℓ_mae. Range [0, inf); 0 if and only if the features are equal. A layer with small features has
    little weight, and a critic that enlarges its features enlarges its distance.

    Args:
        features, other: f_C of two masked images, one tensor per layer.
    """
    return torch.stack([absolute_sum(a - b) / a.numel() for a, b in zip(features, other, strict=True)])


def relative_distances(features: Sequence[Tensor], other: Sequence[Tensor], divisor_gradient: float = 1.0) -> Tensor:
    """Return the terms of Eq. 3, each relative to the features that it compares: r = Σ|f_i − f'_i| / Σ(|f_i| + |f'_i|).

    The range of each term, and of their mean, is [0, 1] for any weights of the critic, since |a − b| <= |a| + |b|. The
    distance is 0 if and only if the features are equal, and 1 if no feature is active in both images. Layers with small
    and with large features have the same weight, and a critic gains nothing by enlarging its features. For a label map
    alone, without image and critic, this is the soft Dice distance 1 − 2Σpy / Σ(p + y).

    The sums are over the whole batch, and in DDP over the batches of all processes. Most slices of a brain contain no
    tumour. The distance of such a slice alone is 1, however little S predicts in it.

    Args:
        features, other: as for `layer_distances`.
        divisor_gradient: share of the gradient that passes through the divisor. At 1 a missed voxel weighs
            (1 + r) / (1 − r) times as much as a false one. At 0 they weigh the same. The value does not change.

    Returns:
        float32 of shape (L,).
    """
    pairs = list(zip(features, other, strict=True))
    differences = torch.stack([absolute_sum(a - b) for a, b in pairs])
    sizes = torch.stack([absolute_sum(a) + absolute_sum(b) for a, b in pairs])
    if dist.is_available() and dist.is_initialized():
        differences, sizes = all_reduce(torch.stack([differences, sizes]))
    if divisor_gradient != 1:
        sizes = sizes.detach() + divisor_gradient * (sizes - sizes.detach())
    return differences / sizes.clamp_min(torch.finfo(torch.float32).tiny)


class AbsoluteSum(torch.autograd.Function):
    """Σ|v|, a scalar in float32, with the gradient sign(v) in the precision of v.

    The sum is in float32 under autocast too: a mean over 10^7 features has gradients that float16 cannot hold. The
    differences stay in the precision of the features. torch's own norms and losses copy all features in float32, some
    of them in another memory format too (docs/performance.md).
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Return Σ|v|."""
        ctx.save_for_backward(values)
        return values.abs().sum(dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of the sum, times the gradient that arrives, a scalar."""
        (values,) = ctx.saved_tensors
        return values.sign().mul_(gradient)


def absolute_sum(values: Tensor) -> Tensor:
    """Return Σ|v|, a scalar in float32."""
    return AbsoluteSum.apply(values)


class CriticDistance(nn.Module):
    """ℓ_mae of one critic. It sees the image masked by one region (S3-3C), or by all regions, concatenated (S3-1C).

    Args:
        critic: maps masked images (B, G·C, *S) to the features f_C of L layers.
        distances: maps the features of two masked images to the terms of Eq. 3.
    """

    def __init__(self, critic: nn.Module, distances: Distances = relative_distances) -> None:
        super().__init__()
        self.critic = critic
        self.distances = distances

    def forward(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the terms of Eq. 3, float32 of shape (L,).

        Prediction and truth pass the critic one after the other, so each has its own batch statistics.

        Args:
            image: (B, C, *S), as `rescale_intensities` returns it.
            predicted: S(x) of this critic's regions, (B, G, *S) in [0, 1].
            truth: y of these regions, (B, G, *S) of 0 and 1.
        """
        features = (self.critic(mask_image(image, maps)) for maps in (predicted, truth))
        return self.distances(*features).float()  # a distance of the user may have the features' precision


class Critics(nn.Module):
    """C: the critics of all regions.

    They are a plain list, because one grouped convolution for all critics was slower. This class selects the regions,
    so that torch.compile makes one graph for all critics of one shape.

    Args:
        critics: modules that map (image, S(x), y) of their regions to distances (L,), such as `CriticDistance`.
        region_groups: the indices of each critic's regions, by the critic's name.
        layers: the numbers of the L layers, for the log.
    """

    def __init__(
        self,
        critics: Iterable[nn.Module],
        region_groups: Mapping[str, Sequence[int]],
        layers: Sequence[int] = PAPER_LAYERS,
    ) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)
        self.region_groups = {name: list(group) for name, group in region_groups.items()}
        self.layers = tuple(layers)
        if len(self.critics) != len(self.region_groups):
            raise ValueError(f"{len(self.critics)} critics need as many groups of regions, not {self.region_groups}")

    def forward(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the terms of Eq. 3 of all critics, float32 of shape (K, L).

        Their mean is L of Eq. 2, averaged over the layers, the batch and the critics (Section 3.1). Validation calls
        this method. A training step calls the critics one after the other.

        Args:
            image: (B, C, *S), as `rescale_intensities` returns it.
            predicted: S(x), (B, R, *S) in [0, 1].
            truth: y, (B, R, *S) of 0 and 1.
        """
        maps = zip(self.critics, self.views(predicted), self.views(truth), strict=True)
        return torch.stack([critic(image, *of_its_regions) for critic, *of_its_regions in maps])

    def views(self, maps: Tensor) -> list[Tensor]:
        """Return the label maps of each critic's regions, (B, G, *S). They are views if the regions are adjacent."""
        return [
            maps[:, group[0] : group[-1] + 1] if group == list(range(group[0], group[-1] + 1)) else maps[:, group]
            for group in self.region_groups.values()
        ]
