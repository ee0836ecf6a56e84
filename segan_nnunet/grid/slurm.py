"""Run a grid on a SLURM cluster with submitit: an array of jobs that requeue themselves, and no process that waits."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.helpers import DelayedSubmission

from segan_nnunet.data.environment import nnunet_folder
from segan_nnunet.errors import InputError
from segan_nnunet.grid.jobs import LOG, SLURM_ID, Grid, Job, Outcome, State, slurm_queue, submitted_as, write_attempt
from segan_nnunet.grid.run_job import job_environment, run_job

FRUITLESS_ATTEMPTS = 3  # in a row without a new checkpoint; then a job is not requeued
WARNING_S = 60  # before the time limit
LOCK_S = 300  # a file server may keep the lock of a dead node for a minute or two
MOST_AT_ONCE = 256
TRAINING = {"time": "24:00:00", "mem": "32G", "cpus_per_task": "8"}  # defaults of --sbatch, for one attempt
REFUSALS = (FailedSubmissionError, FailedJobError, subprocess.CalledProcessError)


class SlurmExecutor:
    """Submits an array of jobs and the comparison to SLURM. The options are those of `executors.choose`."""

    def __init__(
        self, device: str | None = None, gpus: int | None = None, at_once: int | None = None, sbatch: Sequence[str] = ()
    ) -> None:
        if wrong := [option for option in sbatch if "=" not in option]:
            raise InputError(f"--sbatch takes KEY=VALUE, such as account=brain, not {', '.join(wrong)}")
        self.device = device or ("cpu" if gpus == 0 else "cuda")
        gpus = int(self.device == "cuda") if gpus is None else gpus
        self.num_gpus = max(1, gpus)
        self.options = TRAINING | ({"gpus_per_node": str(gpus)} if gpus else {})
        for key, value in (option.lstrip("-").split("=", 1) for option in sbatch):
            self.options[key.replace("-", "_")] = value
        self.at_once = at_once or MOST_AT_ONCE

    def check(self) -> None:
        """Check that this machine has SLURM, and that SLURM accepts the options.

        Raises:
            InputError: as `check_slurm`.
        """
        check_slurm(self.options)

    def run(self, grid: Grid, compare_methods: Callable[[], Outcome]) -> Outcome:
        """Submit the missing jobs as one array, and a job that calls `compare_methods` when all of them have ended.

        Raises:
            InputError: SLURM refuses a job; with its message.
        """
        table = grid.table(slurm_queue(grid.jobs()))
        unfinished = [job for job, state in table.items() if state.state is not State.FINISHED]
        new = [job for job in unfinished if table[job].state in (State.WAITING, State.FAILED)]
        if not new:
            busy = f"{len(unfinished)} jobs are in the queue or running" if unfinished else "every job is finished"
            return Outcome(True, f"nothing to submit: {busy}. To compare by hand: {grid.compare_command()}")
        logs = nnunet_folder("nnUNet_results").resolve() / grid.dataset / "crossval_slurm"
        try:
            array = submitter(logs, "segan_nnunet", self.options, self.at_once)
            with array.batch():
                submitted = [array.submit(TrainJob(job, int(self.options["cpus_per_task"]))) for job in new]
            for job, slurm_job in zip(new, submitted, strict=True):
                job.folder.mkdir(parents=True, exist_ok=True)
                (job.folder / SLURM_ID).write_text(slurm_job.job_id)
        except REFUSALS as error:
            raise InputError(f"SLURM took no jobs: {error}. Correct that, and give the command again") from error
        awaited = dict.fromkeys(slurm_id for job in unfinished if (slurm_id := submitted_as(job.folder)))
        options = {key: value for key, value in self.options.items() if key != "gpus_per_node"}
        options["dependency"] = f"afterany:{':'.join(awaited)}"
        try:
            last = submitter(logs, "segan_nnunet_compare", options).submit(report, compare_methods)
        except REFUSALS as error:
            raise InputError(
                f"the {len(new)} trainings are submitted, but SLURM refused the comparison ({error}). Compare by hand "
                f"when they have ended: {grid.compare_command()}"
            ) from error
        left = f" ({len(unfinished) - len(new)} more are in the queue or running)" if len(new) < len(unfinished) else ""
        return Outcome(
            True,
            f"submitted {len(new)} jobs{left}, {submitted[0].job_id} to {submitted[-1].job_id}, and the comparison as "
            f"{last.job_id}, which will print to {logs / f'{last.job_id}_0_log.out'}\nNothing needs to keep running on "
            "this machine. To see the progress, give the same command with --status.",
        )


class TrainJob:
    """A job for submitit. It is requeued when SLURM warns of a preemption or of the time limit.

    The job saves nothing at the warning: the next attempt continues from the last checkpoint.
    """

    def __init__(self, job: Job, cpus: int) -> None:
        self.job = job
        self.cpus = cpus
        self.saved: dict[str, int] = {}
        self.fruitless = 0

    def __call__(self) -> None:
        """Run the job to its end."""
        self.saved = checkpoint_times(self.job.folder)
        state = run_job(self.job, job_environment(self.cpus, self.job.device), LOCK_S, own_group=False)
        print(f"{self.job}: {state.state} {state.detail}", flush=True)
        if state.state is State.FAILED:
            raise FailedJobError(f"{self.job} failed: {state.detail}; see {self.job.folder / LOG}")

    def checkpoint(self) -> DelayedSubmission | None:
        """Requeue the job, unless several attempts in a row saved no checkpoint: then the time limit is too short."""
        self.fruitless = 0 if checkpoint_times(self.job.folder) != self.saved else self.fruitless + 1
        if self.fruitless >= FRUITLESS_ATTEMPTS:
            why = f"gave up after {self.fruitless} attempts without a new checkpoint"
            write_attempt(self.job.folder, status=f"{why}; a longer --sbatch time=... is needed")
            return None
        return DelayedSubmission(self)


def report(compare_methods: Callable[[], Outcome]) -> None:
    """Print the outcome of `compare_methods` in a job of its own, which fails unless all went well."""
    outcome = compare_methods()
    print(outcome.text, flush=True)
    if not outcome.ok:
        raise FailedJobError("not all jobs are finished")


def checkpoint_times(folder: Path) -> dict[str, int]:
    """Return the modification time of each checkpoint, in ns."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("checkpoint_*.pth")}


