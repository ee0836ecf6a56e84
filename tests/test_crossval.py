"""The grid without nnU-Net: jobs, states of hand-made folders, locks, and a stand-in for `nnUNetv2_train`."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.errors import InputError
from segan_nnunet.experiments.reproduce import paper_grid
from segan_nnunet.folds.locks import FOLD_LOCK, StoppedError, file_lock
from segan_nnunet.grid import crossval, executors, local, slurm
from segan_nnunet.grid.checks import check_networks, check_trainers, make_grid
from segan_nnunet.grid.jobs import (
    ATTEMPT,
    LOG,
    Grid,
    Job,
    Progress,
    State,
    read_progress,
    read_state,
    status_table,
    write_attempt,
)
from segan_nnunet.grid.run_job import run_job
from segan_nnunet.models.configurations import SEGMENTOR
from tests.conftest import DATASET

JOB = Job(DATASET, "2d", "A", "P", 0, "cpu")


def create_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_jobs_combine_every_trainer_and_plans_fold_by_fold_without_duplicates(planned: Path) -> None:
    jobs = make_grid(15, ["B", "A", "B"], ["P", "Q", "P"], device="cpu").jobs()
    assert [str(job) for job in jobs[:4]] == ["B P fold 0", "B Q fold 0", "A P fold 0", "A Q fold 0"]
    assert len(jobs) == len(set(jobs)) == 2 * 2 * 3
    assert {job.fold for job in make_grid(15, ["A"], ["P"], [2, 0]).jobs()} == {0, 2}


def test_the_job_command_begins_continues_or_validates(nnunet_folders: Path) -> None:
    begin = ["nnUNetv2_train", "15", "2d", "0", "-tr", "A", "-p", "P", "-device", "cpu"]
    assert JOB.command() == begin
    create_files(JOB.folder, "checkpoint_best.pth")
    assert JOB.command() == [*begin, "--c"]
    create_files(JOB.folder, "checkpoint_final.pth")
    assert JOB.command() == [*begin, "--val"]
    parallel = Job(DATASET, "2d", "A", "Q", 0, "cuda", num_gpus=2).command()
    assert parallel[parallel.index("-num_gpus") + 1] == "2"


LOG_OF_THREE = """
2026-01-01 10:00:00.0: Epoch 0 \n2026-01-01 10:00:00.1: Epoch time: 9.0 s \n
2026-01-01 10:00:00.0: Epoch 1 \n2026-01-01 10:00:00.1: Epoch time: 2.0 s \n
2026-01-01 10:00:00.2: epoch 2/8  segmentor loss 0.1  time left 0:00:00 \n
2026-01-01 10:00:00.0: Epoch 2 \n2026-01-01 10:00:00.1: Epoch time: 4.0 s \n
2026-01-01 10:00:00.0: Epoch 3 \n"""


def test_progress_comes_from_the_nnunet_log_and_time_left_from_the_mean_epoch(tmp_path: Path) -> None:
    (tmp_path / "training_log_1.txt").write_text(LOG_OF_THREE)
    assert read_progress(tmp_path) == Progress(3, None, [9.0, 2.0, 4.0])
    (tmp_path / "debug.json").write_text('{"num_epochs": "8"}')
    assert read_progress(tmp_path) == Progress(3, 8, [9.0, 2.0, 4.0])
    assert str(read_progress(tmp_path)) == "epoch 4 of 8, 0:00:25 left", "five epochs of (9 + 2 + 4) / 3 s"
    # continued from an earlier checkpoint, as nnU-Net's own trainers do
    (tmp_path / "training_log_2.txt").write_text("2026-01-01 11:00:00.0: Epoch 1 \n")
    os.utime(tmp_path / "training_log_1.txt", (0, 0))
    assert read_progress(tmp_path) == Progress(1, 8, [])
    (tmp_path / "training_log_3.txt").write_text("2026-01-01 12:00:00.0: starting, no epoch yet\n")
    assert read_progress(tmp_path) == Progress(1, 8, [])


def test_a_job_state_follows_from_the_files_of_its_fold(tmp_path: Path) -> None:
    assert read_state(tmp_path / "not_there").state is State.WAITING
    create_files(tmp_path, "checkpoint_final.pth")
    assert read_state(tmp_path).state is State.WAITING, "trained, but not validated"
    (tmp_path / LOG).write_text("Traceback\nValueError: no such thing\n\n")
    write_attempt(tmp_path, status=1)
    state = read_state(tmp_path)
    assert (state.state, state.detail) == (State.FAILED, "ended with status 1: ValueError: no such thing")
    write_attempt(tmp_path, status=-9)
    assert read_state(tmp_path).detail.startswith("stopped by SIGKILL: ")
    with file_lock(tmp_path / FOLD_LOCK):
        write_attempt(tmp_path, host="node7", pid=1)
        assert read_state(tmp_path).state is State.RUNNING and "node7" in read_state(tmp_path).detail
    create_files(tmp_path, "validation/summary.json")
    assert read_state(tmp_path).state is State.FINISHED


def test_the_status_table_has_a_line_per_job_and_counts_the_states(nnunet_folders: Path) -> None:
    create_files(JOB.folder, "checkpoint_final.pth", "validation/summary.json")
    grid = Grid(DATASET, ("A", "B"), ("P",), (0, 1))
    lines = status_table(grid.table()).splitlines()
    assert [line.split() for line in lines[1:3]] == [["A", "P", "0", "finished"], ["B", "P", "0", "waiting"]]
    assert lines[-1] == "4 jobs: 1 finished, 3 waiting"
    unfinished = status_table(grid.table(), only_unfinished=True).splitlines()
    assert len(unfinished) == 5 and unfinished[-1] == lines[-1]


def test_a_failed_job_stops_no_other_job_and_is_retried(stand_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = make_grid(15, ["Bad", "Good"], ["P"], device="cpu")
    local.run_locally(grid.open_jobs(), 2)
    states = {str(job): state for job, state in grid.table().items()}
    assert {name for name, state in states.items() if state.state is State.FINISHED} == {
        f"Good P fold {fold}" for fold in range(3)
    }
    assert states["Bad P fold 1"].detail == "ended with status 3: RuntimeError: bad luck"
    assert capsys.readouterr().out.count("RuntimeError: bad luck") == 3
    stand_in.unlink()
    local.run_locally(grid.open_jobs(), 1)
    assert [line.split()[4] for line in stand_in.read_text().splitlines()] == ["Bad"] * 3, (
        "only unfinished jobs run again"
    )


def test_two_grids_at_once_train_every_fold_once(stand_in: Path) -> None:
    grid = make_grid(15, ["A", "B"], ["P", "Q"], device="cpu")
    jobs = grid.open_jobs()
    both = [threading.Thread(target=local.run_locally, args=(jobs, 2)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(stand_in.read_text().splitlines()) == len(set(stand_in.read_text().splitlines())) == 12
    assert not grid.open_jobs()


def test_each_gpu_runs_one_job(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda: ["2", "5"])
    local.run_locally(make_grid(15, ["A"], ["P"], [0, 1], device="cuda").jobs())
    used = [line.split("gpu ")[1] for line in stand_in.read_text().splitlines()]
    assert sorted(used) == ["2", "5"]
    assert local.gpu_sets(["0", "1", "2", "3", "4"], 2) == ["0,1", "2,3"], "no GPU is shared, and one stays free"
    with pytest.raises(InputError, match="3 GPUs per job are needed and 2 are here"):
        local.run_locally(make_grid(15, ["A"], ["P"], [2], device="cuda", num_gpus=3).jobs())


@pytest.mark.parametrize("reason", [None, "gave up"])
def test_a_stopped_training_is_killed_and_fails_only_with_a_reason(stand_in: Path, reason: str | None) -> None:
    job = Job(DATASET, "2d", "Endless", "P", 0, "cpu")
    stop = threading.Event()

    def stop_once_it_runs() -> None:
        while not ((job.folder / "checkpoint_latest.pth").exists() and (job.folder / ATTEMPT).exists()):
            time.sleep(0.01)
        if reason:
            write_attempt(job.folder, status=reason)
        stop.set()

    threading.Thread(target=stop_once_it_runs).start()
    with pytest.raises(StoppedError):
        run_job(job, os.environ, stop=stop)
    assert read_state(job.folder).state is (State.FAILED if reason else State.WAITING)
    assert job.command()[-1] == "--c"
    with file_lock(job.folder / FOLD_LOCK, wait_s=0):
        assert run_job(job, os.environ, wait_s=0).detail == "in another process"


def test_the_grid_compares_only_trainers_with_all_folds(nnunet_folders: Path) -> None:
    grid = Grid(DATASET, ("Whole", "Part", "None", "OnePlans"), ("P", "Q"), (0, 1))
    missing = {("Part", "P", 1), ("OnePlans", "Q", 0), ("OnePlans", "Q", 1)}
    for job in grid.jobs():
        if job.trainer != "None" and (job.trainer, job.plans, job.fold) not in missing:
            create_files(job.folder, "checkpoint_final.pth", "validation/summary.json")
    assert crossval.comparable(grid, grid.table()) == ["Whole", "OnePlans"]


def test_the_grid_makes_the_nnunet_split_once_before_the_jobs(planned: Path) -> None:
    folder = planned / "nnUNet_preprocessed" / DATASET
    (folder / "splits_final.json").unlink()
    cases = [f"case_{number}" for number in range(7)]
    create_files(folder, *(f"gt_segmentations/{case}.nii.gz" for case in cases))
    grid = make_grid(15, ["A"], ["P"])
    assert grid.folds == (0, 1, 2, 3, 4)
    crossval.prepare(grid)
    splits = json.loads((folder / "splits_final.json").read_text())
    assert sorted(case for split in splits for case in split["val"]) == cases


def test_a_job_without_progress_is_requeued_twice_and_then_fails(nnunet_folders: Path) -> None:
    JOB.folder.mkdir(parents=True)
    job = slurm.TrainJob(JOB, cpus=1)
    assert job.checkpoint() and job.checkpoint()
    create_files(JOB.folder, "checkpoint_latest.pth")
    assert job.checkpoint() and job.fruitless == 0, "progress resets the count"
    job.saved = slurm.checkpoint_times(JOB.folder)
    assert job.checkpoint() and job.checkpoint()
    assert job.checkpoint() is None
    assert "a longer --sbatch time=" in read_state(JOB.folder).detail


def test_a_bad_grid_error_lists_the_available_values(planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"plans": ["R"]}, "no plans R .* there are P, Q"),
        ({"configuration": "3d_fullres"}, "P of .* no configuration 3d_fullres; they have 2d"),
        ({"folds": [0, 3, 4]}, "no fold 3, 4 .* folds 0 to 2"),
        ({"folds": [-1]}, "no fold -1"),
        ({"device": "tpu"}, "no device 'tpu'; nnU-Net knows cpu, cuda, mps"),
        ({"device": "cpu", "num_gpus": 2}, "need -device cuda"),
    ]
    for arguments, message in wrong:
        with pytest.raises(InputError, match=message):
            make_grid(**{"dataset_id": 15, "trainers": ["A"], "plans": ["P"], **arguments})
    unplanned = planned / "nnUNet_raw" / "Dataset016_New"
    create_files(unplanned, "cases.csv")
    with pytest.raises(InputError, match="Dataset016_New is not planned.*segan_nnunet plan -d 16"):
        make_grid(16, ["A"], ["P"])
    create_files(planned / "nnUNet_raw" / DATASET, "cases.csv")
    (planned / "nnUNet_preprocessed" / DATASET / "splits_final.json").unlink()
    with pytest.raises(InputError, match="not split yet.*segan_nnunet split -d 15"):
        make_grid(15, ["A"], ["P"])
    with pytest.raises(InputError, match="no executor 'pbs'; there are local and slurm"):
        executors.choose("pbs")
    with pytest.raises(InputError, match="--sbatch time=1 is for SLURM; add --executor slurm"):
        executors.choose(sbatch=["time=1"])
    with pytest.raises(InputError, match="--sbatch takes KEY=VALUE, such as account=brain, not debug"):
        executors.choose("slurm", sbatch=["time=1", "debug"])
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="no SLURM on this machine.*login node"):
        executors.choose("slurm").check()


def test_a_trainer_with_deep_supervision_is_refused_for_plans_with_one_output(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", str(catalogue_folder("trainers")))
    path = planned / "nnUNet_preprocessed" / DATASET / "P.json"
    plans = json.loads(path.read_text())
    plans["configurations"]["2d"]["architecture"] = {"network_class_name": SEGMENTOR}
    path.write_text(json.dumps(plans))
    for trainer in ("nnUNetTrainer", "nnUNetTrainer_seed1", "nnUNetTrainerSegAN"):
        with pytest.raises(InputError, match=f"{trainer} needs deep supervision, and the network of P has one output"):
            check_networks(make_grid(15, ["SegANTrainer", trainer], ["P"]))
    check_networks(make_grid(15, ["SegANTrainer", "UNetSoftmaxTrainer_short", "nnUNetTrainerNoDeepSupervision"], ["P"]))
    check_networks(make_grid(15, ["nnUNetTrainer"], ["Q"]))


def test_an_unknown_trainer_error_lists_the_known_trainers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "trainers"
    create_files(own, "mine.py")
    (own / "mine.py").write_text("class MyTrainer: ...\n")
    monkeypatch.setenv("nnUNet_extTrainer", str(own))
    check_trainers(["nnUNetTrainer", "nnUNetTrainerNoDeepSupervision"])
    with pytest.raises(InputError, match=r"no trainer MyTrainr.*nnUNet_extTrainer \(.* has MyTrainer"):
        check_trainers(["nnUNetTrainer", "MyTrainr"])
    monkeypatch.delenv("nnUNet_extTrainer")
    with pytest.raises(InputError, match="nnUNet_extTrainer is not set.*nnU-Net itself has nnUNetTrainerNoMirroring"):
        check_trainers(["nnUNetTrainerNoMiroring"])


def test_reproduce_checks_the_trainers_before_it_converts(release_2015: Path, nnunet_folders: Path) -> None:
    with pytest.raises(InputError, match="finds no trainer NotThere"):
        paper_grid(release_2015, 15, trainers=["nnUNetTrainer", "NotThere"])
    assert not list((nnunet_folders / "nnUNet_raw").iterdir())
