"""The cause of a failed job from its log, the state of SLURM's queue, and the environment of a job."""

import contextlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from segan_nnunet.errors import InputError
from segan_nnunet.grid import slurm
from segan_nnunet.grid.jobs import LOG, SLURM_ID, Grid, Outcome, State, read_state, write_attempt
from segan_nnunet.grid.run_job import job_environment
from tests.conftest import DATASET


@pytest.mark.parametrize(
    "error",
    [
        "OSError: [Errno 28] No space left on device",
        "Could not write file: Disk quota exceeded",
        "RuntimeError: [enforce fail at inline_container.cc:664] . unexpected pos 841216 vs 841108",
    ],
)
def test_the_status_reports_a_full_disk_of_only_the_latest_attempt(tmp_path: Path, error: str) -> None:
    log = f"\n$ nnUNetv2_train 15\n{error}\nRuntimeError: one or more background workers are no longer alive\n"
    (tmp_path / LOG).write_text(log)
    write_attempt(tmp_path, status=1)
    assert read_state(tmp_path).detail.startswith("ended with status 1, disk full: RuntimeError: one or more")
    (tmp_path / LOG).write_text(f"{log}\n$ nnUNetv2_train 15 --c\nValueError: another thing\n")
    assert read_state(tmp_path).detail == "ended with status 1: ValueError: another thing"


def test_a_job_keeps_the_environment_variables_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_n_proc_DA", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # counts as unset
    monkeypatch.delenv("nnUNet_def_n_proc", raising=False)
    environment = job_environment(2, "cpu")
    assert [environment[name] for name in ("nnUNet_n_proc_DA", "OMP_NUM_THREADS", "nnUNet_def_n_proc")] == [
        "7",
        "2",
        "2",
    ]


def compare() -> Outcome:
    raise AssertionError("SLURM runs the comparison, in a job")


class Cluster:
    """A stand-in for submitit's executor that submits every job as 9_0."""

    def __init__(self, *_: object) -> None:
        self.batch = contextlib.nullcontext

    def submit(self, *_: object) -> SimpleNamespace:
        return SimpleNamespace(job_id="9_0")


@pytest.fixture
def grid(planned: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """Return a grid of one job, submitted as SLURM job 7_0. `squeue` prints the file `queue`, or fails without it."""
    squeue = planned / "squeue"
    squeue.write_text(f'#!/bin/sh\ncat "{planned}/queue"\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(planned), os.environ["PATH"])))
    monkeypatch.setattr(slurm, "submitter", Cluster)
    one_job = Grid(DATASET, ("A",), ("P",), (0,))
    folder = one_job.jobs()[0].folder
    folder.mkdir(parents=True)
    (folder / SLURM_ID).write_text("7_0")
    return one_job


@pytest.mark.parametrize(
    ("queue", "status", "state"),
    [
        ("7_0 COMPLETING\n", -15, State.QUEUED),  # recently cancelled
        ("7_0 RUNNING\n", -15, State.QUEUED),  # the training has ended, but the SLURM job has not
        ("7_0 PENDING\n", -15, State.QUEUED),  # preempted and requeued
        ("6_0 PENDING\n7_0 CONFIGURING\n", None, State.QUEUED),  # not begun
        ("", -15, State.FAILED),
        ("7_1 RUNNING\n17_0 RUNNING\n", -15, State.FAILED),  # other jobs of this user
        ("", None, State.WAITING),  # the node failed
    ],
)
def test_status_and_submission_report_the_same_job_state(
    grid: Grid, planned: Path, queue: str, status: int | None, state: State
) -> None:
    (planned / "queue").write_text(queue)
    (job,) = grid.jobs()
    if status is not None:
        write_attempt(job.folder, status=status)
    assert grid.table()[job].state is state
    text = slurm.SlurmExecutor().run(grid, compare).text
    assert text.startswith("nothing to submit: 1 jobs" if state is State.QUEUED else "submitted 1 jobs,")


def test_without_an_answer_from_slurm_the_status_shows_the_folder_and_nothing_is_submitted(grid: Grid) -> None:
    (job,) = grid.jobs()
    write_attempt(job.folder, status=-15)
    assert grid.table()[job].state is State.FAILED
    with pytest.raises(InputError, match="SLURM does not say which jobs are queued"):
        slurm.SlurmExecutor().run(grid, compare)
