"""The two players' objective (Eq. 2): min over S, max over C, of the multi-scale L1 distance.

B batch, C image channels, R regions, L layers of the critic, *S space.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from segan_nnunet.networks.critic import PAPER_LAYERS, Critic
from segan_nnunet.objective.label_space import LabelSpace
from segan_nnunet.objective.multiscale_l1 import (
    layer_distances,
    mask_image,
    mask_image_jointly,
    rescale_intensities,
)


class RegionCritic(nn.Module):
    """A critic that looks at the image masked by one region.

    Args:
        critic: of masked images (B, C, *S).
        region: index of the region.
    """

    def __init__(self, critic: Critic, region: int) -> None:
        super().__init__()
        self.critic = critic
        self.region = region

    def forward(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Distances of Eq. 3 between the two masked images, (1, L); arguments as `Critics`."""
        masks = (maps[:, self.region : self.region + 1] for maps in (predicted, truth))
        return layer_distances(*(self.critic(mask_image(image, mask)) for mask in masks))[None]


class AllRegionsCritic(nn.Module):
    """A critic that looks at the masked images of all regions, concatenated.

    Args:
        critic: of (B, R·C, *S).
    """

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Distances of Eq. 3 between the masked images, (1, L); arguments as `Critics`."""
        return layer_distances(*(self.critic(mask_image_jointly(image, maps)) for maps in (predicted, truth)))[None]


class Critics(nn.Module):
    """The segmentor's opponents.

    A plain list; one grouped convolution for all of them was measured and was slower. A trainer may take them one after
    the other, and then needs the memory of one of them only.

    Args:
        critics: each maps (image, S(x), y) to distances (1, L).
    """

    def __init__(self, critics: Iterable[nn.Module]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Distances of Eq. 3 between the two masked images, float32 of shape (number of critics, L).

        Their mean is the loss: averaged over the layers (Eq. 3), over the batch (Eq. 2) and over the critics (Section
        3.1). S minimises it, C maximises it. Prediction and truth go through a critic one after the other, so that
        batch norm does not mix them.

        Args:
            image: (B, C, *S), as `rescale_intensities` returns it.
            predicted: S(x), (B, R, *S) in [0, 1].
            truth: y, (B, R, *S) of 0 and 1.
        """
        return torch.cat([critic(image, predicted, truth) for critic in self.critics])


class CriticPerRegion(Critics):
    """S3-3C of Section 3.1: one critic per region, each looking at the image masked by its region.

    Args:
        num_regions: R.
        image_channels: C.
        features_per_stage: feature maps of each critic's blocks.
        conv_op: nn.Conv2d or nn.Conv3d.
        layers: the layers of Eq. 3, L of them.
    """

    def __init__(
        self,
        num_regions: int,
        image_channels: int,
        features_per_stage: Sequence[int],
        conv_op: type[nn.Module],
        layers: Sequence[int] = PAPER_LAYERS,
    ) -> None:
        super().__init__(
            RegionCritic(Critic(image_channels, features_per_stage, conv_op, layers), region)
            for region in range(num_regions)
        )


class JointCritic(Critics):
    """S3-1C of Section 3.1: one critic for all regions. Args: as CriticPerRegion."""

    def __init__(
        self,
        num_regions: int,
        image_channels: int,
        features_per_stage: Sequence[int],
        conv_op: type[nn.Module],
        layers: Sequence[int] = PAPER_LAYERS,
    ) -> None:
        super().__init__([AllRegionsCritic(Critic(num_regions * image_channels, features_per_stage, conv_op, layers))])


@torch.no_grad()
def clamp_weights(module: nn.Module, limit: float, batch_norm: bool = False) -> None:
    """Clamp the convolutions' weights and biases to [-limit, limit], as after each critic step (Section 2.4).

    The authors' code clamps the scales of batch norm too. With them at 0.01 the features of the deeper layers are
    worth a hundredth of the masked image's, only layer 0 is left of the multi-scale loss, and S often learns to
    predict nothing at all (README, "Differences from the paper"). Batch norm itself keeps the features bounded.

    Args:
        module: the critic.
        limit: 0.01 in the paper, 0.05 in the authors' code.
        batch_norm: clamp the scales and shifts of batch norm too, as the authors' code does.
    """
    for layer in module.modules():
        if batch_norm or not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for parameter in layer.parameters(recurse=False):
                parameter.clamp_(-limit, limit)


class SegmentorLoss:
    """The segmentor's loss in the form that nnU-Net calls, `loss(output, target)`, for its validation.

    The loss also needs the image, which nnU-Net does not pass on: it is shown beforehand, with `looking_at`.

    Args:
        critics: map (image, S(x), y) to distances.
        label_space: the dataset's label maps.
        further_loss: maps (S(x), y) to a scalar that is added; the paper has none.
    """

    def __init__(
        self,
        critics: nn.Module,
        label_space: LabelSpace,
        further_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.critics = critics
        self.label_space = label_space
        self.further_loss = further_loss
        self.image: Tensor | None = None

    @contextmanager
    def looking_at(self, image: Tensor) -> Iterator[None]:
        """Show the image (B, C, *S) on which the loss will be called."""
        self.image = image
        try:
            yield
        finally:
            self.image = None

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return S's loss for logits and a target of nnU-Net, a scalar."""
        if self.image is None:
            raise RuntimeError("the segmentor's loss depends on the image: call it inside `looking_at(image)`")
        predicted, truth = self.label_space.label_maps(output, target)
        distance = self.critics(rescale_intensities(self.image), predicted, truth).mean()
        return distance if self.further_loss is None else distance + self.further_loss(predicted, truth)
