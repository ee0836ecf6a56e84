"""How far a job is, read from its own folder: nnU-Net's checkpoints and logs, our record, our lock.

The folder says everything but one thing: whether SLURM still has the job. SLURM's queue is asked for that, on machines
that have SLURM, and both `--status` and the next submission rest on the same answer.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from segan_nnunet.data.progress import seconds_left
from segan_nnunet.errors import InputError
from segan_nnunet.folds.locks import FOLD_LOCK, is_locked
from segan_nnunet.folds.state import FINAL, SUMMARY, is_exported, missing_predictions
from segan_nnunet.grid.jobs import Job
from segan_nnunet.text_enum import TextEnum
from segan_nnunet.text_files import optional_object

LOCK = FOLD_LOCK
LOG = "crossval.log"  # all that the commands printed, attempt after attempt
RECORD = "crossval.json"  # of the latest attempt: host and pid while it runs, then how it ended
SLURM_ID = "crossval.slurm"  # the SLURM job it was last submitted as

EPOCH = re.compile(r": Epoch (\d+) *$")
EPOCH_TIME = re.compile(r": Epoch time: ([\d.]+) s")
ATTEMPT = "\n$ "  # begins the line of a command in our log
# the last two are all that torch says when a disk fills under a checkpoint of nnU-Net's own trainers
DISK_FULL = re.compile(
    r"No space left on device|Disk quota exceeded|\bErrno 28\b|\bENOSPC\b|unexpected pos \d+ vs \d+|file write failed"
)


class State(TextEnum):
    """What is to be said of a job in one word."""

    FINISHED = "finished"
    RUNNING = "running"
    QUEUED = "queued"  # in SLURM's queue, and not training: pending, starting, or coming to its end
    WAITING = "waiting"
    FAILED = "failed"
    INSTALLED = "installed"


@dataclass(frozen=True)
class JobState:
    """The state of a job, and what else there is to know."""

    state: State
    detail: str = ""


@dataclass(frozen=True)
class Progress:
    """Epochs done, of how many (None: not known yet), and the seconds they will still take (None: not known yet)."""

    epochs_done: int
    num_epochs: int | None
    seconds_left: float | None

    def __str__(self) -> str:
        """E.g. `epoch 5 of 12, 0:01:10 left`."""
        if self.num_epochs is None:
            return f"epoch {self.epochs_done + 1}"
        if self.epochs_done >= self.num_epochs:
            return "validating"
        left = "" if self.seconds_left is None else f", {timedelta(seconds=round(self.seconds_left))} left"
        return f"epoch {self.epochs_done + 1} of {self.num_epochs}{left}"


def is_finished(folder: Path) -> bool:
    """Whether training and validation are complete, with the predictions; nnU-Net writes the summary last."""
    written = all((folder / name).is_file() for name in (FINAL, SUMMARY))
    return written and not is_exported(folder) and not missing_predictions(folder)


def slurm_queue() -> dict[str, str]:
    """Ask SLURM for its queue: the states of this user's jobs, such as PENDING, by id, an array's jobs one by one.

    Raises:
        InputError: SLURM does not say; an empty queue would submit all jobs a second time.
    """
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            f"SLURM does not say which jobs are queued: {done.stderr.strip()}. Give the command again later"
        )
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip())


def queue_if_any(folders: Sequence[Path]) -> dict[str, str]:
    """Return SLURM's queue, or an empty one where no job was submitted, or SLURM is not here or does not answer."""
    if shutil.which("squeue") is None or not any((folder / SLURM_ID).is_file() for folder in folders):
        return {}
    try:
        return slurm_queue()
    except InputError:
        return {}


def submitted_as(folder: Path) -> str:
    """The id of the SLURM job as which a job was last submitted; empty if it never was."""
    try:
        return (folder / SLURM_ID).read_text().strip()
    except OSError:
        return ""


def read_state(folder: Path, queue: Mapping[str, str] | None = None) -> JobState:
    """Read the state of the job whose folder this is.

    Args:
        folder: of the job.
        queue: SLURM's, as `slurm_queue` has it. A job in it has not failed yet, whatever its last attempt left behind:
            SLURM may still be ending it, or start it again.
    """
    if is_finished(folder):
        return JobState(State.FINISHED)
    if is_locked(folder / LOCK):
        host = read_record(folder).get("host", "")
        return JobState(State.RUNNING, f"{read_progress(folder) or 'starting'}{f' on {host}' if host else ''}")
    slurm_id = submitted_as(folder)
    if queue and slurm_id in queue:
        return JobState(State.QUEUED, f"SLURM job {slurm_id} is {queue[slurm_id]}")
    return read_ended_state(folder)


