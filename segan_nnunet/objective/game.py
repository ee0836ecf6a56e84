"""The two players' objective (Eq. 2): min over S, max over C, of the multi-scale L1 distance.

B batch, C image channels, R regions, L layers of the critic, *S space.
"""

from collections.abc import Callable, Iterator, Sequence
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


class CriticPerRegion(nn.Module):
    """S3-3C of Section 3.1: one critic per region, each looking at the image masked by its region.

    A plain list of critics; one grouped convolution for all of them was measured and was slower.

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
        super().__init__()
        self.critics = nn.ModuleList(
            Critic(image_channels, features_per_stage, conv_op, layers) for _ in range(num_regions)
        )

    def forward(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Distances of Eq. 3 between the two masked images, float32 of shape (R, L).

        Their mean is the loss: averaged over the layers (Eq. 3), over the batch (Eq. 2) and over the critics (Section
        3.1). S minimises it, C maximises it. Prediction and truth go through the critic one after the other, so that
        batch norm does not mix them.

        Args:
            image: (B, C, *S), as `rescale_intensities` returns it.
            predicted: S(x), (B, R, *S) in [0, 1].
            truth: y, (B, R, *S) of 0 and 1.
        """
        return torch.stack(
            [
                layer_distances(
                    critic(mask_image(image, predicted[:, region : region + 1])),
                    critic(mask_image(image, truth[:, region : region + 1])),
                )
                for region, critic in enumerate(self.critics)
            ]
        )


class JointCritic(nn.Module):
    """S3-1C of Section 3.1: one critic that looks at the masked images of all regions, concatenated.

    Args: as CriticPerRegion.
    """

    def __init__(
        self,
        num_regions: int,
        image_channels: int,
        features_per_stage: Sequence[int],
        conv_op: type[nn.Module],
        layers: Sequence[int] = PAPER_LAYERS,
    ) -> None:
        super().__init__()
        self.critic = Critic(num_regions * image_channels, features_per_stage, conv_op, layers)

    def forward(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Distances of Eq. 3, float32 of shape (1, L): there is one critic. Otherwise as CriticPerRegion."""
        masked = (mask_image_jointly(image, maps) for maps in (predicted, truth))
        return layer_distances(*(self.critic(images) for images in masked))[None]


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


SegmentorObjective = Callable[[Tensor, Tensor, Tensor], Tensor]


def mean_distance(distances: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
    """The paper's objective of S: Eq. 2, and no other term."""
    return distances.mean()


class SegmentorLoss:
    """The segmentor's loss in the form that nnU-Net calls, `loss(output, target)`, for its validation.

    The loss also needs the image, which nnU-Net does not pass on: it is shown beforehand, with `looking_at`.

    Args:
        critic: maps (image, S(x), y) to distances.
        label_space: the dataset's label maps.
        objective: maps (distances, S(x), y) to the scalar that S minimises.
    """

    def __init__(
        self, critic: nn.Module, label_space: LabelSpace, objective: SegmentorObjective = mean_distance
    ) -> None:
        self.critic = critic
        self.label_space = label_space
        self.objective = objective
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
        return self.objective(self.critic(rescale_intensities(self.image), predicted, truth), predicted, truth)
