"""Run a grid on a real SLURM cluster of one node: an array, a cancelled job, and jobs that reach their time limit."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import Commands, epochs_begun

pytestmark = [pytest.mark.slurm, pytest.mark.end_to_end]

CLUSTER = Path(__file__).with_name("cluster.sh")
DAEMONS = ("slurmctld", "slurmd", "munged")
GRID = ("segan_nnunet", "crossval", "-d", "3", "-tr", "GridHeld", "--folds", "0", "1")
ON_SLURM = ("--executor", "slurm", "-device", "cpu", "--sbatch", "time=10", "cpus-per-task=1", "mem=2G")
PATIENCE_S = 900
EPOCHS = 4  # epochs of GridHeld


@pytest.fixture(scope="session")  # session scope, like the dataset, which is only made if there is a cluster
def cluster() -> Iterator[Path]:
    """Start a cluster; return its folder."""
    missing = [daemon for daemon in DAEMONS if shutil.which(daemon) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; `tests/slurm/cluster.sh install` does it on Debian")
    if os.getuid() != 0:
        pytest.skip("slurmd must run as root")
    folder = Path(tempfile.mkdtemp(prefix="slurm_"))  # short, because the path of a socket must be short
    try:
        with (folder / "start.log").open("w") as log:  # no pipe: the daemons would keep it open
            started = subprocess.run([CLUSTER, "start", folder], check=False, timeout=60, stderr=log)
        if started.returncode:
            pytest.skip(f"SLURM's daemons do not start here: {(folder / 'start.log').read_text()[-500:]}")
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            yield folder
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=False, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(commands: Commands, what: str, has_happened: Callable[[], bool]) -> None:
    """Wait as long as a busy machine needs. No assertion of this test depends on a duration."""
    deadline = time.monotonic() + PATIENCE_S
    while not has_happened():
        assert time.monotonic() < deadline, f"{what}\n{commands(*GRID, '--status')}\n{slurm('squeue', '--long')}"
        time.sleep(0.5)


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def state_of(commands: Commands, fold: int) -> str:
    """Return the state of a fold and its detail from --status."""
    (row,) = re.findall(rf"^GridHeld +SegANPlans +{fold} +(\w+)(.*)$", commands(*GRID, "--status"), re.MULTILINE)
    return ", ".join(part.strip() for part in row)


def near_time_limit(slurm_id: str) -> int:
    """Return a time limit, in minutes since the job's start, that gives the job 35 to 95 s more.

    SLURM checks every 30 s which jobs to warn. It warns this job 60 + 30 s before its limit, so within about half a
    minute. If the limit were already over, SLURM would kill the job and requeue it at the same time.
    """
    minutes, seconds = map(int, slurm("squeue", "--noheader", "--jobs", slurm_id, "--format=%M").split(":"))
    return (60 * minutes + seconds + 35) // 60 + 1


def test_grid_on_slurm_loses_no_epoch_to_time_limit_or_cancellation(cluster: Path, small_dataset: Commands) -> None:
    commands = small_dataset
    commands.environment["SLURM_CONF"] = str(cluster / "slurm.conf")
    results = commands.folder / "nnUNet_results" / "Dataset003_BRATS2015"
    folds = [results / "GridHeld__SegANPlans__2d" / f"fold_{fold}" for fold in (0, 1)]
    latest = [folder / "checkpoint_latest.pth" for folder in folds]
    shutil.rmtree(results / "comparison__2d", ignore_errors=True)  # of the local grid on the same dataset

    assert "submitted 2 jobs" in commands(*GRID, *ON_SLURM)
    ids = [(folder / "crossval.slurm").read_text() for folder in folds]
    assert len({number.split("_")[0] for number in ids}) == 1, "all jobs are one array"
    assert "nothing to submit: 2 jobs are in the queue or running" in commands(*GRID, *ON_SLURM)

    wait_until(commands, "an epoch of fold 0", latest[0].exists)
    slurm("scontrol", "update", f"JobId={ids[0]}", f"TimeLimit={near_time_limit(ids[0])}")
    wait_until(commands, "an epoch of fold 1", latest[1].exists)
    slurm("scancel", ids[1])
    wait_until(commands, "fold 1 failed", lambda: "failed, " in state_of(commands, 1))
    assert "stopped by SIGTERM" in state_of(commands, 1)
    # fold 0 is in the queue, or has already finished its second attempt on a fast machine
    assert "submitted 1 jobs" in commands(*GRID, *ON_SLURM), "a job that --status calls failed can be submitted at once"
    log = results / "crossval_slurm" / f"{ids[0]}_0_log.out"
    wait_until(commands, "fold 0 requeued", lambda: "Requeued job" in log.read_text())
    slurm("scontrol", "update", f"JobId={ids[0]}", "TimeLimit=10")

    for folder in folds:
        wait_until(commands, f"{folder} finished", (folder / "validation" / "summary.json").exists)
    report = results / "comparison__2d" / "table1.md"
    wait_until(commands, "the comparison", report.exists)
    assert "| GridHeld |" in report.read_text() and "Mean over 2 cases" in report.read_text()
    assert "2 jobs: 2 finished" in commands(*GRID, "--status")

    for folder in folds:
        interruptions = len(list(folder.glob("training_log_*.txt"))) - 1
        assert interruptions == 1
        begun = epochs_begun(folder)
        assert sorted(set(begun)) == list(range(EPOCHS)), "every epoch was trained"
        assert begun == sorted(begun), "a job continues from the last checkpoint, which is from the previous epoch"
        assert len(begun) <= EPOCHS + interruptions, "an interruption costs at most one epoch"
        checkpoint = torch.load(folder / "checkpoint_final.pth", weights_only=False)
        assert len(checkpoint["logging"]["train_losses"]) == EPOCHS
        assert json.loads((folder / "validation" / "summary.json").read_text())["metric_per_case"]
