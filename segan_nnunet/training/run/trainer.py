"""The base class of all trainers of this package, with the paper's recipe or with nnU-Net's."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2.run import run_training
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

from segan_nnunet.data.planned.cases import preprocessed_cases
from segan_nnunet.data.planned.preprocessed_data import check_preprocessed_under
from segan_nnunet.data.planned.split_file import SPLITS_FILE, read_splits
from segan_nnunet.errors import InputError
from segan_nnunet.folds.checkpoint import read_checkpoint
from segan_nnunet.folds.checks import Purpose, check_fold
from segan_nnunet.folds.record import FoldRecord, output_values
from segan_nnunet.folds.state import describe_exported
from segan_nnunet.training.run import checkpoint as checkpoints
from segan_nnunet.training.run import objective_record
from segan_nnunet.training.run.divergence import check_losses, check_weights
from segan_nnunet.training.run.pretrained import load_pretrained_weights
from segan_nnunet.training.run.process import autocast_dtype, print_refusals, set_up_cpu
from segan_nnunet.training.run.progress import draw_or_report, epoch_line

# player: key of its weights in a checkpoint
WEIGHTS = {"segmentor": "network_weights", "critic": "critic_weights"}


class ResumableTrainer(nnUNetTrainer):
    """nnU-Net's trainer with settings as class attributes and atomic checkpoints that resume bit for bit.

    A variant is a subclass with other attributes. nnU-Net sets most settings on the instance, in its __init__. Here a
    class attribute of the same name overrides them, so a variant needs no __init__.

    Attributes:
        trains_cascades: whether this trainer can train the second stage of a cascade.
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

    trains_cascades = True

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  the signature must be exactly nnU-Net's
    ) -> None:
        print_refusals()
        set_up_cpu(device)
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.check_stage()
        for name in self.SETTINGS:
            if hasattr(type(self), name):
                setattr(self, name, getattr(type(self), name))
        self.autocast_dtype = autocast_dtype(self.device)
        self.saved_random_states: dict[str, Any] | None = None
        self.split: tuple[list[str], list[str]] | None = None
        self.recorded_objective: dict[str, Any] | None = None
        self.logger.plot_progress_png = partial(self.draw_progress, self.logger.plot_progress_png)
        # nnU-Net has no hook for -pretrained_weights. It calls this function if the option is given
        run_training.load_pretrained_weights = self.load_pretrained_weights

    def check_stage(self) -> None:
        """Check that this trainer can train the configuration.

        Raises:
            InputError: the configuration is the second stage of a cascade, and `trains_cascades` is False.
        """
        if self.is_cascaded and not self.trains_cascades:
            raise InputError(
                f"{self.configuration_name} is the second stage of a cascade, which {type(self).__name__} does not "
                "train: its critics would treat the first stage's output as an image. Train 3d_fullres "
                "or 3d_lowres, or the cascade with nnU-Net's own trainers."
            )

    def draw_progress(self, draw: Callable[[str], None], folder: str) -> None:
        """Draw nnU-Net's picture of the progress. Report a picture that cannot be written."""
        draw_or_report(lambda: draw(folder), Path(folder) / "progress.png", self.print_to_log_file)

    def print_to_log_file(self, *args: Any, **options: Any) -> None:
        """Print and log. nnU-Net ignores a log that cannot be written. Ignore a print that fails, too."""
        with suppress(OSError):  # the output is a file on a full disk, or a closed terminal
            super().print_to_log_file(*args, **options)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the autocast context for this device's precision."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def map_names(self) -> list[str]:
        """Return the names of the label maps: regions in the order of dataset.json, plain labels by value."""
        values = {name: v for name, v in self.label_manager.label_dict.items() if name not in ("background", "ignore")}
        return list(values) if self.label_manager.has_regions else sorted(values, key=lambda name: values[name])

    def on_train_start(self) -> None:
        """Check the data, and record the cases of this training: the split file may change during the training.

        Raises:
            InputError: the preprocessed data are of other plans, or the split breaks a rule.
        """
        plans, preprocessed = self.plans_manager.plans, Path(self.preprocessed_dataset_folder_base)
        check_preprocessed_under(preprocessed, plans, self.configuration_name)
        self.check_split()
        super().on_train_start()
        self.split = self.split_now()
        self.fold_record()  # record the objective as it is at the start

    def on_epoch_start(self) -> None:
        """Restore the random states after a resume. nnU-Net draws random numbers when it starts its loaders."""
        if self.saved_random_states is not None:
            checkpoints.restore_random_states(self.saved_random_states)
            self.saved_random_states = None
        super().on_epoch_start()

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Stop the training if a training loss is not finite."""
        check_losses(train_outputs, self.current_epoch, "training")
        super().on_train_epoch_end(train_outputs)

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """Stop the training if a validation loss is not finite."""
        check_losses(val_outputs, self.current_epoch, "validation")
        super().on_validation_epoch_end(val_outputs)

    def on_epoch_end(self) -> None:
        """Print one line about the epoch after nnU-Net has logged and saved it."""
        super().on_epoch_end()
        self.print_to_log_file(epoch_line(self.logger.get_checkpoint(), self.num_epochs))

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does, after removing predictions of other cases."""
        if self.local_rank == 0 and (split := self.split or self.split_now()):
            self.remove_other_predictions(set(split[1]))
        super().perform_actual_validation(save_probabilities)

    def remove_other_predictions(self, cases: set[str]) -> None:
        """Remove the predictions of an earlier training on another split. nnU-Net would score them too."""
        ending = self.dataset_json["file_ending"]
        for path in (Path(self.output_folder) / "validation").glob(f"*{ending}"):
            if path.name.removesuffix(ending) not in cases:
                path.unlink()

    def plugin_state(self) -> dict[str, Any]:
        """Return the entries that `--c` needs and nnU-Net's checkpoint lacks."""
        return {
            "random_states": checkpoints.random_states(),
            "optimizer_class": type(self.optimizer).__name__,
            "trained_on": self.fold_record().content(),
        }

    def fold_record(self) -> FoldRecord:
        """Return the record of this training. Cases and objective are those from when this process began to train."""
        train, val = self.split or self.split_now() or (None, None)
        if self.recorded_objective is None:
            self.recorded_objective = self.objective()
        return FoldRecord(
            train,
            val,
            self.configuration_manager.configuration,
            objective=self.recorded_objective,
            outputs=output_values(self.dataset_json),
        )

    def objective(self) -> dict[str, Any]:
        """Return the values that define the objective, by name. A training continues only with the same values.

        A trainer with more settings adds them. Learning rates and numbers of epochs do not belong to the objective.
        """
        return {
            "enable_deep_supervision": self.enable_deep_supervision,
            "optimizer": objective_record.optimizer_record(self.optimizer),
            "loss": objective_record.values_of(self.loss_on_probe),
        }

    def loss_on_probe(self) -> Tensor:
        """Return the loss of a fixed output and target, a scalar."""
        dimension, was_training = len(self.configuration_manager.patch_size), self.network.training
        heads = self.label_manager.num_segmentation_heads
        output = self.probe(heads)
        target = objective_record.probe_target(self.label_manager, dimension, self.device)
        self.network.train()  # some losses depend on the mode of the network
        try:
            if not self.enable_deep_supervision:
                return self.loss(output, target)
            scales = len(self._get_deep_supervision_scales())
            return self.loss([output] * scales, [target] * scales)
        finally:
            self.network.train(was_training)

    def probe(self, *shape: int, seed: int = 0) -> Tensor:
        """Return the fixed values, (B, *shape, *S), on which functions of the objective are recorded."""
        dimension = len(self.configuration_manager.patch_size)
        return objective_record.probe(*shape, dimension=dimension, device=self.device, seed=seed)

    def do_split(self) -> tuple[list[str], list[str]]:
        """Split as nnU-Net does, after checking the split file.

        Raises:
            InputError: the file breaks a rule.
        """
        self.check_split()
        return super().do_split()

    def check_split(self) -> None:
        """Check splits_final.json, unless the fold is `all`, which does not use it.

        Raises:
            InputError: the file breaks a rule.
        """
        if self.fold != "all":
            cases = preprocessed_cases(Path(self.preprocessed_dataset_folder))
            read_splits(Path(self.preprocessed_dataset_folder_base), cases)

    def split_now(self) -> tuple[list[str], list[str]] | None:
        """Return the current training and validation cases, or None if nnU-Net has not made its split yet."""
        splits = Path(self.preprocessed_dataset_folder_base) / SPLITS_FILE
        return self.do_split() if splits.is_file() or self.fold == "all" else None

    def load_plugin_state(self, checkpoint: dict[str, Any]) -> None:
        """Restore the entries of `plugin_state`. In DDP each process keeps its own random numbers."""
        if not self.is_ddp:
            self.saved_random_states = checkpoint["random_states"]

    def players(self) -> dict[str, nn.Module]:
        """Return the networks that are trained, by the names in `WEIGHTS`."""
        return {"segmentor": self.bare(self.network)}

    def save_checkpoint(self, filename: str) -> None:
        """Write nnU-Net's checkpoint with the entries of `plugin_state`, atomically."""
        buffer = io.BytesIO()
        super().save_checkpoint(buffer)
        if buffer.tell() == 0:  # checkpoints are disabled, or another process of DDP writes them
            return
        checkpoint = {**checkpoints.read_buffer(buffer), **self.plugin_state()}
        check_weights({player: checkpoint[WEIGHTS[player]] for player in self.players()}, self.current_epoch)
        checkpoints.save_atomically(checkpoint, Path(filename))

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """Restore a training of the same trainer from a file.

        Raises:
            InputError: the file is missing or damaged, or lacks entries that this trainer needs (an exported model
                does), or has another optimiser, other cases, other plans, another objective or other networks.
        """
        path = Path(filename_or_checkpoint)
        checkpoint = read_checkpoint(path)
        if "optimizer_state" not in checkpoint:
            raise InputError(describe_exported(path))
        if not self.was_initialized:
            self.initialize()  # which may change the configuration
        saved_optimizer, optimizer = checkpoints.optimizer_of(checkpoint), type(self.optimizer).__name__
        if saved_optimizer != optimizer:
            raise InputError(
                f"{path} was written "
                f"{f'with {saved_optimizer}' if saved_optimizer else 'by an earlier version of this package'}, and "
                f"{type(self).__name__} trains with {optimizer}: a training cannot change its optimiser. To start from "
                "its weights, use -pretrained_weights instead of --c. nnUNetv2_predict still reads this checkpoint."
            )
        saved_record = FoldRecord.in_checkpoint(checkpoint)
        check_fold(path, Purpose.CONTINUE, self.fold_record(), saved_record)
        for player, module in self.players().items():
            checkpoints.check_same_weights(player, checkpoint.get(WEIGHTS[player]), module, path)
        if not saved_record.objective:
            self.print_to_log_file(
                f"{path.name} has no record of its objective, because an earlier version wrote it. The training "
                f"continues with the current objective of {type(self).__name__}."
            )
        super().load_checkpoint(str(path))
        try:
            self.load_plugin_state(checkpoint)
        except KeyError as error:
            raise InputError(
                f"{path} was written by {checkpoint.get('trainer_name')} and lacks {error}, without which "
                f"{type(self).__name__} cannot continue. To start from its weights, use -pretrained_weights "
                "instead of --c."
            ) from error

    def load_pretrained_weights(self, network: nn.Module, path: str, verbose: bool = False) -> None:
        """Load the weights of a checkpoint of any trainer and any labels, in place of nnU-Net's function."""
        load_pretrained_weights(self.bare(network), Path(path))
        self.print_to_log_file(f"The training starts from the weights of {path}, except for new output layers.")

    def bare(self, module: nn.Module) -> nn.Module:
        """Return a module without the wrappers of DDP and torch.compile: the module whose weights are saved."""
        module = module.module if isinstance(module, DistributedDataParallel) else module
        return module._orig_mod if isinstance(module, OptimizedModule) else module
