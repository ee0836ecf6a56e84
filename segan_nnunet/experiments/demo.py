"""`demo`: run the whole pipeline on a simulated BRATS 2015 release, with the commands that a user types."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.data.environment import default_processes, device_here
from segan_nnunet.data.releases.simulation import simulate_release
from segan_nnunet.errors import InputError
from segan_nnunet.outputs import check_room, made_folder

DATASET_ID = 15
TRAINERS = ("SegANTrainer_short", "UNetSoftmaxTrainer_short", "UNetDiceCETrainer_short")
WIDTH = 16  # a quarter of the paper's, for a laptop
BATCH_SIZE = 12
FOLD = "0"
FEWEST_CASES = 5  # one per fold


def run_demo(folder: Path, cases: int = 20, seed: int = 0, device: str | None = None) -> Path:
    """Simulate a release and run convert, plan, split, three short trainers on one fold, and compare.

    `folder` keeps the release, nnU-Net's three folders, the table and the pictures.

    Args:
        folder: a new or empty folder.
        cases: number of simulated patients. The demo holds out a fifth of them.
        seed: seed of the simulation.
        device: cpu, cuda or mps. The default is cuda if the machine has it, else cpu.

    Returns:
        The folder of the table and the pictures.

    Raises:
        InputError: the folder is not empty or cannot be written, `cases` is too small, the device is missing, or a
            command fails.
    """
    if cases < FEWEST_CASES:
        raise InputError(f"{cases} cases are too few for {FEWEST_CASES} folds. Give --cases {FEWEST_CASES} or more")
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
    """Return environment variables that put nnU-Net's folders into `folder` and let nnU-Net find our trainers."""
    processes = str(default_processes())
    folders = {f"nnUNet_{part}": str(folder / f"nnUNet_{part}") for part in ("raw", "preprocessed", "results")}
    for path in folders.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    return {
        "nnUNet_def_n_proc": processes,  # every worker imports torch, so more workers than processors only cost time
        "nnUNet_n_proc_DA": processes,
        **os.environ,
        **folders,
        "nnUNet_extTrainer": str(catalogue_folder("trainers")),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "PYTHONUNBUFFERED": "1",  # show progress in a log file too
        "PYTHONWARNINGS": "ignore::FutureWarning,ignore::DeprecationWarning",  # libraries print these in every worker
    }


def run(command: list[str], environment: dict[str, str]) -> None:
    """Print a command as a user types it, and run it.

    Raises:
        InputError: the command fails.
    """
    print(f"\n$ {shlex.join(command)}", flush=True)
    status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        raise InputError(f"`{shlex.join(command)}` failed with status {status}. Its last lines above give the reason")
