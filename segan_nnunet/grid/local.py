"""The executor for one machine: so many jobs at once, one per GPU where there are GPUs."""

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from segan_nnunet.data.environment import usable_cores
from segan_nnunet.errors import InputError
from segan_nnunet.folds.locks import StoppedError
from segan_nnunet.grid.jobs import Job
from segan_nnunet.grid.run_job import job_environment, run_job
from segan_nnunet.grid.run_state import DISK_FULL, LOG, JobState, State, read_progress

REFRESH_S = 2.0
# that end a process unless it says otherwise: a closed terminal, Ctrl-C, Ctrl-\, kill, and warnings of batch systems
ENDING = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
)


def run_locally(jobs: Sequence[Job], at_once: int | None = None) -> None:
    """Run jobs on this machine, and report on each; how they ended is in their folders.

    A job that fails does not stop the others. Ctrl-C, and any other signal that ends this process, ends them all; their
    last checkpoints stay.

    Args:
        jobs: trained by so many threads, each of which watches one process.
        at_once: by default as many as there are GPUs, or one without GPUs.

    Raises:
        InputError: fewer GPUs are here than a job wants.
    """
    if not jobs:
        return
    device = jobs[0].device
    gpus = visible_gpus() if device == "cuda" else []
    if device == "cuda" and len(gpus) < jobs[0].num_gpus:
        raise InputError(f"{jobs[0].num_gpus} GPUs per job are needed and {len(gpus)} are here; or use -device cpu")
    sets = gpu_sets(gpus, jobs[0].num_gpus)
    at_once = at_once or max(1, len(sets))
    cores = max(1, usable_cores() // min(at_once, len(jobs)))
    free: queue.Queue[str | None] = queue.Queue()
    for slot in range(at_once):
        free.put(sets[slot % len(sets)] if sets else None)
    stop = threading.Event()

    def run(job: Job) -> JobState:
        gpu = free.get()
        try:
            environment = job_environment(cores, device)
            if gpu is not None:
                environment["CUDA_VISIBLE_DEVICES"] = gpu
            started(job)
            return run_job(job, environment, stop=stop)
        except StoppedError:
            raise
        except Exception as error:  # its folder cannot be written, the disk is full: the other jobs go on
            full = "disk full: " if DISK_FULL.search(str(error)) else ""
            return JobState(State.FAILED, detail=full + (str(error) or type(error).__name__))
        finally:
            free.put(gpu)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ending_signals(stop), Progress(*columns, transient=True) as progress:
        overall = progress.add_task("jobs", total=len(jobs))
        bars: dict[Job, TaskID] = {}

        def started(job: Job) -> None:
            progress.console.print(f"{job}: {' '.join(job.command())}", soft_wrap=True, highlight=False, markup=False)
            bars[job] = progress.add_task(str(job), total=None)

        with ThreadPoolExecutor(at_once) as pool:
            try:
                futures = {pool.submit(run, job): job for job in jobs}
                pending: set[Future[JobState]] = set(futures)
                while pending:
                    done, pending = wait(pending, REFRESH_S, FIRST_COMPLETED)
                    for future in done:
                        report(progress, futures[future], future.result())
                        progress.advance(overall)
                        if (ended := bars.pop(futures[future], None)) is not None:
                            progress.remove_task(ended)
                    for job, bar in list(bars.items()):
                        with contextlib.suppress(OSError):  # a log that is being moved, a stale handle
                            if epochs := read_progress(job.folder):
                                progress.update(bar, completed=epochs.epochs_done, total=epochs.num_epochs)
            except BaseException:  # Ctrl-C above all
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise


@contextlib.contextmanager
def ending_signals(stop: threading.Event) -> Iterator[None]:
    """Let every signal that would end this process set `stop` and then end it; further ones change nothing.

    Trainings have sessions of their own, which these signals do not reach: without this they would go on alone. An
    ignored signal stays ignored, as SIGHUP is under nohup.

    Args:
        stop: what the trainings watch.
    """
    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread set handlers
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}

    def end(number: int, _: object) -> None:
        stop.set()
        for each in before:  # an impatient second one would leave behind the trainings that are being ended
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    try:
        for number in before:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report(progress: Progress, job: Job, state: JobState) -> None:
    """Say in one line how a job ended, and where a failure can be read."""
    text = f"{job}: {state.state}"
    if state.state is State.FAILED:
        text += f", {state.detail} ({job.folder / LOG})"
    progress.console.print(text, soft_wrap=True, highlight=False, markup=False)


def visible_gpus() -> list[str]:
    """Ids of the CUDA devices that this process may use."""
    import torch  # seconds; only where GPUs are asked for

    count = torch.cuda.device_count()
    named = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    return named[:count] if named else [str(gpu) for gpu in range(count)]


def gpu_sets(gpus: Sequence[str], per_job: int) -> list[str]:
    """Divide GPUs among jobs: values for CUDA_VISIBLE_DEVICES, none of which share a GPU."""
    return [",".join(gpus[first : first + per_job]) for first in range(0, len(gpus) - per_job + 1, per_job)]
