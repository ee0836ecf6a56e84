"""The paper's U-net baseline: the same network with the softmax loss in place of the multi-scale loss (Section 3.2)."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, nn

from segan_nnunet.objective import LabelSpace
from segan_nnunet.objective.nested_softmax import (
    class_cross_entropy,
    label_cross_entropy,
    nested_cross_entropy,
    nesting_order,
    region_logits,
)
from segan_nnunet.training.recipe import PaperTrainer


class NestedSoftmax(nn.Module):
    """A network with R class logits that returns the logits of R nested regions.

    nnU-Net applies the sigmoid to them. The result is the summed probability of the classes of each region. With plain
    labels nnU-Net applies the softmax, and this class does not change the outputs. In training the network returns the
    class logits, because they give the loss an exact gradient.

    Args:
        network: maps (B, C, *S) to class logits (B, R, *S); the background's logit is 0.
        num_outputs: R.
    """

    nesting_rank: Tensor

    def __init__(self, network: nn.Module, num_outputs: int) -> None:
        super().__init__()
        self.network = network
        # The rank of each region in the nesting, 0 for the outermost; all -1 with plain labels. It is a buffer, so
        # checkpoints contain it: nnU-Net does not pass the labels when it builds the network for prediction. The flag
        # `nested` holds the same fact on the CPU: reading the buffer in the forward pass would wait for the GPU.
        self.register_buffer("nesting_rank", torch.arange(num_outputs))
        self.nested = True
        self.register_load_state_dict_post_hook(lambda module, _: module.read_rank())
        # save the weights under the planned network's keys, so that any trainer can start from them
        self.register_state_dict_post_hook(rename_to_planned)
        self.register_load_state_dict_pre_hook(rename_from_planned)

    def planned_networks(self) -> list[nn.Module]:
        """Return the networks that nnU-Net planned, which take pretrained weights."""
        return [self.network]

    def set_order(self, order: Sequence[int] | None) -> None:
        """Set the order of the regions, the outermost first; None for plain labels."""
        regions = range(len(self.nesting_rank))
        ranks = [-1 if order is None else order.index(region) for region in regions]
        self.nesting_rank.copy_(torch.tensor(ranks))
        self.read_rank()

    def read_rank(self) -> None:
        """Set the flag `nested` from the buffer."""
        self.nested = bool((self.nesting_rank >= 0).all())

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, *S) to logits (B, R, *S).

        In training these are class logits, the class of the outermost region first. In evaluation they are region
        logits in the dataset's order, or label logits.
        """
        logits = self.network(x)
        return region_logits(logits)[:, self.nesting_rank] if self.nested and not self.training else logits


def rename_to_planned(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: Any) -> None:
    """Rename the weights of a state dict to the keys of the planned network."""
    for key in [key for key in state if key.startswith(f"{prefix}network.")]:
        state[prefix + key.removeprefix(f"{prefix}network.")] = state.pop(key)


def rename_from_planned(module: nn.Module, state: dict[str, Tensor], prefix: str, *others: Any) -> None:
    """Rename the weights of a state dict to the keys of the wrapper. Early checkpoints already use these keys."""
    planned = [key for key in state if key.startswith(prefix) and key != f"{prefix}nesting_rank"]
    if not all(key.startswith(f"{prefix}network.") for key in planned):
        for key in planned:
            state[f"{prefix}network.{key.removeprefix(prefix)}"] = state.pop(key)


class SoftmaxLoss(nn.Module):
    """Softmax cross-entropy over plain labels, or over the exclusive classes of nested regions, as nnU-Net calls it.

    Args:
        label_space: the dataset's label maps.
        order: indices of the regions, the outermost first; None for plain labels.
        network: in training mode it returns class logits, else region logits.
    """

    def __init__(self, label_space: LabelSpace, order: Sequence[int] | None, network: nn.Module) -> None:
        super().__init__()
        self.label_space = label_space
        self.order = order
        self.returns_classes = lambda: network.training  # a function: a module here would become a submodule

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss for logits (B, R, *S) and nnU-Net's target."""
        if self.order is None:
            return label_cross_entropy(output, target, self.label_space.ignore_label)
        masks, valid = self.label_space.masks(target)[:, self.order], self.label_space.valid(target)
        if self.returns_classes():
            return class_cross_entropy(output, masks, valid)
        return nested_cross_entropy(output[:, self.order], masks, valid)


class SoftmaxTrainer(PaperTrainer):
    """Trains the planned network with softmax cross-entropy: over the labels, or the classes of nested regions.

    Optimiser, schedule, batches and evaluation are those of the adversarial trainer. Only the objective differs.
    """

    @staticmethod
    def build_network_architecture(
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """Wrap the planned network so that it returns regions."""
        network = PaperTrainer.build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        return NestedSoftmax(network, num_output_channels)

    def region_order(self) -> list[int] | None:
        """Return the indices of the dataset's regions, the outermost first; None with plain labels.

        Raises:
            InputError: the regions do not nest.
        """
        if not self.label_manager.has_regions:
            return None
        regions = [
            region if isinstance(region, tuple) else (region,) for region in self.label_manager.foreground_regions
        ]
        return nesting_order(regions, self.map_names())

    def objective(self) -> dict[str, Any]:
        """Add the nesting order of the regions."""
        return {**super().objective(), "region_order": self.region_order()}

    def _build_loss(self) -> SoftmaxLoss:
        return SoftmaxLoss(LabelSpace.of(self.label_manager), self.region_order(), self.network)

    def on_train_start(self) -> None:
        """Set the nesting order in the network. Pretrained weights may contain the order of another dataset."""
        super().on_train_start()
        cast(NestedSoftmax, self.bare(self.network)).set_order(self.region_order())
