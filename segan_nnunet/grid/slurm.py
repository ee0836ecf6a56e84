"""The executor for a SLURM cluster, on submitit: an array of jobs that requeue, and nothing left on the head node."""

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.helpers import DelayedSubmission

from segan_nnunet.data.environment import nnunet_folder
from segan_nnunet.errors import InputError
from segan_nnunet.grid.checks import check_trainers
from segan_nnunet.grid.crossval import compare_command, finish, names_of_trainers, prepare, states_of
from segan_nnunet.grid.fold_records import check_folds, shorter_trainings
from segan_nnunet.grid.jobs import Grid, Job
from segan_nnunet.grid.run_job import job_environment, run_job
from segan_nnunet.grid.run_state import LOG, SLURM_ID, State, slurm_queue, submitted_as, write_record

FRUITLESS_ATTEMPTS = 3  # without a new checkpoint, after which a job is not requeued
REPORT_MIN = 60  # time limit of the comparison
LOCK_S = 300  # a file server keeps the lock of a node that has died for a minute or two
MOST_AT_ONCE = 256
SLURM_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")


@dataclass(frozen=True)
class SlurmOptions:
    """What each job asks of SLURM.

    Attributes:
        partition: None for the cluster's default.
        time_min: time limit of one attempt, in minutes; a job may take as many attempts as it needs.
        gpus: GPUs per job; more than one is nnU-Net's DDP.
        memory_gb: memory per job.
        cpus: processor cores per job; nnU-Net augments with as many processes.
        at_once: most jobs that run at the same time.
        extra: further options of sbatch as KEY=VALUE, such as account=brain.
    """

    partition: str | None = None
    time_min: int = 24 * 60
    gpus: int = 1
    memory_gb: float = 32
    cpus: int = 8
    at_once: int = MOST_AT_ONCE
    extra: tuple[str, ...] = ()


def minutes(time: str) -> int:
    """Read a time limit as SLURM writes it: minutes, [hours:]minutes:seconds, or days-hours[:minutes[:seconds]].

    Raises:
        InputError: it is not one, or less than a minute.
    """
    match = SLURM_TIME.fullmatch(time)
    if not match:
        raise InputError(f"--time {time} is not one of SLURM's forms: minutes, hours:minutes:seconds, days-hours")
    numbers = [int(match[part] or 0) for part in ("first", "second", "third")]
    if match["days"] is not None:
        hours, mins, seconds = numbers
        hours += 24 * int(match["days"])
    elif match["third"] is not None:
        hours, mins, seconds = numbers
    else:
        hours, (mins, seconds) = 0, numbers[:2]
    total = hours * 60 + mins + -(-seconds // 60)
    if total < 1:
        raise InputError(f"--time {time} is less than a minute, SLURM's shortest")
    return total


class TrainJob:
    """A job as submitit submits it. At SLURM's warning, before a preemption or the time limit, it is requeued.

    It needs to save nothing then: every epoch has been saved, and the next attempt continues from there.
    """

    def __init__(self, job: Job, cpus: int) -> None:
        self.job = job
        self.cpus = cpus
        self.saved: dict[str, int] = {}
        self.fruitless = 0

    def __call__(self) -> None:
        """Bring the job to its end."""
        self.saved = checkpoint_times(self.job.folder)
        environment = job_environment(self.cpus, self.job.device)
        state = run_job(self.job, environment, LOCK_S, own_group=False)
        print(f"{self.job}: {state.state} {state.detail}", flush=True)
        if state.state is State.FAILED:
            raise FailedJobError(f"{self.job} failed: {state.detail}; see {self.job.folder / LOG}")

    def checkpoint(self) -> DelayedSubmission | None:
        """Requeue, unless several attempts in a row saved nothing: then the time limit is too short."""
        self.fruitless = 0 if checkpoint_times(self.job.folder) != self.saved else self.fruitless + 1
        if self.fruitless >= FRUITLESS_ATTEMPTS:
            why = f"gave up after {self.fruitless} attempts without a new checkpoint; a longer --time is needed"
            write_record(self.job.folder, status=why)
            return None
        return DelayedSubmission(self)


class Report:
    """The last job of a grid: its comparison."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def __call__(self) -> None:
        """Compare, and fail if a job is not finished."""
        outcome = finish(self.grid)
        print(outcome, flush=True)
        if not outcome.ok:
            raise FailedJobError("not all jobs are finished")


def checkpoint_times(folder: Path) -> dict[str, int]:
    """When each checkpoint was written, in ns."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("checkpoint_*.pth")}


def check_slurm(options: SlurmOptions) -> None:
    """Check that jobs can be submitted from this machine.

    Raises:
        InputError: SLURM's commands are missing, its controller does not answer, or it has no such partition.
    """
    missing = [
        command for command in ("sbatch", "srun", "squeue", "sinfo", "scontrol") if shutil.which(command) is None
    ]
    if missing:
        raise InputError(
            f"no SLURM on this machine: {', '.join(missing)} not found. Give this command on a login node of the "
            "cluster, or use --executor local."
        )
    done = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"SLURM does not answer: {done.stderr.strip()}\nAsk its administrator, or --executor local.")
    partitions = sorted(set(done.stdout.split()))
    if options.partition and not set(options.partition.split(",")) <= set(partitions):
        raise InputError(f"SLURM has no partition {options.partition}; it has {', '.join(partitions)}")
    if wrong := [option for option in options.extra if "=" not in option]:
        raise InputError(f"--sbatch takes KEY=VALUE, such as account=brain, not {', '.join(wrong)}")


