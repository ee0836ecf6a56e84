"""A grid records split, plans and labels of every fold, and checks them before it trains further."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from segan_nnunet.errors import InputError
from segan_nnunet.folds.record import RECORD, read_record
from segan_nnunet.grid import fold_records
from segan_nnunet.grid.fold_records import check_folds, record_start
from segan_nnunet.grid.jobs import Job, State
from segan_nnunet.grid.run_job import run_job

DATASET = "Dataset007_Tiny"
JOB = Job(DATASET, "2d", "nnUNetTrainer", "nnUNetPlans", 0, "cpu")
OTHER_FOLD = Job(DATASET, "2d", "nnUNetTrainer", "nnUNetPlans", 1, "cpu")
SPLIT: list[dict[str, list[str]]] = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["b", "c"], "val": ["a"]}]


@pytest.fixture
def preprocessed(nnunet_folders: Path) -> Path:
    """Write cases a, b, c with labels, in two folds, planned with a batch of 2; return the preprocessed folder."""
    folder = nnunet_folders / "nnUNet_preprocessed" / DATASET
    (folder / "gt_segmentations").mkdir(parents=True)
    for case in "abc":
        (folder / "gt_segmentations" / f"{case}.nii.gz").write_text(f"labels of {case}")
    (folder / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz"}))
    (folder / "splits_final.json").write_text(json.dumps(SPLIT))
    plan(folder, batch_size=2)
    return folder


def plan(preprocessed: Path, **settings: Any) -> None:
    names = {"dataset_name": DATASET, "plans_name": "nnUNetPlans"}
    content = {**names, "configurations": {"2d": {"data_identifier": "2d", **settings}}}
    (preprocessed / "nnUNetPlans.json").write_text(json.dumps(content))


def begin(job: Job = JOB, **checkpoint: Any) -> None:
    """Start a fold with a trainer that writes no record, through a grid."""
    job.folder.mkdir(parents=True)
    record_start(job)
    torch.save(checkpoint, job.folder / "checkpoint_latest.pth")


def test_a_grid_records_split_and_plans_for_any_trainer(
    preprocessed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nnUNetv2_train"
    command.write_text("#!/bin/sh\nexit 3\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), os.environ["PATH"])))
    assert run_job(JOB, os.environ).state is State.FAILED
    recorded = json.loads((JOB.folder / RECORD).read_text())
    assert (recorded["train"], recorded["val"]) == (["a", "b"], ["c"])
    assert recorded["configuration"] == {"data_identifier": "2d", "batch_size": 2}
    assert sorted(recorded["labels"]) == ["a", "b", "c"]


def test_a_grid_writes_no_record_for_a_training_that_began_earlier(preprocessed: Path) -> None:
    JOB.folder.mkdir(parents=True)
    torch.save({}, JOB.folder / "checkpoint_latest.pth")
    record_start(JOB)
    assert not (JOB.folder / RECORD).exists()
    check_folds([JOB])  # the record has no facts


def test_a_grid_refuses_a_file_that_is_no_checkpoint_before_it_continues_a_fold(preprocessed: Path) -> None:
    (JOB.folder / "validation").mkdir(parents=True)
    for name, content in (("latest", b"version https://git-lfs.github.com/spec/v1\n"), ("final", bytes(600))):
        (JOB.folder / f"checkpoint_{name}.pth").write_bytes(content)
        with pytest.raises(InputError, match=f"checkpoint_{name}.pth (is a pointer of Git LFS|begins with zeros)"):
            check_folds([JOB])
    (JOB.folder / "checkpoint_final.pth").unlink()
    torch.save({"network_weights": {"a": torch.ones(9)}}, JOB.folder / "checkpoint_latest.pth")
    whole = (JOB.folder / "checkpoint_latest.pth").read_bytes()
    (JOB.folder / "checkpoint_latest.pth").write_bytes(whole[:-200])
    with pytest.raises(InputError, match="checkpoint_latest.pth is damaged or cut off"):
        check_folds([JOB])
    (JOB.folder / "checkpoint_final.pth").write_bytes(bytes(600))
    (JOB.folder / "validation" / "summary.json").write_text("{}")
    check_folds([JOB])  # the fold is finished, so no training continues from the file


def test_a_grid_refuses_folds_of_another_split_before_any_training(preprocessed: Path) -> None:
    begin(JOB)
    begin(OTHER_FOLD)
    check_folds([JOB, OTHER_FOLD])
    (preprocessed / "splits_final.json").write_text(json.dumps([{"train": ["a", "c"], "val": ["b"]}, SPLIT[1]]))
    with pytest.raises(InputError, match="fold_0 was trained on other cases .*such as b.*Restore the split") as caught:
        check_folds([JOB, OTHER_FOLD])
    assert "fold_1" not in str(caught.value), "the other fold is unchanged"


def test_the_validation_of_a_finished_fold_without_a_record_shows_its_cases(preprocessed: Path) -> None:
    validation = JOB.folder / "validation"
    validation.mkdir(parents=True)
    (JOB.folder / "checkpoint_final.pth").touch()
    (JOB.folder.parent / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz"}))
    for case, refused in (("c", False), ("b", True)):
        entry = {"prediction_file": f"/elsewhere/{case}.nii.gz", "metrics": {}}
        (validation / "summary.json").write_text(json.dumps({"metric_per_case": [entry]}))
        (validation / f"{case}.nii.gz").touch()
        if refused:
            with pytest.raises(InputError, match="fold_0 was trained on other cases"):
                check_folds([JOB])
        else:
            check_folds([JOB])


def test_a_grid_refuses_folds_of_other_plans(preprocessed: Path) -> None:
    begin()
    plan(preprocessed, batch_size=2, next_stage="3d_cascade")  # training ignores this setting
    check_folds([JOB])
    plan(preprocessed, batch_size=4)
    with pytest.raises(InputError, match="other plans of this name: batch_size differ.*--plans-name"):
        check_folds([JOB])


def test_a_checkpoint_precedes_an_older_record(preprocessed: Path) -> None:
    """A manual retraining used the current split. The grid's record is from the earlier training."""
    now = {"train": ["a", "c"], "val": ["b"], "configuration": {}}
    plans = {"configurations": {"2d": {"data_identifier": "2d", "batch_size": 4}}}
    begin(trained_on=now, init_args={"plans": plans})
    plan(preprocessed, batch_size=4)
    (preprocessed / "splits_final.json").write_text(json.dumps([{"train": ["c", "a"], "val": ["b"]}]))
    check_folds([JOB])
    assert read_record(JOB.folder).train == ["a", "c"]


