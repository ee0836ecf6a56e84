"""What the paper's trainers share, whatever their objective."""

from collections.abc import Callable
from typing import Any

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from torch import Tensor, nn

from segan_nnunet.errors import InputError
from segan_nnunet.training.resumable_trainer import ResumableTrainer


class InFloat32(nn.Module):
    """A loss of logits in float32."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        return self.loss(output.float(), target)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a network looks at the batch as a whole."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


class PluginTrainer(ResumableTrainer):
    """nnU-Net's trainer and loss with the paper's optimiser, one output, and the precision that suits the device.

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

    def _build_loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """nnU-Net's loss, in float32 whatever the precision of the network: it has sums over the whole batch."""
        return InFloat32(super()._build_loss())

    def _do_i_compile(self) -> bool:
        """Compile as nnU-Net does; not in DDP where there is batch norm, which nnU-Net's own networks do not have.

        It is synchronised there, at which torch breaks graphs.
        """
        return super()._do_i_compile() and not (self.is_ddp and has_batch_norm(self.network))

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Leave a network without deep supervision alone: it may have no such switch, and needs none."""
        if self.enable_deep_supervision:
            super().set_deep_supervision_enabled(enabled)

    def train_step(self, batch: dict) -> dict[str, Any]:
        """nnU-Net's step, in the precision of this device."""
        with self.autocast():
            return {**super().train_step(batch), "cases": list(batch.get("keys", ()))}

    def validation_step(self, batch: dict) -> dict[str, Any]:
        """nnU-Net's validation step, in the precision of this device."""
        with self.autocast():
            return super().validation_step(batch)
