"""The two players' objective (Eq. 2): min over S, max over C, of the multi-scale L1 distance.

B batch, C image channels, R regions, G regions of one critic, K critics, L layers of a critic, *S space.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from segan_nnunet.networks.critic import PAPER_LAYERS
from segan_nnunet.objective.label_space import LabelSpace
from segan_nnunet.objective.multiscale_l1 import mask_image, relative_distances, rescale_intensities

Distances = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]


class MaskedCritic(nn.Module):
    """A critic that looks at the image masked by its regions: one of them (S3-3C), or all, concatenated (S3-1C).

    Args:
        critic: maps masked images (B, G·C, *S) to features of L layers.
        distances: the terms of Eq. 3, (L,), from the features of two masked images.
    """

    def __init__(self, critic: nn.Module, distances: Distances = relative_distances) -> None:
        super().__init__()
        self.critic = critic
        self.distances = distances

    def forward(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Distances of Eq. 3 between the two masked images, float32 of shape (L,).

        Prediction and truth go through the critic one after the other, so that batch norm does not mix them: with
        statistics of both together training collapses.

        Args:
            image: (B, C, *S), as `rescale_intensities` returns it.
            predicted: S(x) of this critic's regions, (B, G, *S) in [0, 1].
            truth: y of these regions, (B, G, *S) of 0 and 1.
        """
        return self.distances(*(self.critic(mask_image(image, maps)) for maps in (predicted, truth)))


class Critics(nn.Module):
    """The segmentor's opponents, each with a name and the regions that it looks at.

    A plain list; one grouped convolution for all of them was measured and was slower. A trainer may take them one after
    the other, and then needs the memory of one of them only. The regions are cut out here, not in the critics, so that
    critics of one shape are one graph to torch.compile, however many there are.

    Args:
        critics: each maps (image, S(x), y) of its regions to distances (L,); a `MaskedCritic`, or one's own.
        region_groups: by the critics' names, in their order, the indices of each one's regions: one each in S3-3C, all
            in S3-1C (Section 3.1).
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
        """Distances of Eq. 3 between the two masked images, float32 of shape (K, L).

        Their mean is the loss: averaged over the layers (Eq. 3), over the batch (Eq. 2) and over the critics (Section
        3.1). S minimises it, C maximises it.

        Args:
            image: (B, C, *S), as `rescale_intensities` returns it.
            predicted: S(x), (B, R, *S) in [0, 1].
            truth: y, (B, R, *S) of 0 and 1.
        """
        maps = zip(self.critics, self.views(predicted), self.views(truth), strict=True)
        return torch.stack([critic(image, *of_its_regions) for critic, *of_its_regions in maps])

    def views(self, maps: Tensor) -> list[Tensor]:
        """The label maps (B, R, *S) of each critic's regions, (B, G, *S); views where the regions are neighbours."""
        return [
            maps[:, group[0] : group[-1] + 1] if group == list(range(group[0], group[-1] + 1)) else maps[:, group]
            for group in self.region_groups.values()
        ]


@torch.no_grad()
def clamp_weights(module: nn.Module, limit: float, batch_norm_limit: float) -> None:
    """Put all parameters of the critics into a compact set, as after each critic step (Section 2.4).

    Theorem 1 rests on that set: only there is the critic's Lipschitz constant bounded. Convolutions take the paper's
    "e.g." 0.01. Batch norm's scales and shifts are parameters too. Left free they grow as long as the critic trains,
    and with them the loss; at 0.01, as in the authors' code, the deeper layers' features are a hundredth of the masked
    image's. At 1 the scale is what it starts from, and may only fall.

    Args:
        module: the critics.
        limit: of convolutions' kernels and biases: 0.01 in the paper, 0.05 in the authors' code.
        batch_norm_limit: of batch norm's scales and shifts.
    """
    for layer in module.modules():
        is_batch_norm = isinstance(layer, nn.modules.batchnorm._BatchNorm)
        for parameter in layer.parameters(recurse=False):
            bound = batch_norm_limit if is_batch_norm else limit
            parameter.clamp_(-bound, bound)


def layer_gradients(distances: Tensor, maps: Tensor) -> Tensor:
    """Gradients at S(x) of each layer's distance, (L, B, R, *S): what each layer tells the segmentor.

    Args:
        distances: of one critic, (L,); their graph stays.
        maps: S(x), (B, R, *S).
    """
    return torch.stack([torch.autograd.grad(distance, maps, retain_graph=True)[0] for distance in distances])


def gradient_shares(gradients: Tensor) -> Tensor:
    """Share of each layer in what the segmentor is told: its gradient's L2 norm by the sum of all layers' norms, (L,).

    Args:
        gradients: at S(x), (L, B, R, *S), of all critics together.
    """
    norms = gradients.flatten(1).norm(dim=1, dtype=torch.float32)
    return norms / norms.sum().clamp_min(torch.finfo(torch.float32).tiny)


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
