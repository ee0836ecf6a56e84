"""The paper's U-net baseline: the same network with the softmax loss in place of the multi-scale loss (Section 3.2)."""

from typing import Any

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, nn

from segan_nnunet.errors import InputError
from segan_nnunet.objective import LabelSpace
from segan_nnunet.objective.nested_softmax import nested_cross_entropy, nesting_order, region_logits
from segan_nnunet.training.plugin_trainer import PluginTrainer


class NestedSoftmax(nn.Module):
    """A network whose R outputs are class logits, answering in logits of R nested regions.

    nnU-Net, which applies the sigmoid to them, then sees for each region the summed probability of its classes.

    Args:
        network: maps (B, C, *S) to class logits (B, R, *S); the background's logit is 0.
        num_regions: R.
    """

    nesting_rank: Tensor

    def __init__(self, network: nn.Module, num_regions: int) -> None:
        super().__init__()
        self.network = network
        # Where each of the dataset's regions stands in the nesting, 0 the outermost. A buffer, because nnU-Net builds
        # the network for prediction without knowing the labels: so it travels with the weights.
        self.register_buffer("nesting_rank", torch.arange(num_regions))

    @property
    def decoder(self) -> nn.Module:
        """The network's decoder, on which nnU-Net switches deep supervision."""
        return self.network.get_submodule("decoder")

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, *S) to logits of the regions (B, R, *S), in the dataset's order."""
        return region_logits(self.network(x))[:, self.nesting_rank]


class NestedSoftmaxLoss(nn.Module):
    """Softmax cross-entropy over the exclusive classes of nested regions, in the form that nnU-Net calls.

    Args:
        label_space: the dataset's regions.
        order: indices of the regions, the outermost first.
    """

    def __init__(self, label_space: LabelSpace, order: list[int]) -> None:
        super().__init__()
        self.label_space = label_space
        self.order = order

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss for region logits (B, R, *S) and nnU-Net's target."""
        masks = self.label_space.masks(target)
        return nested_cross_entropy(output[:, self.order], masks[:, self.order], self.label_space.valid(target))


class SoftmaxTrainer(PluginTrainer):
    """Trains the planned network with softmax cross-entropy over the exclusive classes of the dataset's nested regions.

    Same optimiser, schedule, batches and evaluation as the adversarial trainer: only the objective differs.
    """

    @staticmethod
    def build_network_architecture(
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """Wrap the planned network so that it answers in regions."""
        network = PluginTrainer.build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        return NestedSoftmax(network, num_output_channels)

    def region_order(self) -> list[int]:
        """Indices of the dataset's regions, the outermost first.

        Raises:
            InputError: the dataset has no regions, or regions that do not nest.
        """
        if not self.label_manager.has_regions:
            raise InputError(
                f"{type(self).__name__} trains nested regions, but dataset.json of "
                f"{self.plans_manager.dataset_name} has plain labels; nnU-Net's own trainers do softmax on those"
            )
        regions = [
            region if isinstance(region, tuple) else (region,) for region in self.label_manager.foreground_regions
        ]
        names = [name for name in self.label_manager.label_dict if name not in ("background", "ignore")]
        return nesting_order(regions, names)

    def initialize(self) -> None:
        """Check the regions before anything is built."""
        self.region_order()
        super().initialize()

    def _build_loss(self) -> NestedSoftmaxLoss:
        return NestedSoftmaxLoss(LabelSpace.of(self.label_manager), self.region_order())

    def on_train_start(self) -> None:
        """Tell the network how the regions nest, also where pretrained weights brought another dataset's nesting."""
        super().on_train_start()
        order = self.region_order()
        self.bare(self.network).get_buffer("nesting_rank").copy_(
            torch.tensor([order.index(region) for region in range(len(order))])
        )

    def train_step(self, batch: dict) -> dict[str, Any]:
        """nnU-Net's step, in the precision of this device."""
        with self.autocast():
            return super().train_step(batch)

    def validation_step(self, batch: dict) -> dict[str, Any]:
        """nnU-Net's validation step, in the precision of this device."""
        with self.autocast():
            return super().validation_step(batch)
