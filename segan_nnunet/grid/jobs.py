"""A grid of trainings: its jobs, and the state of each job, read from the job's folder and from SLURM's queue."""

import itertools
import re
import shlex
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from segan_nnunet.data.environment import dataset_number, nnunet_folder
from segan_nnunet.data.progress import seconds_left
from segan_nnunet.errors import InputError
from segan_nnunet.folds.locks import FOLD_LOCK, is_locked
from segan_nnunet.folds.state import FINAL, SUMMARY, is_exported, missing_predictions, newest_checkpoint
from segan_nnunet.text_enum import TextEnum
from segan_nnunet.text_files import optional_object, write_json
from segan_nnunet.trainer_names import ModelName, seeded

LOG = "crossval.log"  # the output of all attempts
ATTEMPT = "crossval.json"  # the latest attempt: host and pid while it runs, then its status
SLURM_ID = "crossval.slurm"  # id of the SLURM job that was submitted last

EPOCH = re.compile(r": Epoch (?:(\d+) *$|time: ([\d.]+) s)", re.MULTILINE)  # start or end of an epoch in nnU-Net's log
PROMPT = "\n$ "  # starts a command's line in our log
# a full disk; the last two texts are torch's, for a checkpoint of nnU-Net's own trainers
DISK_FULL = re.compile(
    r"No space left on device|Disk quota exceeded|\bErrno 28\b|\bENOSPC\b|unexpected pos \d+ vs \d+|file write failed"
)


@dataclass(frozen=True)
class Job:
    """One training with its validation: a trainer, plans, and a fold.

    Attributes:
        dataset: DatasetXXX_Name.
        device: cpu, cuda or mps, as nnU-Net names them.
        num_gpus: GPUs of the training; with more than one nnU-Net uses DDP.
    """

    dataset: str
    configuration: str
    trainer: str
    plans: str
    fold: int
    device: str
    num_gpus: int = 1

    def __str__(self) -> str:
        """E.g. `SegANTrainer SegANPlans fold 0`."""
        return f"{self.trainer} {self.plans} fold {self.fold}"

    @property
    def preprocessed(self) -> Path:
        """The dataset's folder in nnUNet_preprocessed."""
        return nnunet_folder("nnUNet_preprocessed") / self.dataset

    @property
    def folder(self) -> Path:
        """The folder in which nnU-Net keeps this training."""
        model = ModelName(self.trainer, self.plans, self.configuration)
        return nnunet_folder("nnUNet_results") / self.dataset / str(model) / f"fold_{self.fold}"

    def command(self) -> list[str]:
        """Return the `nnUNetv2_train` command that starts, continues or validates this training."""
        command = ["nnUNetv2_train", str(dataset_number(self.dataset)), self.configuration, str(self.fold)]
        command += ["-tr", self.trainer, "-p", self.plans, "-device", self.device]
        command += ["-num_gpus", str(self.num_gpus)] if self.num_gpus > 1 else []
        if (self.folder / FINAL).is_file():
            return [*command, "--val"]  # --c would load the training data and draw all pictures again
        return [*command, "--c"] if newest_checkpoint(self.folder) else command


class State(TextEnum):
    """The state of a job in one word."""

    FINISHED = "finished"
    RUNNING = "running"
    QUEUED = "queued"  # in SLURM's queue but not training: pending, starting or ending
    WAITING = "waiting"
    FAILED = "failed"
    INSTALLED = "installed"


@dataclass(frozen=True)
class JobState:
    """The state of a job, and its explanation."""

    state: State
    detail: str = ""


class Outcome(NamedTuple):
    """The result of a grid's run or submission: whether all went well, and the text to print."""

    ok: bool
    text: str


@dataclass(frozen=True)
class Grid:
    """Trainers x plans x folds x seeds, to be cross-validated and compared.

    Attributes:
        dataset: DatasetXXX_Name.
        baseline: the trainer that the others are tested against; by default the first.
        published: whether to append the paper's rows to Table 1.
        seeds: seeds of each training, which is then called NAME_seed3; if empty, one training with a random seed.
    """

    dataset: str
    trainers: tuple[str, ...]
    plans: tuple[str, ...]
    folds: tuple[int, ...]
    configuration: str = "2d"
    device: str = "cuda"
    num_gpus: int = 1
    baseline: str | None = None
    published: bool = False
    seeds: tuple[int, ...] = ()

    def names_of(self, trainer: str) -> list[str]:
        """Return the names of a trainer's trainings: its own name, or one name per seed."""
        return [seeded(trainer, seed) for seed in self.seeds] or [trainer]

    def jobs(self) -> list[Job]:
        """Return all jobs, fold by fold, so that the methods of an unfinished grid can be compared."""
        return [
            Job(self.dataset, self.configuration, name, plans, fold, self.device, self.num_gpus)
            for fold, trainer, plans in itertools.product(self.folds, self.trainers, self.plans)
            for name in self.names_of(trainer)
        ]

    def open_jobs(self) -> list[Job]:
        """Return the unfinished jobs."""
        return [job for job in self.jobs() if not is_finished(job.folder)]

    def table(self, queue: Mapping[str, str] | None = None) -> dict[Job, JobState]:
        """Read the state of each job.

        Args:
            queue: as `slurm_queue` returns it; by default read from SLURM, and ignored if SLURM does not answer.
        """
        jobs = self.jobs()
        with suppress(InputError):
            queue = slurm_queue(jobs) if queue is None else queue
        return {job: read_state(job.folder, queue) for job in jobs}

    def compare_command(self) -> str:
        """Return the command that compares the grid's methods."""
        command = ["segan_nnunet", "compare", "-d", str(dataset_number(self.dataset)), "-c", self.configuration]
        command += ["-tr", *self.trainers, "-p", *self.plans, "--folds", *map(str, self.folds)]
        command += ["--seeds", *map(str, self.seeds)] if self.seeds else []
        command += ["--baseline", self.baseline] if self.baseline else []
        command += ["--published"] if self.published else []
        return shlex.join(command)


