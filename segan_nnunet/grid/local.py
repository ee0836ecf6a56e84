"""Run a grid on this machine: by default one job at a time per GPU, or one job without GPUs."""

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich.live import Live
from rich.text import Text

from segan_nnunet.data.environment import default_device, usable_cores
from segan_nnunet.errors import InputError
from segan_nnunet.folds.locks import StoppedError
from segan_nnunet.grid.jobs import DISK_FULL, LOG, Grid, Job, JobState, Outcome, State, read_progress
from segan_nnunet.grid.run_job import job_environment, run_job

# signals that end a process by default: a closed terminal, Ctrl-C, Ctrl-\, kill, and warnings of batch systems
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)


class LocalExecutor:
    """Runs a grid on this machine until it ends. The options are those of `executors.choose`."""

    def __init__(
        self, device: str | None = None, gpus: int | None = None, at_once: int | None = None, sbatch: Sequence[str] = ()
    ) -> None:
        if sbatch:
            raise InputError(f"--sbatch {' '.join(sbatch)} is for SLURM; add --executor slurm, or leave --sbatch out")
        self.device = device or default_device()
        self.num_gpus = gpus or 1
        self.at_once = at_once

    def check(self) -> None:
        """Check nothing: `run` counts the GPUs."""

    def run(self, grid: Grid, compare_methods: Callable[[], Outcome]) -> Outcome:
        """Run the unfinished jobs, and call `compare_methods`."""
        run_locally(grid.open_jobs(), self.at_once)
        return compare_methods()


def run_locally(jobs: Sequence[Job], at_once: int | None = None) -> None:
    """Run jobs on this machine, and print how each ended. Their folders hold their states.

    A failed job does not stop the others. Ctrl-C and any other signal that ends this process end all jobs, and keep
    their last checkpoints.

    Args:
        jobs: jobs with the same device and number of GPUs.
        at_once: number of jobs at a time; by default the number of sets of GPUs, or one without GPUs.

    Raises:
        InputError: this machine has fewer GPUs than a job needs.
    """
    if not jobs:
        return
    device, per_job = jobs[0].device, jobs[0].num_gpus
    gpus = visible_gpus() if device == "cuda" else []
    if device == "cuda" and len(gpus) < per_job:
        raise InputError(
            f"{per_job} GPUs per job are needed and {len(gpus)} are here; lower --gpus, or use -device cpu"
        )
    sets = gpu_sets(gpus, per_job)
    at_once = at_once or max(1, len(sets))
    cores = max(1, usable_cores() // min(at_once, len(jobs)))
    free: queue.Queue[str | None] = queue.Queue()
    for slot in range(at_once):
        free.put(sets[slot % len(sets)] if sets else None)
    stop = threading.Event()
    running: list[Job] = []

    def run(job: Job) -> JobState:
        gpu = free.get()
        running.append(job)
        try:
            environment = job_environment(cores, device)
            if gpu is not None:
                environment["CUDA_VISIBLE_DEVICES"] = gpu
            say(f"{job}: {' '.join(job.command())}")
            return run_job(job, environment, stop=stop)
        except StoppedError:
            raise
        except Exception as error:  # for example a full disk or a read-only folder; the other jobs go on
            full = "disk full: " if DISK_FULL.search(str(error)) else ""
            return JobState(State.FAILED, detail=full + (str(error) or type(error).__name__))
        finally:
            running.remove(job)
            free.put(gpu)

    def progress() -> Text:
        with contextlib.suppress(OSError):  # for example a stale handle of a file server
            return Text("\n".join(f"{job}: {read_progress(job.folder) or 'starting'}" for job in list(running)))
        return Text()

    def say(text: str) -> None:
        live.console.print(text, soft_wrap=True, highlight=False, markup=False)

    live = Live(get_renderable=progress, refresh_per_second=0.5, transient=True)
    with ending_signals(stop), live, ThreadPoolExecutor(at_once) as pool:
        try:
            futures = {pool.submit(run, job): job for job in jobs}
            for future in as_completed(futures):
                report(say, futures[future], future.result())
        except BaseException:  # Ctrl-C and other signals
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextlib.contextmanager
def ending_signals(stop: threading.Event) -> Iterator[None]:
    """Make each signal that would end this process set `stop`, which the trainings watch, and ignore later signals.

    Trainings have sessions of their own, which signals to this process do not reach, so they would continue alone. An
    ignored signal stays ignored, such as SIGHUP under nohup.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    handlers = {number: signal.getsignal(number) for number in ENDING}
    handlers = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}

    def end(number: int, _: object) -> None:
        stop.set()
        for each in handlers:  # a second signal would interrupt the ending of the trainings
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    try:
        for number in handlers:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def report(say: Callable[[str], None], job: Job, state: JobState) -> None:
    """Print one line about the end of a job, with the log of a failure."""
    failure = f", {state.detail} ({job.folder / LOG})" if state.state is State.FAILED else ""
    say(f"{job}: {state.state}{failure}")


def visible_gpus() -> list[str]:
    """Return the ids of the CUDA devices that this process may use."""
    import torch  # seconds; needed for GPUs only

    count = torch.cuda.device_count()
    visible = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    return visible[:count] or [str(gpu) for gpu in range(count)]


def gpu_sets(gpus: Sequence[str], per_job: int) -> list[str]:
    """Return disjoint sets of GPUs for jobs, as values of CUDA_VISIBLE_DEVICES."""
    return [",".join(gpus[first : first + per_job]) for first in range(0, len(gpus) - per_job + 1, per_job)]