def check_slurm(options: Mapping[str, str]) -> None:
    """Let SLURM check the options of a job, such as partition and time limit, without submitting it.

    Raises:
        InputError: SLURM's commands are missing, SLURM does not answer, or it refuses the options.
    """
    if missing := [name for name in ("sbatch", "srun", "squeue", "scontrol") if shutil.which(name) is None]:
        raise InputError(
            f"no SLURM on this machine: {', '.join(missing)} not found. Give this command on a login node of the "
            "cluster, or use --executor local."
        )
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    command = ["sbatch", "--test-only", *flags, "--wrap", "true"]
    sbatch = subprocess.run(command, capture_output=True, text=True, check=False)
    if sbatch.returncode:
        raise InputError(
            f"SLURM refuses a job with {' '.join(flags)}: {sbatch.stderr.strip()}. Correct --sbatch and --gpus, or use "
            "--executor local."
        )


def submitter(logs: Path, name: str, options: Mapping[str, str], at_once: int = 1) -> submitit.AutoExecutor:
    """Return submitit's executor for jobs with these options of sbatch, `at_once` of them at a time."""
    executor = submitit.AutoExecutor(logs, cluster="slurm", slurm_max_num_timeout=10**6)  # TrainJob sets the limit
    executor.update_parameters(
        name=name,
        slurm_array_parallelism=at_once,
        slurm_signal_delay_s=WARNING_S,
        slurm_srun_args=["--cpus-per-task", options["cpus_per_task"]],  # not inherited from sbatch since SLURM 22.05
        slurm_additional_parameters={"requeue": True, **options},
    )
    return executor