def test_a_grid_refuses_folds_of_other_labels(preprocessed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin()
    (preprocessed / "gt_segmentations" / "b.nii.gz").write_text("labels of b, corrected")
    with pytest.raises(InputError, match="other labels than are preprocessed now .1 cases differ, such as b"):
        check_folds([JOB])
    monkeypatch.setattr(fold_records, "file_digest", lambda path: pytest.fail("read for nothing"))
    check_folds([OTHER_FOLD])  # a fold that has not begun


@pytest.mark.parametrize(
    ("now", "accepted"),
    [
        ({"background": 0, "WT": [1, 2], "TC": 2}, True),  # a renamed label
        ({"background": 0, "whole": [2, 1], "core": [2], "ignore": 3}, True),
        ({"background": 0, "core": 2, "whole": [1, 2]}, False),
        ({"background": 0, "whole": [1, 2], "core": 1}, False),
        ({"background": 0, "core": 2, "oedema": 1}, False),
    ],
)
def test_a_grid_refuses_a_fold_with_other_output_labels_for_any_trainer(
    preprocessed: Path, now: dict[str, Any], accepted: bool
) -> None:
    then = {"labels": {"background": 0, "whole": [1, 2], "core": 2}, "file_ending": ".nii.gz"}
    begin(JOB, init_args={"dataset_json": then})
    (preprocessed / "dataset.json").write_text(json.dumps(then | {"labels": now}))
    if accepted:
        check_folds([JOB])
    else:
        with pytest.raises(
            InputError, match=r"fold_0 was trained on other labels than .*values \[\[1, 2\], \[2\]\], and"
        ):
            check_folds([JOB])
