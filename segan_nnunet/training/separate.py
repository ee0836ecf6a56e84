"""S1-1C of Section 3.1: one segmentor and one critic per region."""

from collections.abc import Sequence

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, nn

from segan_nnunet.training.segan import AdversarialTrainer


class SeparateTrainer(AdversarialTrainer):
    """Trains one segmentor per region, each with one output and against the critic of its region."""

    @staticmethod
    def build_network_architecture(
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """Build the planned network once per output."""
        return SeparateSegmentors(
            [
                AdversarialTrainer.build_network_architecture(
                    plans_manager, configuration_manager, num_input_channels, 1, enable_deep_supervision
                )
                for _ in range(num_output_channels)
            ]
        )


class SeparateSegmentors(nn.Module):
    """Networks with one output each, whose outputs are concatenated.

    They share no weights, so no region's gradient reaches another region's segmentor. With plain labels nnU-Net applies
    a softmax over all outputs, which couples them again.

    Shapes: (B, C, *S) -> logits (B, number of segmentors, *S).

    Args:
        segmentors: one network per output map, each (B, C, *S) -> (B, 1, *S).
    """

    def __init__(self, segmentors: Sequence[nn.Module]) -> None:
        super().__init__()
        self.segmentors = nn.ModuleList(segmentors)

    def planned_networks(self) -> list[nn.Module]:
        """Return the networks that nnU-Net planned, which take pretrained weights."""
        return list(self.segmentors)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, *S) to the logits of all label maps."""
        return torch.cat([segmentor(x) for segmentor in self.segmentors], dim=1)
