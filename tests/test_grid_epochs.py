"""A finished training that is shorter than its trainer asks for now is said."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.grid import crossval
from segan_nnunet.grid.fold_records import epochs_of, shorter_trainings
from segan_nnunet.grid.jobs import Grid, Job
from tests.small_trainers import GameTrainer, build

DATASET = "Dataset001_Tiny"


@pytest.fixture
def planned(nnunet_folders: Path) -> Path:
    """The small trainers' dataset with its plans in files; returns nnU-Net's folder of results."""
    trainer = build(GameTrainer, nnunet_folders)
    folder = nnunet_folders / "nnUNet_preprocessed" / DATASET
    (folder / "SegANPlans.json").write_text(json.dumps(trainer.plans_manager.plans))
    (folder / "dataset.json").write_text(json.dumps({**trainer.dataset_json, "numTraining": 0}))
    return nnunet_folders / "nnUNet_results"


def finished(trainer: str, epochs: int) -> Job:
    job = Job(DATASET, "2d", trainer, "SegANPlans", 0, "cpu")
    (job.folder / "validation").mkdir(parents=True)
    (job.folder / "validation" / "summary.json").write_text("{}")
    torch.save({"current_epoch": epochs}, job.folder / "checkpoint_final.pth")
    return job


@pytest.mark.parametrize(
    ("trainer", "epochs"),
    [
        ("SegANTrainer_short", 12),
        ("SegANTrainer_50epochs_seed3", 50),
        ("nnUNetTrainer_5epochs", 5),
        ("nnUNetTrainer", None),
        ("NotThere", None),
    ],
)
def test_the_number_of_epochs_is_that_of_the_class_or_of_the_name(
    trainer: str, epochs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", str(catalogue_folder("trainers")))
    assert epochs_of(trainer) == epochs


def test_a_shorter_training_is_named_with_the_command_that_trains_on(planned: Path) -> None:
    jobs = [finished("nnUNetTrainer_5epochs", 3), finished("nnUNetTrainer_1epoch", 1), finished("NotThere", 2)]
    (said,) = shorter_trainings(jobs)
    assert said.startswith("nnUNetTrainer_5epochs SegANPlans fold 0 counts as finished after 3 epochs, and its trainer")
    assert "asks for 5 now" in said and "-tr nnUNetTrainer_5epochs -p SegANPlans -device cpu --c;" in said


def test_crossval_says_it_though_it_trains_nothing(planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished("nnUNetTrainer_5epochs", 3)
    monkeypatch.setattr(crossval.comparison, "compare", lambda **_: None)
    settings: dict[str, Any] = {"trainers": ("nnUNetTrainer_5epochs",), "plans": ("SegANPlans",), "folds": (0,)}
    assert "asks for 5 now" in crossval.finish(Grid(DATASET, **settings)).note
