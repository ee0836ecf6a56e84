"""What the paper's trainers share, whatever their objective."""

from contextlib import nullcontext

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler

from segan_nnunet.errors import InputError
from segan_nnunet.training.resumable_trainer import ResumableTrainer


class PluginTrainer(ResumableTrainer):
    """nnU-Net's trainer with the paper's optimiser, in the precision that suits the device.

    Attributes:
        initial_lr: the segmentor's learning rate; 2e-5 in the paper (Section 2.3).
        save_every: epochs between two checkpoints from which `--c` continues.
    """

    initial_lr = 2e-5
    save_every = 1
    enable_deep_supervision = False  # the multi-scale loss and the paper's softmax look at one output of full size

    def initialize(self) -> None:
        """Refuse what these trainers cannot do, and build what nnU-Net builds.

        Raises:
            InputError: the configuration is the second stage of a cascade.
        """
        if self.is_cascaded:
            raise InputError(
                f"{self.configuration_name} is the second stage of a cascade, which {type(self).__name__} does not "
                "train: its critics would look at the first stage's answer as if it were an image. Train 3d_fullres "
                "or 3d_lowres, or the cascade with nnU-Net's own trainers."
            )
        if self.autocast_dtype is not torch.float16:
            self.grad_scaler = None  # only float16 gradients underflow
        super().initialize()

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """The segmentor's optimiser."""
        return self.optimizer_for(self.network, self.initial_lr)

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Leave a network without deep supervision alone: it may have no such switch, and needs none."""
        if self.enable_deep_supervision:
            super().set_deep_supervision_enabled(enabled)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does, in the precision of the training where the device is a CPU (nnU-Net: float32)."""
        with self.autocast() if self.device.type == "cpu" else nullcontext():
            super().perform_actual_validation(save_probabilities)
