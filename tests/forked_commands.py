"""Run many nnU-Net commands, each in a process forked from one that has already imported nnU-Net.

A new Python process takes seconds to import torch and nnU-Net, and so does every worker that nnU-Net spawns: with small
trainings that is nearly all of their time. Here the commands' own entry points run in forked processes. `small` ones
stay on one thread each, draw no pictures of their progress, which take longer than their epochs, and fork workers.

Reads {"jobs": how many at once, "small": true or false, "environment": {...}, "commands": [{"argv": [...], "log": FILE,
"errors": FILE, "kill_after": seconds or null}, ...]} as JSON, a line each, from standard input. Prints, for each, the
list of exit statuses, negative for a signal, as JSON.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from typing import Any
from unittest import mock

import nnunetv2.utilities.utils
import torch
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
from nnunetv2.inference.predict_from_raw_data import predict_entry_point
from nnunetv2.run.run_training import run_training_entry
from nnunetv2.training.logging.nnunet_logger import LocalLogger
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

import segan_nnunet.comparison
import segan_nnunet.grid.crossval  # noqa: F401
from segan_nnunet.cli import main
from segan_nnunet.training.run import critics

ENTRY_POINTS: dict[str, Callable[[], None]] = {
    "segan_nnunet": main,
    "nnUNetv2_train": run_training_entry,
    "nnUNetv2_predict": predict_entry_point,
}
THREADS = torch.get_num_threads()


def replace(owner: object, name: str, value: object) -> None:
    """Replace an existing attribute permanently."""
    mock.patch.object(owner, name, value).start()


def save_resources() -> None:
    """Use one thread, no pictures, few intensities, and forked instead of spawned workers, here and in child processes.

    nnU-Net draws 1e8 intensities for the percentiles of even the smallest dataset, and lists files in 12 processes.
    """
    torch.set_num_threads(1)
    replace(torch, "set_num_threads", lambda count: None)  # nnU-Net sets as many threads as there are processors
    replace(LocalLogger, "plot_progress_png", lambda self, folder: None)
    replace(critics, "plot_game", lambda *_: None)
    replace(nnunetv2.utilities.utils, "Pool", ThreadPool)
    make_extractor = DatasetFingerprintExtractor.__init__

    def extractor(self: DatasetFingerprintExtractor, *arguments: Any, **options: Any) -> None:
        make_extractor(self, *arguments, **options)
        self.num_foreground_voxels_for_intensitystats = 1e5

    replace(DatasetFingerprintExtractor, "__init__", extractor)
    forking = multiprocessing.get_context("fork")
    replace(multiprocessing, "get_context", lambda method=None: forking)


def import_trainers() -> None:
    """Import all of nnU-Net's own trainers, as its search for one of our trainers does: seconds in every process."""
    os.environ.pop("nnUNet_extTrainer", None)
    with contextlib.suppress(RuntimeError):
        recursive_find_trainer_class_by_name("there is no such trainer")


def start(command: dict[str, Any]) -> int:
    """Fork a process for a command, in its own process group; return its process id."""
    number = os.fork()
    if number:
        return number
    os.setpgid(0, 0)
    for stream, file in ((1, command["log"]), (2, command["errors"])):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1) for stream in (1, 2))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(command["environment"])
    if command["small"]:
        save_resources()
    else:
        torch.set_num_threads(THREADS)
    sys.argv = command["argv"]
    status = 1
    try:
        if command["argv"][0] not in ENTRY_POINTS:  # a shell command
            os.execvp(command["argv"][0], command["argv"])
        ENTRY_POINTS[command["argv"][0]]()
        status = 0
    except SystemExit as ended:
        if isinstance(ended.code, str):  # a message, which Python prints when a normal process ends
            print(ended.code, file=sys.stderr)
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run(commands: list[dict[str, Any]], jobs: int) -> list[int]:
    """Run the commands, `jobs` at the same time; return their exit statuses."""
    statuses = [0] * len(commands)
    waiting = list(enumerate(commands))
    running: dict[int, tuple[int, float]] = {}  # process id: index, deadline
    while waiting or running:
        while waiting and len(running) < jobs:
            index, command = waiting.pop(0)
            deadline = time.monotonic() + (command.get("kill_after") or 600)
            running[start(command)] = index, deadline
        for number, (index, deadline) in list(running.items()):
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                statuses[index] = os.waitstatus_to_exitcode(status)
                del running[number]
            elif time.monotonic() > deadline:
                os.killpg(number, signal.SIGKILL)
        time.sleep(0.01)
    return statuses


if __name__ == "__main__":
    torch.set_num_threads(1)  # a process with active threads must not fork
    main_module = sys.modules["__main__"]
    main_module.__spec__ = None  # so that spawned workers do not import all of this again
    del main_module.__file__
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = sys.stderr
    import_trainers()
    for line in sys.stdin:
        request = json.loads(line)
        shared = {"small": request["small"], "environment": request["environment"]}
        statuses = run([{**shared, **command} for command in request["commands"]], request["jobs"])
        answers.write(json.dumps(statuses) + "\n")