@dataclass(frozen=True)
class Submission:
    """What was submitted, and how to go on."""

    text: str
    ok: bool = True

    def __str__(self) -> str:
        """The text."""
        return self.text


def crossval_on_slurm(grid: Grid, options: SlurmOptions) -> Submission:
    """Submit what is neither finished nor in the queue, as an array, and the comparison to follow when all have ended.

    Raises:
        InputError: there is no SLURM here, a trainer does not exist, a fold rests on another split, other plans or
            labels, or SLURM refuses; with what it said.
    """
    check_slurm(options)
    check_trainers(names_of_trainers(grid))
    prepare(grid)
    check_folds(grid.jobs())
    states = states_of(grid, slurm_queue())
    unfinished = [job for job, found in states.items() if found.state is not State.FINISHED]
    new = [job for job in unfinished if states[job].state in (State.WAITING, State.FAILED)]
    if not new:
        busy = f"{len(unfinished)} jobs are in the queue or running" if unfinished else "every job is finished"
        said = f"nothing to submit: {busy}. The comparison by hand: {compare_command(grid)}"
        return Submission("\n".join([said, *shorter_trainings(grid.jobs())]))
    folder = nnunet_folder("nnUNet_results").resolve() / grid.dataset / "crossval_slurm"
    try:
        array = executor(folder, options)
        with array.batch():
            submitted = [array.submit(TrainJob(job, options.cpus)) for job in new]
        for job, slurm_job in zip(new, submitted, strict=True):
            job.folder.mkdir(parents=True, exist_ok=True)
            (job.folder / SLURM_ID).write_text(slurm_job.job_id)
        awaited = [slurm_id for job in unfinished if (slurm_id := submitted_as(job.folder))]
    except (FailedSubmissionError, FailedJobError, subprocess.CalledProcessError) as error:
        raise InputError(f"SLURM took no jobs: {error}") from error
    try:
        comparison = executor(folder, replace(options, gpus=0, time_min=min(options.time_min, REPORT_MIN)))
        comparison.update_parameters(
            name="segan_nnunet_compare", slurm_dependency="afterany:" + ":".join(dict.fromkeys(awaited))
        )
        report = comparison.submit(Report(grid)).job_id
    except (FailedSubmissionError, FailedJobError, subprocess.CalledProcessError) as error:
        raise InputError(
            f"the {len(new)} trainings are submitted, their comparison was refused ({error}); when they are done "
            f"compare by hand: {compare_command(grid)}"
        ) from error
    left = f" ({len(unfinished) - len(new)} more are in the queue or running)" if len(new) < len(unfinished) else ""
    return Submission(
        f"submitted {len(new)} jobs{left}, {submitted[0].job_id} to {submitted[-1].job_id}, and the comparison as "
        f"{report}, which will be printed in {folder / f'{report}_0_log.out'}\nThis machine needs to keep nothing "
        "running; give the same command with --status to see how far they are."
    )


def executor(folder: Path, options: SlurmOptions) -> submitit.AutoExecutor:
    """Return submitit's executor for these options; without GPUs none is asked for."""
    made = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=10**6)  # TrainJob decides
    parameters: dict[str, Any] = {
        "name": "segan_nnunet",
        "timeout_min": options.time_min,
        "mem_gb": options.memory_gb,
        "cpus_per_task": options.cpus,
        "slurm_array_parallelism": options.at_once,
        "slurm_signal_delay_s": warning_s(options.time_min),
        "slurm_srun_args": ["--cpus-per-task", str(options.cpus)],  # not inherited from sbatch since SLURM 22.05
        "slurm_additional_parameters": {"requeue": True, **dict(option.split("=", 1) for option in options.extra)},
    }
    if options.partition:
        parameters["slurm_partition"] = options.partition
    if options.gpus:
        parameters["gpus_per_node"] = options.gpus
    made.update_parameters(**parameters)
    return made


def warning_s(time_min: int) -> int:
    """Seconds before the time limit at which SLURM warns: enough to requeue, and little of a short limit."""
    return min(60, time_min * 60 // 10)
