"""A grid names finished trainings with fewer epochs than their trainer requests now."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.grid import crossval
from segan_nnunet.grid.checks import check_trainers
from segan_nnunet.grid.jobs import Grid, Job, Outcome
from tests.conftest import DATASET


def finished(trainer: str, epochs: int) -> Job:
    job = Job(DATASET, "2d", trainer, "P", 0, "cpu")
    (job.folder / "validation").mkdir(parents=True)
    (job.folder / "validation" / "summary.json").write_text("{}")
    torch.save({"current_epoch": epochs}, job.folder / "checkpoint_final.pth")
    return job


def test_the_expected_epochs_are_those_of_the_trainer_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", str(catalogue_folder("trainers")))
    expected_epochs = {"SegANTrainer_short": 12, "SegANTrainer_5epochs": 5, "nnUNetTrainer": None}
    assert check_trainers(list(expected_epochs)) == expected_epochs


def test_a_shorter_training_is_named_with_the_command_that_continues_it(nnunet_folders: Path) -> None:
    jobs = [finished("A_5epochs", 3), finished("A_1epochs", 1), finished("nnUNetTrainer", 2)]
    (message,) = crossval.shorter_trainings(jobs, {"A_5epochs": 5, "A_1epochs": 1, "nnUNetTrainer": None})
    assert message.startswith("A_5epochs P fold 0 counts as finished after 3 epochs, and its trainer")
    assert "asks for 5 now" in message and "-tr A_5epochs -p P -device cpu --c;" in message


class AtOnce:
    """An executor whose jobs are all finished."""

    device, num_gpus = "cpu", 1

    def check(self) -> None: ...

    def run(self, grid: Grid, then: Callable[[], Outcome]) -> Outcome:
        assert not grid.open_jobs()
        return then()


def test_crossval_names_shorter_trainings_even_if_it_trains_nothing(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished("A_5epochs", 3)
    monkeypatch.setattr(crossval, "check_trainers", lambda _: {"A_5epochs": 5})
    for name in ("prepare", "check_folds"):
        monkeypatch.setattr(crossval, name, lambda _: None)
    grid = Grid(DATASET, ("A_5epochs",), ("P",), (0,))
    assert "asks for 5 now" in crossval.crossval(grid, AtOnce()).text
