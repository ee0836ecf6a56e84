"""Shared by the tests: small networks, a small simulated release, and nnU-Net's commands in their own processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segan_nnunet.data.simulation import simulate_release
from segan_nnunet.experiments.demo import nnunet_environment
from tests.hand_made import write_2015_case

PATIENTS_VARIABLE = "SEGAN_SIX_PATIENTS"


@pytest.fixture
def nnunet_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """nnU-Net's three folders, empty, in a temporary folder; returns that folder."""
    for part in ("raw", "preprocessed", "results"):
        folder = tmp_path / f"nnUNet_{part}"
        folder.mkdir()
        monkeypatch.setenv(f"nnUNet_{part}", str(folder))
    return tmp_path


@pytest.fixture
def release_2015(tmp_path: Path) -> Path:
    """Three cases: two scans of one high-grade patient, and one low-grade patient."""
    release = tmp_path / "BRATS2015_Training"
    write_2015_case(release, "HGG", "brats_tcia_pat118_0001", 100)
    write_2015_case(release, "HGG", "brats_tcia_pat118_0014", 200)
    write_2015_case(release, "LGG", "brats_2013_pat0001_1", 300)
    return release


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A layout of a user's own: NIfTI, label values with gaps."""
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


@pytest.fixture(scope="session")
def six_patients() -> Path:
    """The six real BRATS 2015 patients, or a skip."""
    folder = os.environ.get(PATIENTS_VARIABLE)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"{PATIENTS_VARIABLE} does not name the folder of the six BRATS 2015 patients (docs/results.md)")
    return Path(folder)


class Commands:
    """Runs commands as a user does: in new processes, on nnUNet_extTrainer and nnU-Net's three variables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = nnunet_environment(folder)

    def __call__(self, *command: str, succeeds: bool = True) -> str:
        """Run a command and return what it printed; check how it ended."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == succeeds, (
            f"{' '.join(command)} ended with {done.returncode}:\n{output[-4000:]}"
        )
        return output

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, so that it can be killed with its workers."""
        with (self.folder / "started.log").open("wb") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)


@pytest.fixture(scope="session")
def python() -> str:
    return sys.executable


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Dataset 3: three simulated patients in three folds, a tiny segmentor, and the trainers of tests/grid_trainers."""
    folder = tmp_path_factory.mktemp("small_dataset")
    release = simulate_release(folder, cases=3, seed=1)
    run = Commands(folder)
    run("segan_nnunet", "convert", "brats2015", str(release), "-d", "3", "--channels", "T1c", "FLAIR")
    run("segan_nnunet", "plan", "-d", "3", "--width", "4", "--batch-size", "4", "--patch-size", "48", "48")
    run("segan_nnunet", "split", "-d", "3", "-k", "3")
    trainers = (run.environment["nnUNet_extTrainer"], str(Path(__file__).parent / "grid_trainers"))
    run.environment["nnUNet_extTrainer"] = os.pathsep.join(trainers)
    run.environment |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}  # few processes, each of which imports torch
    return run
