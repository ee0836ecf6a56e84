"""One function reads a user's split and refuses it with the first case that breaks a rule."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segan_nnunet.comparison import compare
from segan_nnunet.data.planned.split_file import read_splits
from segan_nnunet.data.splits import write_splits
from segan_nnunet.errors import InputError
from segan_nnunet.folds.checks import Purpose, check_fold
from segan_nnunet.folds.record import FoldRecord
from segan_nnunet.grid.checks import make_grid
from segan_nnunet.models.export import export_model
from segan_nnunet.training import PaperTrainer
from tests.hand_made_planned import CASES, DATASET, SPLIT, write_planned
from tests.hand_made_results import NAME, cubes, validate, write_dataset
from tests.small_trainers import build

BAD: list[tuple[Any, str]] = [
    ([{"train": ["a", "b"], "val": ["c.mha"]}], "fold 0 has the validation case c.mha, .*.it has c: .*file ending"),
    ([{"train": ["a_0000", "b"], "val": ["c"]}], "fold 0 has the training case a_0000, .*.it has a: .*channel"),
    (
        [SPLIT[0], {"train": ["a", "z"], "val": ["c"]}],
        "fold 1 has the training case z, which the dataset does not have",
    ),
    ([{"train": ["a", "b", "a"], "val": ["c"]}], "fold 0 has the training case a twice"),
    ([{"train": ["a", "b", "c"], "val": ["c"]}], "fold 0 has c as a training case and as a validation case"),
    ([{"train": ["a"], "val": []}], "fold 0 has no validation case"),
    ([{"train": ["a"], "val": "c"}], 'fold 0 has no list "val"'),
    ([{"train": ["a", 7], "val": ["c"]}], "fold 0 has the training case 7, which is no text"),
    ([["a", "b"], ["c"]], 'fold 0 has no list "train"'),
    ({"train": ["a"], "val": ["c"]}, "it must be a list"),
    ([], "it must be a list"),
]


@pytest.fixture
def preprocessed(nnunet_folders: Path) -> Path:
    return write_planned(nnunet_folders)


@pytest.fixture
def verbs(preprocessed: Path) -> dict[str, Callable[[], Any]]:
    """Return all functions that read the split of the dataset."""
    (Path(os.environ["nnUNet_raw"]) / DATASET / "cases.csv").write_text("case,patient\na,1\nb,2\nc,3\n")
    return {
        "split": lambda: write_splits(7, folds=3),
        "crossval": lambda: make_grid(7, ["A"], ["nnUNetPlans"], device="cpu"),
        "read": lambda: read_splits(preprocessed),
    }


@pytest.mark.parametrize(("splits", "message"), BAD, ids=[message for _, message in BAD])
def test_an_error_of_a_bad_split_names_the_case(
    preprocessed: Path, verbs: dict[str, Callable[[], Any]], splits: Any, message: str
) -> None:
    (preprocessed / "splits_final.json").write_text(json.dumps(splits))
    for verb in verbs.values():
        with pytest.raises(InputError, match=f"splits_final.json is no split that can be trained on: {message}"):
            verb()
    write_splits(7, folds=3, overwrite=True)
    for verb in verbs.values():
        verb()


def test_a_grid_refuses_a_case_in_two_validation_folds(preprocessed: Path) -> None:
    again = [*SPLIT, {"train": ["a"], "val": ["b", "c"]}]
    (preprocessed / "splits_final.json").write_text(json.dumps(again))
    with pytest.raises(InputError, match="c validates in fold 0 and in fold 2 of .*splits_final.json.*--folds"):
        make_grid(7, ["A"], ["nnUNetPlans"], device="cpu")
    assert make_grid(7, ["A"], ["nnUNetPlans"], [1, 2], device="cpu").folds == (1, 2)


def test_a_trainer_refuses_a_split_before_its_data_are_loaded(nnunet_folders: Path) -> None:
    trainer = build(PaperTrainer, nnunet_folders)
    for case in CASES:
        (Path(trainer.preprocessed_dataset_folder) / f"{case}.pkl").touch()
    file = Path(trainer.preprocessed_dataset_folder_base) / "splits_final.json"
    file.write_text(json.dumps([{"train": ["a", "b"], "val": ["b"]}]))
    with pytest.raises(InputError, match="fold 0 has b as a training case and as a validation case"):
        trainer.on_train_start()
    file.write_text(json.dumps([{"train": ["a", "b"], "val": ["d"]}]))
    with pytest.raises(InputError, match="fold 0 has the validation case d"):
        trainer.do_split()


@pytest.fixture
def leaky(nnunet_folders: Path) -> Path:
    """Write a finished fold that was trained on its validation case. The split has been corrected since."""
    write_dataset(nnunet_folders)
    for fold, case in enumerate("ab"):
        validate(nnunet_folders, "SegAN__SegANPlans__2d", fold, {case: (cubes(4, 2), cubes(4, 2))})
    folder = nnunet_folders / "nnUNet_results" / NAME / "SegAN__SegANPlans__2d"
    (folder / "fold_1" / "trained_on.json").write_text(json.dumps({"train": ["a", "b"], "val": ["b"]}))
    corrected = [{"train": ["b"], "val": ["a"]}, {"train": ["a"], "val": ["b"]}]
    (nnunet_folders / "nnUNet_preprocessed" / NAME / "splits_final.json").write_text(json.dumps(corrected))
    (folder / "dataset.json").write_text((nnunet_folders / "nnUNet_preprocessed" / NAME / "dataset.json").read_text())
    return folder


def test_compare_refuses_scores_of_training_cases(leaky: Path, tmp_path: Path) -> None:
    message = "fold_1 was trained on 1 of the cases that it is scored on, such as b"
    with pytest.raises(InputError, match=message):
        compare(1)
    with pytest.raises(InputError, match=message):
        export_model(1, "SegAN", "SegANPlans", "2d", [0, 1], tmp_path / "model.zip")
    for purpose in (Purpose.COMPARE, Purpose.EXPORT):
        check_fold(leaky / "fold_0", purpose, FoldRecord(val=["a"]))


def test_compare_and_export_apply_the_same_split_rules(leaky: Path, nnunet_folders: Path, tmp_path: Path) -> None:
    file = nnunet_folders / "nnUNet_preprocessed" / NAME / "splits_final.json"
    file.write_text(json.dumps({"0": {"train": ["b"], "val": ["a"]}}))
    (leaky / "plans.json").write_text('{"configurations": {}}')
    with pytest.raises(InputError, match=r"splits_final.json is no split .*it must be a list"):
        compare(1)
    with pytest.raises(InputError, match=r"splits_final.json is no split .*it must be a list"):
        export_model(1, "SegAN", "SegANPlans", "2d", [0], tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


def test_a_misplaced_split_is_named_before_nnunet_makes_a_new_one(preprocessed: Path) -> None:
    path = preprocessed / "splits_final.json"
    raw = Path(os.environ["nnUNet_raw"]) / DATASET / "splits_final.json"
    path.rename(raw)
    with pytest.raises(InputError, match=f"{raw} is not where nnU-Net looks for a split.*Move it to {path}"):
        make_grid(7, ["A"], ["nnUNetPlans"], device="cpu")
    raw.rename(preprocessed / "splits_final.pkl")
    with pytest.raises(InputError, match="splits_final.pkl is a split of nnU-Net v1"):
        make_grid(7, ["A"], ["nnUNetPlans"], device="cpu")
    path.mkdir()
    with pytest.raises(InputError, match="splits_final.json is a folder, not a file"):
        make_grid(7, ["A"], ["nnUNetPlans"], device="cpu")


@pytest.mark.parametrize(("patients", "warned"), [("xyx", True), ("xyz", False), ("xy-", False)])
def test_a_patient_in_training_and_validation_gives_a_warning(
    preprocessed: Path, patients: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{case},{patient.strip('-')}" for case, patient in zip(CASES, patients, strict=True)]
    table = Path(os.environ["nnUNet_raw"]) / DATASET / "cases.csv"
    table.write_text("\n".join(["case,patient", *rows]))
    make_grid(7, ["A"], ["nnUNetPlans"], device="cpu")
    has_warning = "trains on scans of 1 patients that it validates on, the first x" in capsys.readouterr().err
    assert has_warning == warned
