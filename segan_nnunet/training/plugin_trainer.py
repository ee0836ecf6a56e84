"""What all our trainers share, whatever their objective."""

import io
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

from segan_nnunet.errors import InputError
from segan_nnunet.training import checkpoint as checkpoints
from segan_nnunet.training.progress import epoch_line


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the precision in which a device trains fastest without harm, or None for float32 throughout.

    CUDA: bfloat16 where it is native, else float16 as nnU-Net has it. CPU: bfloat16 where the processor has
    instructions for it. mps: float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        # get_capabilities is newer than the oldest torch that nnU-Net accepts
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
            return torch.bfloat16
    return None


class PluginTrainer(nnUNetTrainer):
    """nnU-Net's trainer with the paper's optimiser, settings as class attributes, and checkpoints that survive a kill.

    A variant is a subclass with other attributes. nnU-Net sets most settings on the instance, in its __init__; here
    a class attribute of the same name wins, so that a variant needs no __init__ of its own.

    Attributes:
        initial_lr: learning rate; 2e-5 in the paper (Section 2.3).
        lr_decay_exponent: exponent of nnU-Net's polynomial decay; 0 is a constant rate, as in the paper.
        save_every: epochs between two checkpoints from which `--c` continues.
    """

    SETTINGS: ClassVar[tuple[str, ...]] = (
        "initial_lr",
        "num_epochs",
        "num_iterations_per_epoch",
        "num_val_iterations_per_epoch",
        "oversample_foreground_percent",
        "save_every",
        "enable_deep_supervision",
    )

    initial_lr = 2e-5
    lr_decay_exponent = 0.0
    save_every = 1
    enable_deep_supervision = False  # the multi-scale loss and the paper's softmax look at one output of full size

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  the signature must be exactly nnU-Net's
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        for name in self.SETTINGS:
            if hasattr(type(self), name):
                setattr(self, name, getattr(type(self), name))
        self.autocast_dtype = autocast_dtype(self.device)
        if self.autocast_dtype is not torch.float16:
            self.grad_scaler = None  # only float16 gradients underflow

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision in which this device trains."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """RMSProp for the network (Section 2.3)."""
        return self.optimizer_for(self.network)

    def optimizer_for(self, module: nn.Module) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """The optimiser and the learning rate schedule of one player."""
        optimizer = torch.optim.RMSprop(module.parameters(), lr=self.initial_lr)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs, self.lr_decay_exponent)

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Keep deep supervision as this trainer has it: nnU-Net turns it on again after a validation."""
        super().set_deep_supervision_enabled(enabled and self.enable_deep_supervision)

    def on_epoch_end(self) -> None:
        """Report the epoch in one line, after nnU-Net has logged and saved it."""
        super().on_epoch_end()
        self.print_to_log_file(epoch_line(self.logger.get_checkpoint(), self.num_epochs))

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does, in the precision of the training where the device is a CPU (nnU-Net: float32)."""
        with self.autocast() if self.device.type == "cpu" else nullcontext():
            super().perform_actual_validation(save_probabilities)

    def plugin_state(self) -> dict[str, Any]:
        """What nnU-Net's checkpoint lacks and `--c` needs."""
        return {"random_states": checkpoints.random_states()}

    def load_plugin_state(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `plugin_state` saved."""
        checkpoints.restore_random_states(checkpoint["random_states"])

    def save_checkpoint(self, filename: str) -> None:
        """Write nnU-Net's checkpoint with our additions, atomically."""
        buffer = io.BytesIO()
        super().save_checkpoint(buffer)
        if buffer.tell() == 0:  # checkpoints are disabled, or another process of DDP writes them
            return
        checkpoints.save_atomically({**checkpoints.read_buffer(buffer), **self.plugin_state()}, Path(filename))

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """Restore a training of the same trainer from a file; nnU-Net's own method reads no other form either.

        Raises:
            InputError: the file is missing, or lacks what this trainer needs to go on.
        """
        path = Path(filename_or_checkpoint)
        if not path.is_file():
            raise InputError(f"there is no checkpoint {path}; train without --c first")
        super().load_checkpoint(str(path))
        # weights_only=False for the reason given in read_buffer
        checkpoint = torch.load(path, map_location=self.device, weights_only=False)
        try:
            self.load_plugin_state(checkpoint)
        except KeyError as error:
            raise InputError(
                f"{path} was written by {checkpoint.get('trainer_name')} and lacks {error}, without which "
                f"{type(self).__name__} cannot continue. To start from its weights use -pretrained_weights "
                "instead of --c."
            ) from error

    def unwrapped(self, module: nn.Module) -> nn.Module:
        """A module without DDP around it."""
        return module.module if isinstance(module, DistributedDataParallel) else module

    def bare(self, module: nn.Module) -> nn.Module:
        """A module without DDP and torch.compile around it: the one whose weights are saved."""
        module = self.unwrapped(module)
        return module._orig_mod if isinstance(module, OptimizedModule) else module
