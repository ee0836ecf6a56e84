"""Provide what several tests share: small networks, a small simulated release, nnU-Net commands in new processes."""

import gc
import json
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from itertools import count, zip_longest
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace

import nnunetv2.utilities.utils
import pytest
from nnunetv2.training.logging.nnunet_logger import MetaLogger

from segan_nnunet.data.releases import simulation
from segan_nnunet.data.releases.simulation import simulate_release
from segan_nnunet.experiments.demo import nnunet_environment
from segan_nnunet.grid import local
from tests.hand_made import REGIONS, write_2015_case, write_balls

ENTRY_POINTS = ("segan_nnunet", "nnUNetv2_train", "nnUNetv2_predict")  # known to forked_commands.py
PATIENTS_VARIABLE = "SEGAN_SIX_PATIENTS"
DATASET = "Dataset015_BRATS2015"  # of the grids that run without nnU-Net


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow tests first. A slow test that starts last would run alone."""
    items.sort(key=lambda item: not any(item.get_closest_marker(mark) for mark in ("end_to_end", "slurm")))


@pytest.fixture
def quick_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the garbage collection of statsmodels at every correction of p. It takes 0.1 s when torch is loaded."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


@pytest.fixture
def nnunet_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create nnU-Net's three folders, empty, in a temporary folder; return that folder."""
    for part in ("raw", "preprocessed", "results"):
        folder = tmp_path / f"nnUNet_{part}"
        folder.mkdir()
        monkeypatch.setenv(f"nnUNet_{part}", str(folder))
    return tmp_path