def read_ended_state(folder: Path) -> JobState:
    """Read the state of a job that nobody trains now."""
    if is_finished(folder):
        return JobState(State.FINISHED)
    if is_exported(folder):
        return JobState(State.INSTALLED, "an exported model, which was not trained here")
    progress = read_progress(folder)
    if (status := read_record(folder).get("status")) is not None:
        full = ", disk full" if DISK_FULL.search(last_attempt(folder / LOG)) else ""
        return JobState(State.FAILED, f"{how_it_ended(status)}{full}: {last_line(folder / LOG)}")
    details = []
    if missing_predictions(folder):
        details.append("trained, its predictions are not here")
    if slurm_id := submitted_as(folder):
        details.append(f"submitted as SLURM job {slurm_id}")
    if progress:
        total = f" of {progress.num_epochs}" if progress.num_epochs else ""
        details.append(f"stopped after epoch {progress.epochs_done}{total}")
    return JobState(State.WAITING, ", ".join(details))


def read_progress(folder: Path) -> Progress | None:
    """Read the progress from the latest of nnU-Net's logs that has an epoch; the same for every trainer."""
    for path in sorted(folder.glob("training_log_*.txt"), key=lambda log: log.stat().st_mtime, reverse=True):
        done, durations = parse_log(path.read_text(errors="replace"))
        if done is not None:
            num_epochs = read_num_epochs(folder)
            if num_epochs is None or not durations:
                return Progress(done, num_epochs, None)
            return Progress(done, num_epochs, seconds_left(durations, num_epochs - done))
    return None


def parse_log(text: str) -> tuple[int | None, list[float]]:
    """Return the epochs done according to nnU-Net's log (None: no epoch was begun), and their durations in s."""
    done: int | None = None
    durations: list[float] = []
    for line in text.splitlines():
        if match := EPOCH.search(line):
            done = int(match[1])  # begun; as many are done, since nnU-Net counts from 0
        elif done is not None and (match := EPOCH_TIME.search(line)):
            done += 1
            durations.append(float(match[1]))
    return done, durations


def read_num_epochs(folder: Path) -> int | None:
    """Number of epochs of the whole training, which nnU-Net notes at its start."""
    try:
        return int(optional_object(folder / "debug.json")["num_epochs"])
    except (KeyError, TypeError, ValueError):  # not there yet, half written, or of a trainer without epochs
        return None


def last_attempt(path: Path) -> str:
    """What the latest command in a log printed; empty where there is no log."""
    try:
        return path.read_text(errors="replace").rpartition(ATTEMPT)[2]
    except OSError:
        return ""


def last_line(path: Path, length: int = 300) -> str:
    """The last line of a log that is not empty."""
    if not path.is_file():
        return "no log"
    lines = last_attempt(path).split("\n")
    return next((line.strip()[-length:] for line in reversed(lines) if line.strip()), "empty log")


def how_it_ended(status: int | str) -> str:
    """Say how a process ended: what the record says in words, or a status as `subprocess` has it."""
    if isinstance(status, str):
        return status
    if status < 0:
        return f"stopped by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def read_record(folder: Path) -> dict[str, Any]:
    """Read the record of the latest attempt; empty if there is none."""
    return optional_object(folder / RECORD)


def write_record(folder: Path, **record: Any) -> None:
    """Replace the record of the latest attempt, atomically."""
    partial = folder / f".{RECORD}.partial"
    partial.write_text(json.dumps(record))
    os.replace(partial, folder / RECORD)


def status_table(states: Mapping[Job, JobState], only_unfinished: bool = False) -> str:
    """One line per job, or per job that is not finished, and the number of jobs in each state."""
    shown = [
        (job.trainer, job.plans, str(job.fold), str(state.state), state.detail)
        for job, state in states.items()
        if not only_unfinished or state.state is not State.FINISHED
    ]
    rows = [("trainer", "plans", "fold", "state", ""), *shown] if shown else []
    widths = [max(len(row[column]) for row in rows) for column in range(4)] if shown else []
    lines = ["  ".join([*map(str.ljust, row[:4], widths), row[4]]).rstrip() for row in rows]
    counts = Counter(state.state for state in states.values())
    total = f"{len(states)} jobs: " + ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return "\n".join([*lines, total])
