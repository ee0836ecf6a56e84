"""Time the start of commands: medians of five runs, in turns.

usage: python studies/performance/start_up.py
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from segan_nnunet.catalogues import catalogue_folder

REPETITIONS = 5
BIN = Path(sys.executable).parent
FIND = (
    "from nnunetv2.run.run_training import run_training_entry; "
    "from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as find; find('{}')"
)
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "segan_nnunet --help": [str(BIN / "segan_nnunet"), "--help"],
    "segan_nnunet trainer-folder": [str(BIN / "segan_nnunet"), "trainer-folder"],
    "segan_nnunet convert --list": [str(BIN / "segan_nnunet"), "convert", "--list"],
    "import torch": [sys.executable, "-c", "import torch"],
    "imports of nnUNetv2_train and search for nnUNetTrainer": [sys.executable, "-c", FIND.format("nnUNetTrainer")],
    "imports of nnUNetv2_train and search for SegANTrainer": [sys.executable, "-c", FIND.format("SegANTrainer")],
}

environment = {**os.environ, "nnUNet_extTrainer": str(catalogue_folder("trainers"))}
seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
for repetition in range(REPETITIONS + 1):
    for name, command in COMMANDS.items():
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment)
        if repetition:  # the first run reads the files from the disk
            seconds[name].append(time.perf_counter() - started)
print("| command | s, median | fastest–slowest |\n| --- | ---: | ---: |")
for name, times in seconds.items():
    print(f"| `{name}` | {statistics.median(times):.2f} | {min(times):.2f}–{max(times):.2f} |")