@pytest.fixture
def without_progress_png(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip nnU-Net's picture of every epoch, which takes longer than a small epoch."""
    monkeypatch.setattr(MetaLogger, "plot_progress_png", lambda *_: None)


@pytest.fixture
def coarse_brain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate patients with an eighth of the voxels, for tests in which only layouts, values and names matter."""
    whole = simulation.icbm152()
    coarse = simulation.Anatomy(*(part[::2, ::2, ::2] for part in (whole.white, whole.grey, whole.fluid)))
    monkeypatch.setattr(simulation, "icbm152", lambda: coarse)


@pytest.fixture
def nnunet_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace nnU-Net's process pools by thread pools: each process would import torch for a dataset of two cases."""
    threads = SimpleNamespace(Pool=ThreadPool)
    monkeypatch.setattr(nnunetv2.utilities.utils, "Pool", ThreadPool)
    monkeypatch.setattr(multiprocessing, "get_context", lambda method=None: threads)


@pytest.fixture
def release_2015(tmp_path: Path) -> Path:
    """Write three cases: two scans of one high-grade patient, and one scan of a low-grade patient."""
    release = tmp_path / "BRATS2015_Training"
    write_2015_case(release, "HGG", "brats_tcia_pat118_0001", 100)
    write_2015_case(release, "HGG", "brats_tcia_pat118_0014", 200)
    write_2015_case(release, "LGG", "brats_2013_pat0001_1", 300)
    return release


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Write a user's own layout: NIfTI, and label values with gaps."""
    path = tmp_path / "mine.toml"
    path.write_text(
        """
name = "Mine"
truth = "{case}/seg.nii.gz"
[channels]
T1c = "{case}/t1c.nii.gz"
[labels]
core = 1
edema = 2
"enhancing tumor" = 4
[regions]
"whole tumor" = ["core", "edema", "enhancing tumor"]
"tumor core" = ["core", "enhancing tumor"]
"enhancing tumor" = ["enhancing tumor"]
"""
    )
    return path


@pytest.fixture
def planned(nnunet_folders: Path) -> Path:
    """Write a dataset with plans P (2d) and Q (2d, 3d_fullres), three cases and three folds; return its parent."""
    folder = nnunet_folders / "nnUNet_preprocessed" / DATASET
    folder.mkdir()
    for name, configurations in (("P", ["2d"]), ("Q", ["2d", "3d_fullres"])):
        settings = {configuration: {"data_identifier": configuration} for configuration in configurations}
        names = {"dataset_name": DATASET, "plans_name": name}
        (folder / f"{name}.json").write_text(json.dumps({**names, "configurations": settings}))
        for path in (folder / configuration / f"{case}.pkl" for configuration in configurations for case in "abc"):
            path.parent.mkdir(exist_ok=True)
            path.touch()
    (folder / "dataset.json").write_text(json.dumps({"numTraining": 3, "file_ending": ".nii.gz"}))
    splits = [{"train": ["b", "c"], "val": ["a"]}, {"train": ["c", "a"], "val": ["b"]}, {"train": ["a"], "val": ["c"]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    return nnunet_folders


@pytest.fixture
def stand_in(planned: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace nnUNetv2_train by a script that logs its calls. It fails for trainer Bad and never ends for Endless."""
    commands = planned / "bin"
    commands.mkdir()
    script = commands / "nnUNetv2_train"
    script.write_text(
        """#!/bin/sh
folder="$nnUNet_results/Dataset015_BRATS2015/$5__$7__$2/fold_$3"
echo "$*" "gpu $CUDA_VISIBLE_DEVICES" >> "$nnUNet_results/ran"
if test "$5" = Endless; then
    sleep 600 &
    echo $$ $! > "$folder/processes"
    touch "$folder/checkpoint_latest.pth"
    wait
fi
sleep 0.2
test "$5" = Bad && { echo "RuntimeError: bad luck"; exit 3; }
mkdir -p "$folder/validation"
touch "$folder/checkpoint_final.pth" "$folder/validation/summary.json"
"""
    )
    script.chmod(0o755)
    path = os.pathsep.join((str(commands), os.environ["PATH"]))
    monkeypatch.setattr(local, "job_environment", lambda cores, device: {**os.environ, "PATH": path})
    monkeypatch.setenv("PATH", path)
    return planned / "nnUNet_results" / "ran"


@pytest.fixture(scope="session")
def six_patients() -> Path:
    """Return the folder of the six real BRATS 2015 patients, or skip the test."""
    folder = os.environ.get(PATIENTS_VARIABLE)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"{PATIENTS_VARIABLE} does not name the folder of the six BRATS 2015 patients (docs/results.md)")
    return Path(folder)


@cache
def forking_server() -> "subprocess.Popen[str]":
    """Start forked_commands.py once for all tests of this process. The start takes ten seconds."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.forked_commands"], cwd=Path(__file__).parent.parent, text=True,
        env={**os.environ, "nnUNet_def_n_proc": "1", "OMP_WAIT_POLICY": "PASSIVE"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


class Commands:
    """Run commands as a user does: in new processes, with nnUNet_extTrainer and nnU-Net's three variables.

    Args:
        folder: parent folder of all files.
        small: whether nnU-Net's commands run as small ones (see forked_commands.py).
    """

    def __init__(self, folder: Path, small: bool = True) -> None:
        self.folder = folder
        self.small = small
        # waiting threads sleep, because other trainings run in parallel
        self.environment = {**nnunet_environment(folder), "OMP_WAIT_POLICY": "PASSIVE"}
        self.counter = count()

    def __call__(self, *command: str, succeeds: bool | None = True) -> str:
        """Run a command and return its output. Check its exit status unless `succeeds` is None."""
        if command[0] in ENTRY_POINTS:
            ((status, output),) = self.forked(command, small=self.small)
        else:
            done = subprocess.run(
                command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=600, check=False
            )  # in a folder where `python -c` does not find this package
            status, output = done.returncode, done.stdout + done.stderr
        assert succeeds is None or (status == 0) == succeeds, (
            f"{' '.join(command)} ended with {status}:\n{output[-4000:]}"
        )
        return output

    def forked(
        self,
        *commands: Sequence[str],
        jobs: int = 2,
        kill_after: Sequence[float | None] = (),
        small: bool = True,
        **environment: str,
    ) -> list[tuple[int, str]]:
        """Run commands in forked processes (see forked_commands.py); return their exit statuses and outputs.

        Args:
            commands: argument lists, as typed in a shell.
            jobs: number of commands that run at the same time.
            kill_after: seconds after which each command is killed with SIGKILL.
            small: whether commands use one thread each and draw no progress pictures.
            environment: additional environment variables.
        """
        server = forking_server()
        logs = [self.folder / f"forked_{next(self.counter)}.log" for _ in commands]
        request = {
            "jobs": jobs,
            "small": small,
            "environment": {**self.environment, **environment},
            "commands": [
                {"argv": list(command), "log": str(log), "errors": f"{log}.errors", "kill_after": seconds}
                for command, log, seconds in zip_longest(commands, logs, kill_after)
            ],
        }
        assert server.stdin and server.stdout
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        statuses = json.loads(server.stdout.readline())
        printed = [log.read_text() + Path(f"{log}.errors").read_text() for log in logs]
        return list(zip(statuses, printed, strict=True))

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in its own process group, so that a test can kill it with its workers."""
        with (self.folder / "started.log").open("wb") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)


def commands_on_balls(folder: Path, trainers: str) -> Commands:
    """Prepare commands with three cases of nested balls (dataset 1), a trainer file, and few processes."""
    write_balls(folder, 1, REGIONS)
    (folder / "trainers").mkdir()
    (folder / "trainers" / "test_trainers.py").write_text(trainers)
    commands = Commands(folder)
    commands.environment["nnUNet_extTrainer"] = str(folder / "trainers")
    commands.environment |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}
    return commands


def epochs_begun(folder: Path) -> list[int]:
    """Return the epochs that all attempts together have begun, in order."""
    logs = sorted(folder.glob("training_log_*.txt"), key=lambda path: path.stat().st_mtime)
    return [int(epoch) for path in logs for epoch in re.findall(r": Epoch (\d+) *$", path.read_text(), re.MULTILINE)]


@pytest.fixture(scope="session")
def python() -> str:
    return sys.executable


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Prepare dataset 3: three simulated patients in three folds, a tiny segmentor, and tests/grid_trainers."""
    folder = tmp_path_factory.mktemp("small_dataset")
    release = simulate_release(folder, cases=3, seed=1)
    run = Commands(folder)
    run.environment |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}  # few processes
    run("segan_nnunet", "convert", "brats2015", str(release), "-d", "3", "--channels", "T1c", "FLAIR")
    run("segan_nnunet", "plan", "-d", "3", "--width", "4", "--batch-size", "4", "--patch-size", "48", "48")
    run("segan_nnunet", "split", "-d", "3", "-k", "3")
    trainers = (run.environment["nnUNet_extTrainer"], str(Path(__file__).parent / "grid_trainers"))
    run.environment["nnUNet_extTrainer"] = os.pathsep.join(trainers)
    return run
