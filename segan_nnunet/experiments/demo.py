"""`demo`: the whole job on a simulated BRATS 2015 release, with the commands that a user would type."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.data.environment import device_here, number_of_processes
from segan_nnunet.data.releases.simulation import simulate_release
from segan_nnunet.errors import InputError
from segan_nnunet.outputs import check_room, made_folder

DATASET_ID = 15
TRAINERS = ("SegANTrainer_short", "UNetSoftmaxTrainer_short", "UNetDiceCETrainer_short")
WIDTH = 16  # a quarter of the paper's, for a laptop
BATCH_SIZE = 12
FOLD = "0"
FEWEST_CASES = 5  # as many as there are folds


def run_demo(folder: Path, cases: int = 20, seed: int = 0, device: str | None = None) -> Path:
    """Simulate a release and run convert, plan, split, three short trainers on one fold, and compare.

    Everything is kept in `folder`: the release, nnU-Net's three folders, the table and the pictures.

    Args:
        folder: must be new or empty.
        cases: simulated patients; a fifth of them is held out.
        seed: of the simulation.
        device: cpu, cuda or mps; by default cuda where there is one, else cpu.

    Returns:
        The folder of the table and the pictures.

    Raises:
        InputError: the folder is in use or cannot be written, too few cases, a device that is not there, or a command
            failed.
    """
    if cases < FEWEST_CASES:
        raise InputError(f"{cases} cases are too few for {FEWEST_CASES} folds; give --cases {FEWEST_CASES} or more")
    device = device_here(device)
    started = time.monotonic()
    with made_folder(folder, "FOLDER"):
        check_room(folder, option="FOLDER")
        folder = folder.resolve()
        release = simulate_release(folder, cases, seed)
    environment = nnunet_environment(folder)
    dataset, output = str(DATASET_ID), folder / "comparison"
    run(["segan_nnunet", "convert", "brats2015", str(release), "-d", dataset], environment)
    run(["segan_nnunet", "plan", "-d", dataset, "--width", str(WIDTH), "--batch-size", str(BATCH_SIZE)], environment)
    run(["segan_nnunet", "split", "-d", dataset], environment)
    for trainer in TRAINERS:
        run(["nnUNetv2_train", dataset, "2d", FOLD, "-tr", trainer, "-p", "SegANPlans", "-device", device], environment)
    compare = ["segan_nnunet", "compare", "-d", dataset, "-c", "2d", "-tr", *TRAINERS, "--baseline", TRAINERS[1]]
    compare += ["--published", "-o", str(output)]
    run(compare, environment)
    print(f"\nThe demo took {(time.monotonic() - started) / 60:.1f} minutes. Look at {output / 'figure3.png'} "
          f"and open {output / 'report.html'}")  # fmt: skip
    return output


def nnunet_environment(folder: Path) -> dict[str, str]:
    """Environment variables that put nnU-Net's folders into `folder` and our trainers within its reach."""
    processes = str(number_of_processes())
    folders = {f"nnUNet_{part}": str(folder / f"nnUNet_{part}") for part in ("raw", "preprocessed", "results")}
    for path in folders.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    return {
        "nnUNet_def_n_proc": processes,  # every worker imports torch: more than processors only costs time
        "nnUNet_n_proc_DA": processes,
        **os.environ,
        **folders,
        "nnUNet_extTrainer": str(catalogue_folder("trainers")),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "PYTHONUNBUFFERED": "1",  # so that progress shows in a log file too
        "PYTHONWARNINGS": "ignore::FutureWarning,ignore::DeprecationWarning",  # of libraries, at every worker's start
    }


def run(command: list[str], environment: dict[str, str]) -> None:
    """Print a command as the user would type it, and run it.

    Raises:
        InputError: it failed.
    """
    print(f"\n$ {shlex.join(command)}", flush=True)
    status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        raise InputError(f"`{shlex.join(command)}` ended with status {status}; its last lines above say why")
