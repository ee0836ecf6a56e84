"""`crossval` with nnU-Net's real commands: killed, broken, continued and compared."""

import json
from pathlib import Path

import pytest
import torch

from tests.conftest import Commands, epochs_begun

pytestmark = pytest.mark.end_to_end

GRID = ("segan_nnunet", "crossval", "-d", "3", "-p", "SegANPlans", "--folds", "0", "-device", "cpu", "--jobs", "2")


def fold(commands: Commands, trainer: str) -> Path:
    return commands.folder / "nnUNet_results" / "Dataset003_BRATS2015" / f"{trainer}__SegANPlans__2d" / "fold_0"


def test_a_repeated_grid_continues_its_killed_job(small_dataset: Commands) -> None:
    trainers = ("-tr", "GridKilled", "GridBroken", "GridQuick")
    to_run = small_dataset(*GRID, *trainers, "--dry-run").splitlines()
    assert to_run[0] == "nnUNetv2_train 3 2d 0 -tr GridKilled -p SegANPlans -device cpu"
    assert len(to_run) == 4 and to_run[3].startswith("segan_nnunet compare -d 3 -c 2d -tr GridKilled GridBroken")

    printed = " ".join(small_dataset(*GRID, *trainers, succeeds=False).split())
    assert "GridKilled SegANPlans 0 failed stopped by SIGKILL" in printed
    assert "GridBroken SegANPlans 0 failed ended with status 1: RuntimeError: it was built to break" in printed
    assert "3 jobs: 1 finished, 2 failed" in printed
    assert "3 jobs: 1 finished, 2 failed" in small_dataset(*GRID, *trainers, "--status")
    assert "| GridQuick |" in printed and "not compared, because folds are missing: GridKilled, GridBroken" in printed
    finished = fold(small_dataset, "GridQuick") / "checkpoint_final.pth"
    written = finished.stat().st_mtime_ns

    printed = small_dataset(*GRID, "-tr", "GridKilled", "GridQuick")
    assert printed.count("nnUNetv2_train") == 1, "only the killed job runs"
    assert "nnUNetv2_train 3 2d 0 -tr GridKilled -p SegANPlans -device cpu --c" in printed
    assert "| GridKilled |" in printed and "2 jobs: 2 finished" in printed
    assert finished.stat().st_mtime_ns == written
    killed = fold(small_dataset, "GridKilled")
    assert epochs_begun(killed) == [0, 1, 2, 2, 3], "only the epoch of the kill is trained again"
    checkpoint = torch.load(killed / "checkpoint_final.pth", weights_only=False)
    assert len(checkpoint["logging"]["train_losses"]) == 4


def test_a_grid_trains_seeds_at_another_voxel_size(small_dataset: Commands) -> None:
    small_dataset(
        *("segan_nnunet", "plan", "-d", "3", "--spacing", "3", "3", "3"),
        *("--width", "4", "--batch-size", "4", "--patch-size", "32", "32"),
    )
    plans = small_dataset.folder / "nnUNet_preprocessed" / "Dataset003_BRATS2015" / "SegANPlans_3mm.json"
    assert json.loads(plans.read_text())["configurations"]["2d"]["spacing"] == [3.0, 3.0]
    grid = [word.replace("SegANPlans", "SegANPlans_3mm") for word in GRID]
    printed = small_dataset(*grid, "-tr", "GridQuick", "--seeds", "0", "1")
    assert "-tr GridQuick_seed1 -p SegANPlans_3mm" in printed and "2 jobs: 2 finished" in printed
    assert "| GridQuick |" in printed and "GridQuick is the mean over the seeds 0, 1 of each case" in printed
    weights = [
        torch.load(path / "fold_0" / "checkpoint_final.pth", weights_only=True)["network_weights"]
        for path in sorted((small_dataset.folder / "nnUNet_results" / "Dataset003_BRATS2015").glob("GridQuick_seed*"))
    ]
    assert len(weights) == 2 and any(not torch.equal(a, weights[1][name]) for name, a in weights[0].items())
    one = small_dataset(
        "segan_nnunet", "compare", "-d", "3", "-tr", "GridQuick", "-p", "SegANPlans_3mm", "--seeds", "1"
    )
    assert "GridQuick is the mean over the seed 1 of each case" in one


def test_reproduce_runs_from_the_release_to_the_table(small_dataset: Commands) -> None:
    """One short trainer replaces the paper's six, and two folds replace its holdout, which needs more patients."""
    release = small_dataset.folder / "BRATS2015_Training"
    paper = ("segan_nnunet", "reproduce", "--brats2015", str(release), "-d", "4", "--short", "--folds", "2")
    printed = small_dataset(*paper, "-tr", "GridQuick", "-device", "cpu", "--jobs", "2")
    assert "3 training cases" in printed and "2 jobs: 2 finished" in printed
    assert "| GridQuick |" in printed and "Mean over 3 cases" in printed
    again = small_dataset(*paper, "-tr", "GridQuick", "-device", "cpu")
    assert "is used without changes" in again and "nnUNetv2_train" not in again and "| GridQuick |" in again
