"""S1-1C of Section 3.1: a segmentor and a critic for each region, trained side by side."""

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from segan_nnunet.networks import SeparateSegmentors
from segan_nnunet.training.adversarial_trainer import AdversarialTrainer


class SeparateTrainer(AdversarialTrainer):
    """Trains one planned network of a single output per region, each against the critic of its region."""

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
