"""A grid, trainers x plans x folds, and the jobs it is made of: each an ordinary `nnUNetv2_train` command."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segan_nnunet.data.environment import dataset_number, nnunet_folder
from segan_nnunet.trainer_names import ModelName, seeded


@dataclass(frozen=True)
class OnDataset:
    """A job or a grid on a planned dataset.

    Attributes:
        dataset: DatasetXXX_Name.
    """

    dataset: str

    @property
    def dataset_id(self) -> int:
        """The XXX of DatasetXXX_Name."""
        return dataset_number(self.dataset)

    @property
    def preprocessed(self) -> Path:
        """The dataset's folder in nnUNet_preprocessed."""
        return nnunet_folder("nnUNet_preprocessed") / self.dataset


@dataclass(frozen=True)
class Job(OnDataset):
    """One training with its validation: a trainer, plans, and a fold.

    Attributes:
        device: cpu, cuda or mps, as nnU-Net knows them.
        num_gpus: of one training; more than one is nnU-Net's DDP.
    """

    configuration: str
    trainer: str
    plans: str
    fold: int
    device: str
    num_gpus: int = 1

    def __str__(self) -> str:
        """E.g. `SegANTrainer SegANPlans fold 0`."""
        return f"{self.trainer} {self.plans} fold {self.fold}"

    @property
    def folder(self) -> Path:
        """Where nnU-Net keeps this training."""
        model = ModelName(self.trainer, self.plans, self.configuration)
        return nnunet_folder("nnUNet_results") / self.dataset / str(model) / f"fold_{self.fold}"

    def command(self) -> list[str]:
        """The command that brings this training to its end from where it is now."""
        command = ["nnUNetv2_train", str(self.dataset_id), self.configuration, str(self.fold)]
        command += ["-tr", self.trainer, "-p", self.plans, "-device", self.device]
        if self.num_gpus > 1:
            command += ["-num_gpus", str(self.num_gpus)]
        return command + continuation(self.folder)


def continuation(folder: Path) -> list[str]:
    """Option of nnUNetv2_train with which a training goes on; none where it has to begin."""
    if (folder / "checkpoint_final.pth").is_file():
        return ["--val"]  # --c would do too, but it loads the training data and draws everything again
    if any((folder / f"checkpoint_{which}.pth").is_file() for which in ("latest", "best")):
        return ["--c"]
    return []


@dataclass(frozen=True)
class Grid(OnDataset):
    """What is to be cross-validated and compared.

    Attributes:
        baseline: the trainer that the others are tested against; by default the first.
        published: append the paper's rows to Table 1.
        seeds: every job is trained once per seed, as NAME_seed3; none: once, drawn by chance.
    """

    trainers: tuple[str, ...]
    plans: tuple[str, ...]
    folds: tuple[int, ...]
    configuration: str = "2d"
    device: str = "cuda"
    num_gpus: int = 1
    baseline: str | None = None
    published: bool = False
    seeds: tuple[int, ...] = ()

    def jobs(self) -> list[Job]:
        """All jobs, a fold of every method before the next fold, so that an unfinished grid can be compared too."""
        return [
            Job(self.dataset, self.configuration, name, plans, fold, self.device, self.num_gpus)
            for fold, trainer, plans in itertools.product(self.folds, self.trainers, self.plans)
            for name in self.names_of(trainer)
        ]

    def names_of(self, trainer: str) -> list[str]:
        """The names under which a trainer is trained: its own, or one per seed."""
        return [seeded(trainer, seed) for seed in self.seeds] or [trainer]


def unique(values: Sequence[Any]) -> tuple[Any, ...]:
    """The values in their order, each once: the same training must not be two jobs."""
    return tuple(dict.fromkeys(values))
