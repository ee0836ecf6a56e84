"""The settings that SegAN and its baselines share (Section 2.3): the rate 2e-5, one output of full size.

The paper's optimiser is RMSProp. The default is torch's Adam without first moment: RMSProp with bias correction.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from torch import Tensor, nn

from segan_nnunet.training.run.trainer import ResumableTrainer


class PlayerOptimizer(ResumableTrainer):
    """The optimiser of S, of C, or of both.

    Attributes:
        optimizer_class, optimizer_settings: the paper uses RMSProp. Adam without its first moment is RMSProp with bias
            correction. Without the correction the first step is ten times the rate, which saturates sigmoids.
        lr_decay_exponent: exponent of nnU-Net's polynomial decay; 0 is a constant rate, as in the paper.
    """

    optimizer_class: ClassVar[type[torch.optim.Optimizer]] = torch.optim.Adam
    optimizer_settings: ClassVar[dict[str, Any]] = {"betas": (0.0, 0.99)}  # 0.99: the default of torch's RMSprop
    lr_decay_exponent = 0.0

    def optimizer_for(self, module: nn.Module, initial_lr: float) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """Return the optimiser and the learning rate schedule of one player."""
        # a group, because torch refuses an empty list: a critic of layer 0 alone has no weights
        group: list[dict[str, Any]] = [{"params": list(module.parameters())}]
        optimizer = self.optimizer_class(group, lr=initial_lr, **self.optimizer_settings)  # type: ignore[call-arg]  # torch's base class has no lr
        return optimizer, PolyLRScheduler(optimizer, initial_lr, self.num_epochs, self.lr_decay_exponent)


class PaperTrainer(PlayerOptimizer):
    """nnU-Net's trainer and loss with the paper's optimiser, one output, and the precision that suits the device.

    Attributes:
        initial_lr: the segmentor's learning rate; 2e-5 in the paper (Section 2.3).
        save_every: epochs between two checkpoints from which `--c` continues.
    """

    initial_lr = 2e-5
    save_every = 1
    enable_deep_supervision = False  # the multi-scale loss and the paper's softmax look at one output of full size
    trains_cascades = False

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """Return S's optimiser. Keep nnU-Net's gradient scaler only for float16, whose gradients underflow."""
        if self.autocast_dtype is not torch.float16:
            self.grad_scaler = None
        return self.optimizer_for(self.network, self.initial_lr)

    def _build_loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return nnU-Net's loss in float32 at any precision of the network, because it sums over the whole batch."""
        return InFloat32(super()._build_loss())

    def _do_i_compile(self) -> bool:
        """Compile as nnU-Net does, except in DDP with batch norm: torch breaks the graph at synchronised batch norm."""
        return super()._do_i_compile() and not (self.is_ddp and has_batch_norm(self.network))

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Do nothing for a network without deep supervision: it may have no such switch."""
        if self.enable_deep_supervision:
            super().set_deep_supervision_enabled(enabled)

    def train_step(self, batch: dict) -> dict[str, Any]:
        """Take nnU-Net's step in the precision of this device."""
        with self.autocast():
            return {**super().train_step(batch), "cases": list(batch.get("keys", ()))}

    def validation_step(self, batch: dict) -> dict[str, Any]:
        """Take nnU-Net's validation step in the precision of this device."""
        with self.autocast():
            return super().validation_step(batch)


class InFloat32(nn.Module):
    """A loss that takes logits in float32."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        return self.loss(output.float(), target)


def has_batch_norm(network: nn.Module) -> bool:
    """Return whether a network normalises over the batch."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
