"""A grid of trainings: its jobs, and the state of each, read from the job's own folder.

The folder says everything but one thing: whether SLURM still has the job. SLURM's queue is asked for that.
"""

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

LOCK = FOLD_LOCK
LOG = "crossval.log"  # all that the commands printed, attempt after attempt
RECORD = "crossval.json"  # of the latest attempt: host and pid while it runs, then its status
SLURM_ID = "crossval.slurm"  # the SLURM job it was last submitted as

EPOCH = re.compile(r": Epoch (?:(\d+) *$|time: ([\d.]+) s)", re.MULTILINE)  # of nnU-Net's log: begun, or ended
ATTEMPT = "\n$ "  # begins the line of a command in our log
# the last two are all that torch says when a disk fills under a checkpoint of nnU-Net's own trainers
DISK_FULL = re.compile(
    r"No space left on device|Disk quota exceeded|\bErrno 28\b|\bENOSPC\b|unexpected pos \d+ vs \d+|file write failed"
)


@dataclass(frozen=True)
class Job:
    """One training with its validation: a trainer, plans, and a fold.

    Attributes:
        dataset: DatasetXXX_Name.
        device: cpu, cuda or mps, as nnU-Net knows them.
        num_gpus: of one training; more than one is nnU-Net's DDP.
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
        """Where nnU-Net keeps this training."""
        model = ModelName(self.trainer, self.plans, self.configuration)
        return nnunet_folder("nnUNet_results") / self.dataset / str(model) / f"fold_{self.fold}"

    def command(self) -> list[str]:
        """Return the `nnUNetv2_train` command that brings this training to its end from where it is now."""
        command = ["nnUNetv2_train", str(dataset_number(self.dataset)), self.configuration, str(self.fold)]
        command += ["-tr", self.trainer, "-p", self.plans, "-device", self.device]
        command += ["-num_gpus", str(self.num_gpus)] if self.num_gpus > 1 else []
        if (self.folder / FINAL).is_file():
            return [*command, "--val"]  # --c would do too, but it loads the training data and draws everything again
        return [*command, "--c"] if newest_checkpoint(self.folder) else command


class State(TextEnum):
    """The state of a job in one word."""

    FINISHED = "finished"
    RUNNING = "running"
    QUEUED = "queued"  # in SLURM's queue, and not training: pending, starting, or coming to its end
    WAITING = "waiting"
    FAILED = "failed"
    INSTALLED = "installed"


@dataclass(frozen=True)
class JobState:
    """The state of a job, and its explanation."""

    state: State
    detail: str = ""


class Outcome(NamedTuple):
    """How a grid ended, or was submitted: whether all went well, and what to print."""

    ok: bool
    text: str


@dataclass(frozen=True)
class Grid:
    """Trainers x plans x folds x seeds, to be cross-validated and compared.

    Attributes:
        dataset: DatasetXXX_Name.
        baseline: the trainer that the others are tested against; by default the first.
        published: append the paper's rows to Table 1.
        seeds: every job is trained once per seed, as NAME_seed3; none: once, drawn by chance.
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
        """Return the names under which a trainer is trained: its own, or one per seed."""
        return [seeded(trainer, seed) for seed in self.seeds] or [trainer]

    def jobs(self) -> list[Job]:
        """List all jobs, a fold of every method before the next fold: an unfinished grid can be compared too."""
        return [
            Job(self.dataset, self.configuration, name, plans, fold, self.device, self.num_gpus)
            for fold, trainer, plans in itertools.product(self.folds, self.trainers, self.plans)
            for name in self.names_of(trainer)
        ]

    def open_jobs(self) -> list[Job]:
        """List the jobs that are not finished."""
        return [job for job in self.jobs() if not is_finished(job.folder)]

    def table(self, queue: Mapping[str, str] | None = None) -> dict[Job, JobState]:
        """Read the state of each job.

        Args:
            queue: SLURM's, as `slurm_queue` returns it. By default SLURM is asked, and where it does not answer the
                folders alone are read.
        """
        with suppress(InputError):
            queue = slurm_queue(self.jobs()) if queue is None else queue
        return {job: read_state(job.folder, queue) for job in self.jobs()}

    def compare_command(self) -> str:
        """Return the command of the grid's comparison."""
        command = ["segan_nnunet", "compare", "-d", str(dataset_number(self.dataset)), "-c", self.configuration]
        command += ["-tr", *self.trainers, "-p", *self.plans, "--folds", *map(str, self.folds)]
        command += ["--seeds", *map(str, self.seeds)] if self.seeds else []
        command += ["--baseline", self.baseline] if self.baseline else []
        return shlex.join([*command, *(["--published"] if self.published else [])])


def is_finished(folder: Path) -> bool:
    """Whether training and validation are complete, with the predictions; nnU-Net writes the summary last."""
    written = all((folder / name).is_file() for name in (FINAL, SUMMARY))
    return written and not is_exported(folder) and not missing_predictions(folder)


