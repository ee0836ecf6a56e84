"""One record describes the basis of a fold, and one function checks whether the fold may be used."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from segan_nnunet.errors import InputError
from segan_nnunet.folds.checks import Purpose, check_fold, check_one_method
from segan_nnunet.folds.record import RECORD, FoldRecord, read_record
from tests.hand_made_results import NAME, cubes, validate, write_dataset

PLANS = {"configurations": {"2d": {"spacing": [1.0, 1.0], "batch_size": 2}}}
LABELS = {"background": 0, "whole": [1, 2], "core": 2}
# as version 0.1.0 wrote them: in our checkpoint, and beside a fold that a grid began
IN_CHECKPOINT = {
    "train": ["b"],
    "val": ["a"],
    "configuration": {"spacing": [1.0, 1.0], "batch_size": 2},
    "labels": None,
    "objective": {"critic_clamp": 0.01, "loss": [0.5, 0.25]},
    "outputs": [[1, 2], [2]],
}
BESIDE = {**IN_CHECKPOINT, "labels": {"a": "0123456789abcdef", "b": "fedcba9876543210"}, "objective": None}
NOW = FoldRecord(
    train=("b",),
    val=("a",),
    configuration={"batch_size": 2, "spacing": (1.0, 1.0), "next_stage": "3d_cascade"},
    labels={"a": "0123456789abcdef", "b": "fedcba9876543210"},
    objective={"critic_clamp": 0.01, "loss": [0.500001, 0.25]},
    outputs=[[1, 2], [2]],
)


@pytest.fixture
def fold(nnunet_folders: Path) -> Path:
    """Write a validated fold of version 0.1.0, trained on b."""
    write_dataset(nnunet_folders)
    validate(nnunet_folders, "SegAN__SegANPlans__2d", 0, {"a": (cubes(4, 2), cubes(4, 2))})
    folder = nnunet_folders / "nnUNet_results" / NAME / "SegAN__SegANPlans__2d" / "fold_0"
    init_args = {"plans": PLANS, "configuration": "2d", "dataset_json": {"labels": LABELS}}
    weights = {"network_weights": {"w": torch.ones(1)}, "optimizer_state": {}}
    torch.save({**weights, "init_args": init_args, "trained_on": IN_CHECKPOINT}, folder / "checkpoint_final.pth")
    (folder / RECORD).write_text(json.dumps(BESIDE))
    return folder


def test_reading_a_record_of_an_earlier_version_keeps_all_fields(fold: Path) -> None:
    expected = FoldRecord(**{**BESIDE, "objective": IN_CHECKPOINT["objective"]})  # type: ignore[arg-type]
    assert read_record(fold) == expected
    (fold / RECORD).unlink()
    assert read_record(fold) == replace(expected, labels=None)
    (fold / "checkpoint_final.pth").unlink()
    assert read_record(fold) == FoldRecord()


@pytest.mark.parametrize("purpose", Purpose)
def test_a_fold_of_an_earlier_version_stays_usable(fold: Path, purpose: Purpose) -> None:
    check_fold(fold, purpose, NOW)
    check_fold(fold, purpose, NOW, FoldRecord())  # the record lacks this field
    check_one_method([fold, fold])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": None, "val": None}, "splits_final.json is gone"),
        ({"train": ["a"], "val": ["b"]}, "other cases than .* such as b"),
        ({"train": ["b", "c"]}, "other cases than .* such as c"),
        ({"outputs": [[2], [1, 2]]}, "other labels than dataset.json"),
        ({"configuration": {"batch_size": 2, "spacing": [2.0, 2.0]}}, "other plans of this name: spacing differ"),
        ({"objective": {"critic_clamp": 0.02}}, "critic_clamp was 0.01 and is 0.02"),
        ({"labels": {"a": "0"}}, "other labels than are preprocessed now .1 cases differ, such as a"),
    ],
)
def test_a_changed_fold_is_neither_continued_nor_compared(fold: Path, changes: dict[str, Any], message: str) -> None:
    for purpose in (Purpose.CONTINUE, Purpose.COUNT):
        with pytest.raises(InputError, match=f"fold_0 was trained.*{message}"):
            check_fold(fold, purpose, replace(NOW, **changes))


def test_a_fold_with_other_validation_cases_or_an_unreadable_file_is_not_compared(fold: Path) -> None:
    with pytest.raises(InputError, match="holds other cases than splits_final.json has for fold 0 now"):
        check_fold(fold, Purpose.COMPARE, FoldRecord(val=["b"]))
    (fold / "validation" / "summary.json").write_text('{"metric_per_case": [')
    for purpose in (Purpose.COMPARE, Purpose.EXPORT):
        with pytest.raises(InputError, match=r"summary.json is damaged.*nnUNetv2_train \.\.\. --val"):
            check_fold(fold, purpose)
    (fold / "validation" / "summary.json").unlink()
    check_fold(fold, Purpose.EXPORT)
    with pytest.raises(InputError, match="summary.json is missing: the training or its validation has not finished"):
        check_fold(fold, Purpose.COMPARE)


def test_decomposed_and_composed_letters_name_the_same_case() -> None:
    composed, decomposed = FoldRecord(["\u00e9"], ["a"]), FoldRecord(["e\u0301"], ["a"])
    assert composed.moved_cases(decomposed) == []


def test_reading_a_record_returns_the_written_record() -> None:
    record = FoldRecord(("b", "a"), ("c",), {"spacing": (1, 2)})
    assert record == FoldRecord(["a", "b"], ["c"], {"spacing": [1, 2]})
    assert FoldRecord.of(json.loads(json.dumps(record.content()))) == record
    assert FoldRecord.of({**record.content(), "digest": "of version 0.1.0"}) == record


def test_splitting_without_a_trained_fold_does_not_import_torch(nnunet_folders: Path) -> None:
    write_dataset(nnunet_folders)
    raw = nnunet_folders / "nnUNet_raw" / NAME
    (raw / "labelsTr").mkdir(parents=True)
    for case in "ab":
        (raw / "labelsTr" / f"{case}.mha").touch()
    (raw / "dataset.json").write_text((nnunet_folders / "nnUNet_preprocessed" / NAME / "dataset.json").read_text())
    (raw / "cases.csv").write_text("case,patient\na,1\nb,2\n")
    (nnunet_folders / "nnUNet_results" / NAME / "A__P__2d" / "fold_0").mkdir(parents=True)
    splits = [{"train": ["b"], "val": ["a"]}, {"train": ["a"], "val": ["b"]}]
    split = "import sys; from segan_nnunet.data.splits import write_splits; write_splits(1, folds=2, overwrite=True)"
    for order in (1, -1):  # replaces one patient
        path = nnunet_folders / "nnUNet_preprocessed" / NAME / "splits_final.json"
        path.write_text(json.dumps(splits[::order]))
        subprocess.run([sys.executable, "-c", f"{split}; assert 'torch' not in sys.modules"], check=True)
