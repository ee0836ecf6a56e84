"""What all our trainers share, the paper's and those with nnU-Net's own recipe."""

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
from segan_nnunet.training.run.process import autocast_dtype, print_refusals, respect_omp_num_threads
from segan_nnunet.training.run.progress import draw_or_say, epoch_line

WEIGHTS = {"segmentor": "network_weights", "critic": "critic_weights"}  # of the players, in a checkpoint


class ResumableTrainer(nnUNetTrainer):
    """nnU-Net's trainer with settings as class attributes, and checkpoints that survive a kill and go on bit for bit.

    A variant is a subclass with other attributes. nnU-Net sets most settings on the instance, in its __init__; here
    a class attribute of the same name wins, so that a variant needs no __init__ of its own.

    Attributes:
        trains_cascades: whether the second stage of a cascade may be trained.
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
        respect_omp_num_threads(device)
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
        # nnU-Net has no hook for -pretrained_weights. It calls this function where they are asked for
        run_training.load_pretrained_weights = self.load_pretrained_weights

    def check_stage(self) -> None:
        """Check that this trainer can train the configuration.

        Raises:
            InputError: it is the second stage of a cascade, and `trains_cascades` is False.
        """
        if self.is_cascaded and not self.trains_cascades:
            raise InputError(
                f"{self.configuration_name} is the second stage of a cascade, which {type(self).__name__} does not "
                "train: its critics would look at the first stage's answer as if it were an image. Train 3d_fullres "
                "or 3d_lowres, or the cascade with nnU-Net's own trainers."
            )

    def draw_progress(self, draw: Callable[[str], None], folder: str) -> None:
        """Draw nnU-Net's picture of an epoch, if it can be written."""
        draw_or_say(lambda: draw(folder), Path(folder) / "progress.png", self.print_to_log_file)

    def print_to_log_file(self, *args: Any, **options: Any) -> None:
        """Print and log; nnU-Net bears a log that cannot be written, and here what is printed may fail as well."""
        with suppress(OSError):  # printed into a file on a full disk, or to a terminal that was closed
            super().print_to_log_file(*args, **options)

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision in which this device trains."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def map_names(self) -> list[str]:
        """Names of the label maps, in their order: regions as dataset.json lists them, plain labels by value."""
        values = {name: v for name, v in self.label_manager.label_dict.items() if name not in ("background", "ignore")}
        return list(values) if self.label_manager.has_regions else sorted(values, key=lambda name: values[name])

    def on_train_start(self) -> None:
        """Check the data, and remember on which cases this training is: the file may change while it runs.

        Raises:
            InputError: the preprocessed data are of other plans, or the split breaks a rule.
        """
        plans, preprocessed = self.plans_manager.plans, Path(self.preprocessed_dataset_folder_base)
        check_preprocessed_under(preprocessed, plans, self.configuration_name)
        self.check_split()
        super().on_train_start()
        self.split = self.split_now()
        self.fold_record()  # the objective is that of the beginning

    def on_epoch_start(self) -> None:
        """After a resume, let the random numbers go on where they were: nnU-Net draws some to start its loaders."""
        if self.saved_random_states is not None:
            checkpoints.restore_random_states(self.saved_random_states)
            self.saved_random_states = None
        super().on_epoch_start()

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Stop a training that has diverged."""
        check_losses(train_outputs, self.current_epoch, "training")
        super().on_train_epoch_end(train_outputs)

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """Stop a training that has diverged."""
        check_losses(val_outputs, self.current_epoch, "validation")
        super().on_validation_epoch_end(val_outputs)

    def on_epoch_end(self) -> None:
        """Report the epoch in one line, after nnU-Net has logged and saved it."""
        super().on_epoch_end()
        self.print_to_log_file(epoch_line(self.logger.get_checkpoint(), self.num_epochs))

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does."""
        if self.local_rank == 0 and (split := self.split or self.split_now()):
            self.remove_other_predictions(set(split[1]))
        super().perform_actual_validation(save_probabilities)

    def remove_other_predictions(self, cases: set[str]) -> None:
        """Remove predictions of an earlier training of this fold on another split: nnU-Net would score them too."""
        ending = self.dataset_json["file_ending"]
        for path in (Path(self.output_folder) / "validation").glob(f"*{ending}"):
            if path.name.removesuffix(ending) not in cases:
                path.unlink()

    def plugin_state(self) -> dict[str, Any]:
        """What nnU-Net's checkpoint lacks and `--c` needs."""
        return {
            "random_states": checkpoints.random_states(),
            "optimizer_class": type(self.optimizer).__name__,
            "trained_on": self.fold_record().content(),
        }

    def fold_record(self) -> FoldRecord:
        """Return what this training rests on; cases and objective as they were when this process began to train."""
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
        """What defines the objective, by name: with another one of these a training is not continued.

        A trainer with further settings adds them. Learning rates and lengths are no part of it.
        """
        return {
            "enable_deep_supervision": self.enable_deep_supervision,
            "optimizer": objective_record.optimizer_record(self.optimizer),
            "loss": objective_record.values_of(self.loss_on_probe),
        }

    def loss_on_probe(self) -> Tensor:
        """The value of the loss on a fixed output and target."""
        dimension, was_training = len(self.configuration_manager.patch_size), self.network.training
        heads = self.label_manager.num_segmentation_heads
        output = self.probe(heads)
        target = objective_record.probe_target(self.label_manager, dimension, self.device)
        self.network.train()  # some losses ask in which mode the network answers
        try:
            if not self.enable_deep_supervision:
                return self.loss(output, target)
            scales = len(self._get_deep_supervision_scales())
            return self.loss([output] * scales, [target] * scales)
        finally:
            self.network.train(was_training)

    def probe(self, *shape: int, seed: int = 0) -> Tensor:
        """Return fixed values, (B, *shape, *S), on which a function of the objective is recorded."""
        dimension = len(self.configuration_manager.patch_size)
        return objective_record.probe(*shape, dimension=dimension, device=self.device, seed=seed)

    def do_split(self) -> tuple[list[str], list[str]]:
        """Split as nnU-Net does, from a file that breaks no rule.

        Raises:
            InputError: it breaks one.
        """
        self.check_split()
        return super().do_split()

    def check_split(self) -> None:
        """Check splits_final.json, if there is one and it counts.

        Raises:
            InputError: it breaks a rule.
        """
        if self.fold != "all":
            cases = preprocessed_cases(Path(self.preprocessed_dataset_folder))
            read_splits(Path(self.preprocessed_dataset_folder_base), cases)

    def split_now(self) -> tuple[list[str], list[str]] | None:
        """Training and validation cases as nnU-Net would take them now; None where it has not made its split yet."""
        splits = Path(self.preprocessed_dataset_folder_base) / SPLITS_FILE
        return self.do_split() if splits.is_file() or self.fold == "all" else None

    def load_plugin_state(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `plugin_state` saved; of several processes each goes on with random numbers of its own."""
        if not self.is_ddp:
            self.saved_random_states = checkpoint["random_states"]

    def players(self) -> dict[str, nn.Module]:
        """The networks that are trained, by the names of `WEIGHTS`."""
        return {"segmentor": self.bare(self.network)}

    def save_checkpoint(self, filename: str) -> None:
        """Write nnU-Net's checkpoint with our additions, atomically."""
        buffer = io.BytesIO()
        super().save_checkpoint(buffer)
        if buffer.tell() == 0:  # checkpoints are disabled, or another process of DDP writes them
            return
        checkpoint = {**checkpoints.read_buffer(buffer), **self.plugin_state()}
        check_weights({player: checkpoint[WEIGHTS[player]] for player in self.players()}, self.current_epoch)
        checkpoints.save_atomically(checkpoint, Path(filename))

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """Restore a training of the same trainer from a file; nnU-Net's own method reads no other form either.

        Raises:
            InputError: the file is missing or damaged, lacks what this trainer needs to go on, as an exported model
                does, or was written under another optimiser, whose state means something else, or rests on other
                cases, plans or another objective, or holds other networks.
        """
        path = Path(filename_or_checkpoint)
        checkpoint = read_checkpoint(path)
        if "optimizer_state" not in checkpoint:
            raise InputError(describe_exported(path))
        if not self.was_initialized:
            self.initialize()  # which may change the configuration
        written, own = checkpoints.optimizer_of(checkpoint), type(self.optimizer).__name__
        if written != own:
            raise InputError(
                f"{path} was written {f'under {written}' if written else 'by an earlier version of this package'}, and "
                f"{type(self).__name__} trains with {own}: the one cannot continue the other. To start from its "
                "weights use -pretrained_weights instead of --c; nnUNetv2_predict reads it as before."
            )
        then = FoldRecord.in_checkpoint(checkpoint)
        check_fold(path, Purpose.CONTINUE, self.fold_record(), then)
        for player, module in self.players().items():
            checkpoints.check_same_weights(player, checkpoint.get(WEIGHTS[player]), module, path)
        if not then.objective:
            self.print_to_log_file(
                f"{path.name} has no record of its objective, as those of earlier versions: it is taken to be that of "
                f"{type(self).__name__} now."
            )
        super().load_checkpoint(str(path))
        try:
            self.load_plugin_state(checkpoint)
        except KeyError as error:
            raise InputError(
                f"{path} was written by {checkpoint.get('trainer_name')} and lacks {error}, without which "
                f"{type(self).__name__} cannot continue. To start from its weights use -pretrained_weights "
                "instead of --c."
            ) from error

    def load_pretrained_weights(self, network: nn.Module, path: str, verbose: bool = False) -> None:
        """Start from the weights of a checkpoint, in nnU-Net's place: of any trainer and any labels."""
        load_pretrained_weights(self.bare(network), Path(path))
        self.print_to_log_file(f"Starts from the weights of {path}; the output layers begin anew.")

    def bare(self, module: nn.Module) -> nn.Module:
        """A module without DDP and torch.compile around it: the one whose weights are saved."""
        module = module.module if isinstance(module, DistributedDataParallel) else module
        return module._orig_mod if isinstance(module, OptimizedModule) else module