def slurm_queue(jobs: Sequence[Job]) -> dict[str, str]:
    """Ask SLURM for the states, such as PENDING, of this user's jobs, by id; of an array one by one.

    Args:
        jobs: if none of them was ever submitted, or there is no SLURM here, the queue is empty.

    Raises:
        InputError: SLURM does not answer; with an empty queue all jobs would be submitted a second time.
    """
    if shutil.which("squeue") is None or not any(submitted_as(job.folder) for job in jobs):
        return {}
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            f"SLURM does not say which jobs are queued: {done.stderr.strip()}. Give the command again later"
        )
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip())


def submitted_as(folder: Path) -> str:
    """Return the id of the SLURM job as which a job was last submitted; empty if it never was."""
    path = folder / SLURM_ID
    return path.read_text().strip() if path.is_file() else ""


def read_state(folder: Path, queue: Mapping[str, str] | None = None, lock_is_ours: bool = False) -> JobState:
    """Read the state of a job.

    Args:
        folder: of the job.
        queue: SLURM's, as `slurm_queue` returns it. A job in it has not failed yet, whatever its last attempt left
            behind: SLURM may still be ending it, or start it again.
        lock_is_ours: the caller holds the fold's lock, and its training has ended.
    """
    if is_finished(folder):
        return JobState(State.FINISHED)
    record, progress, slurm_id = read_record(folder), read_progress(folder), submitted_as(folder)
    if not lock_is_ours and is_locked(folder / LOCK):
        host = f" on {record['host']}" if record.get("host") else ""
        return JobState(State.RUNNING, f"{progress or 'starting'}{host}")
    if queue and slurm_id in queue:
        return JobState(State.QUEUED, f"SLURM job {slurm_id} is {queue[slurm_id]}")
    if is_exported(folder):
        return JobState(State.INSTALLED, "an exported model, which was not trained here")
    if (status := record.get("status")) is not None:
        return JobState(State.FAILED, describe_failure(status, folder / LOG))
    details = ["trained, its predictions are not here"] if missing_predictions(folder) else []
    details += [f"submitted as SLURM job {slurm_id}"] if slurm_id else []
    if progress:
        details.append(f"stopped after epoch {progress.done}{f' of {progress.asked}' if progress.asked else ''}")
    return JobState(State.WAITING, ", ".join(details))


class Progress(NamedTuple):
    """Epochs done, of how many (None: not known yet), and their durations in s since the training was last started."""

    done: int
    asked: int | None
    durations: list[float]

    def __str__(self) -> str:
        """E.g. `epoch 5 of 12, 0:01:10 left`."""
        if self.asked is None:
            return f"epoch {self.done + 1}"
        if self.done >= self.asked:
            return "validating"
        seconds = seconds_left(self.durations, self.asked - self.done) if self.durations else None
        left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
        return f"epoch {self.done + 1} of {self.asked}{left}"


def read_progress(folder: Path) -> Progress | None:
    """Read the progress from the latest of nnU-Net's logs that has an epoch; the same for every trainer."""
    for path in sorted(folder.glob("training_log_*.txt"), key=lambda log: log.stat().st_mtime, reverse=True):
        events = EPOCH.findall(path.read_text(errors="replace"))
        if begun := [int(number) for number, _ in events if number]:
            asked = str(optional_object(folder / "debug.json").get("num_epochs"))  # not there yet, or half written
            done = begun[-1] + (not events[-1][0])  # nnU-Net counts from 0
            durations = [float(seconds) for _, seconds in events if seconds]
            return Progress(done, int(asked) if asked.isdecimal() else None, durations)
    return None


def describe_failure(status: int | str, log: Path) -> str:
    """Say how the latest attempt of a job ended, with the last line of its log that is not empty.

    Args:
        status: of the process, as `subprocess` has it, or the reason in words.
        log: all that the attempts printed.
    """
    if isinstance(status, int):
        status = f"stopped by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    attempt = log.read_text(errors="replace").rpartition(ATTEMPT)[2].strip() if log.is_file() else "no log"
    last_line = attempt.rpartition("\n")[2].strip()[-300:] or "empty log"
    return f"{status}{', disk full' if DISK_FULL.search(attempt) else ''}: {last_line}"


def read_record(folder: Path) -> dict[str, Any]:
    """Read the record of the latest attempt; empty if there is none."""
    return optional_object(folder / RECORD)


def write_record(folder: Path, **record: Any) -> None:
    """Replace the record of the latest attempt, atomically."""
    write_json(folder / RECORD, record)


def status_table(table: Mapping[Job, JobState], only_unfinished: bool = False) -> str:
    """Return a line per job, or per job that is not finished, and the number of jobs in each state."""
    shown = [
        (job.trainer, job.plans, str(job.fold), str(state.state), state.detail)
        for job, state in table.items()
        if not only_unfinished or state.state is not State.FINISHED
    ]
    rows = [("trainer", "plans", "fold", "state", ""), *shown] if shown else []
    widths = [max(len(row[column]) for row in rows) for column in range(4)] if shown else []
    lines = ["  ".join([*map(str.ljust, row[:4], widths), row[4]]).rstrip() for row in rows]
    counts = Counter(state.state for state in table.values())
    total = f"{len(table)} jobs: " + ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return "\n".join([*lines, total])