def is_finished(folder: Path) -> bool:
    """Return whether training and validation are complete, with the predictions. nnU-Net writes the summary last."""
    written = (folder / FINAL).is_file() and (folder / SUMMARY).is_file()
    return written and not is_exported(folder) and not missing_predictions(folder)


def slurm_queue(jobs: Sequence[Job]) -> dict[str, str]:
    """Return the state, such as PENDING, of each of this user's SLURM jobs by id, members of arrays included.

    The queue is empty if this machine has no SLURM, or none of the grid's `jobs` was ever submitted.

    Raises:
        InputError: SLURM does not answer. An empty queue would then submit all jobs a second time.
    """
    if shutil.which("squeue") is None or not any(submitted_as(job.folder) for job in jobs):
        return {}
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T"]
    squeue = subprocess.run(command, capture_output=True, text=True, check=False)
    if squeue.returncode:
        raise InputError(
            f"SLURM does not say which jobs are queued: {squeue.stderr.strip()}. Give the command again later"
        )
    return dict(line.split(maxsplit=1) for line in squeue.stdout.splitlines() if line.strip())


def submitted_as(folder: Path) -> str:
    """Return the id of the SLURM job that was submitted last for a fold; empty if there is none."""
    path = folder / SLURM_ID
    return path.read_text().strip() if path.is_file() else ""


def read_state(folder: Path, queue: Mapping[str, str] | None = None, lock_is_ours: bool = False) -> JobState:
    """Read the state of a job.

    Args:
        folder: the job's folder.
        queue: as `slurm_queue` returns it. A queued job has not failed, whatever its last attempt left in the folder:
            SLURM may still be ending that attempt, or start the job again.
        lock_is_ours: whether the caller holds the fold's lock, and its training has ended.
    """
    if is_finished(folder):
        return JobState(State.FINISHED)
    attempt, progress, slurm_id = optional_object(folder / ATTEMPT), read_progress(folder), submitted_as(folder)
    if not lock_is_ours and is_locked(folder / FOLD_LOCK):
        host = f" on {attempt['host']}" if attempt.get("host") else ""
        return JobState(State.RUNNING, f"{progress or 'starting'}{host}")
    if queue and slurm_id in queue:
        return JobState(State.QUEUED, f"SLURM job {slurm_id} is {queue[slurm_id]}")
    if is_exported(folder):
        return JobState(State.INSTALLED, "an exported model, which was not trained here")
    if (status := attempt.get("status")) is not None:
        return JobState(State.FAILED, describe_failure(status, folder / LOG))
    details = ["trained, its predictions are not here"] if missing_predictions(folder) else []
    details += [f"submitted as SLURM job {slurm_id}"] if slurm_id else []
    if progress:
        details.append(f"stopped after epoch {progress.done}{f' of {progress.total}' if progress.total else ''}")
    return JobState(State.WAITING, ", ".join(details))


class Progress(NamedTuple):
    """The progress of a training."""

    done: int  # finished epochs
    total: int | None  # epochs of the whole training; None if not known yet
    durations: list[float]  # seconds of each epoch since the training was last started

    def __str__(self) -> str:
        """E.g. `epoch 5 of 12, 0:01:10 left`."""
        if self.total is None:
            return f"epoch {self.done + 1}"
        if self.done >= self.total:
            return "validating"
        seconds = seconds_left(self.durations, self.total - self.done) if self.durations else None
        left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
        return f"epoch {self.done + 1} of {self.total}{left}"


def read_progress(folder: Path) -> Progress | None:
    """Read the progress of any trainer from nnU-Net's latest log that has an epoch."""
    for path in sorted(folder.glob("training_log_*.txt"), key=lambda log: log.stat().st_mtime, reverse=True):
        events = EPOCH.findall(path.read_text(errors="replace"))
        if started := [int(number) for number, _ in events if number]:
            total = str(optional_object(folder / "debug.json").get("num_epochs"))  # the file may be incomplete
            done = started[-1] + (not events[-1][0])  # nnU-Net counts from 0
            durations = [float(seconds) for _, seconds in events if seconds]
            return Progress(done, int(total) if total.isdecimal() else None, durations)
    return None


def describe_failure(status: int | str, log: Path) -> str:
    """Describe the end of a job's latest attempt by its return code or reason, and the last line of its log."""
    if isinstance(status, int):
        status = f"stopped by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    output = log.read_text(errors="replace").rpartition(PROMPT)[2].strip() if log.is_file() else "no log"
    last_line = output.rpartition("\n")[2].strip()[-300:] or "empty log"
    return f"{status}{', disk full' if DISK_FULL.search(output) else ''}: {last_line}"


def write_attempt(folder: Path, **attempt: Any) -> None:
    """Replace the record of the latest attempt, atomically."""
    write_json(folder / ATTEMPT, attempt)


def status_table(table: Mapping[Job, JobState], only_unfinished: bool = False) -> str:
    """Return a line per job, or per unfinished job, and the number of jobs in each state."""
    rows = [
        (job.trainer, job.plans, str(job.fold), str(state.state), state.detail)
        for job, state in table.items()
        if not only_unfinished or state.state is not State.FINISHED
    ]
    if rows:
        rows.insert(0, ("trainer", "plans", "fold", "state", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    counts = Counter(state.state for state in table.values())
    total = f"{len(table)} jobs: " + ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return "\n".join([*lines, total])
