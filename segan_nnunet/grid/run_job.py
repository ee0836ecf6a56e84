"""Run one job: the fold's lock, nnU-Net's command, its log, and a record of how it ended. Every executor ends here."""

import math
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from segan_nnunet.folds.locks import NEVER, LockedError, StoppedError, file_lock
from segan_nnunet.folds.state import is_exported
from segan_nnunet.grid.fold_records import record_beginning
from segan_nnunet.grid.jobs import (
    ATTEMPT,
    LOCK,
    LOG,
    RECORD,
    Job,
    JobState,
    State,
    is_finished,
    read_record,
    read_state,
    write_record,
)

POLL_S = 0.5
WORKERS_S = 5.0  # for killed workers to be gone
WARNINGS = {signal.SIGUSR1, signal.SIGUSR2}  # with one of these SLURM announces the end of a job, to all its processes


def job_environment(cores: int, device: str) -> dict[str, str]:
    """Return the environment of a training that has this many processor cores to itself; the user's settings stay."""
    own = {"nnUNet_n_proc_DA": str(cores), "nnUNet_def_n_proc": str(cores)}
    if device == "cpu":
        # for our trainers and those with a seed; nnU-Net gives torch as many threads as the machine has cores
        own["OMP_NUM_THREADS"] = str(cores)
        # so the threads of nnU-Net's own trainers, which wait for each other, are to sleep.
        # OMP_THREAD_LIMIT is no way out: trainings hung with it, oneDNN waiting for threads that it never got
        own["OMP_WAIT_POLICY"] = "PASSIVE"
    return {
        **os.environ,
        **{name: os.environ.get(name) or value for name, value in own.items()},
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "PYTHONUNBUFFERED": "1",  # so that the log is there when a training dies
    }


def run_job(
    job: Job,
    environment: Mapping[str, str],
    wait_s: float = math.inf,
    own_group: bool = True,
    stop: threading.Event = NEVER,
) -> JobState:
    """Bring a job to its end, unless it is there already.

    Args:
        job: what to train.
        environment: of the command.
        wait_s: how long to wait while another process trains this fold, to take over should that one leave it
            unfinished; after that it is left to the other.
        own_group: give the training a process group, so that its workers can be ended with it. Not under SLURM, which
            does that itself, and by process group on some clusters.
        stop: when set, the training is ended at once; its last checkpoint stays.

    Returns:
        The state in which the job is left; a failure is not raised.

    Raises:
        StoppedError: `stop` was set.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(job.folder / LOCK, wait_s, stop) as lock:
            if not is_finished(job.folder) and not is_exported(job.folder):
                record_beginning(job)
                train(job, environment, lock, own_group, stop)
            # a command that another thread starts at this moment holds a copy of the lock for a while
            return read_state(job.folder, lock_is_ours=True)
    except LockedError:
        return JobState(State.RUNNING, "in another process")


def train(job: Job, environment: Mapping[str, str], lock: int, own_group: bool, stop: threading.Event) -> None:
    """Run the command of a job whose lock is held, and record its status."""
    folder, command = job.folder, job.command()
    (folder / RECORD).unlink(missing_ok=True)
    with (folder / LOG).open("ab") as log:
        log.write(f"{ATTEMPT}{shlex.join(command)}\n".encode())
        log.flush()
        # a child inherits what is blocked: it lives on until SLURM's warning has been answered here, by a requeue
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, WARNINGS)
        try:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),  # killed with SIGKILL we leave the training behind, and it keeps the lock
                start_new_session=own_group,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    try:
        write_record(folder, host=socket.gethostname(), pid=process.pid)
        while process.poll() is None:
            if stop.wait(POLL_S):
                raise StoppedError(f"{job} was stopped")
    except BaseException:  # also what SLURM's warning raises in here
        end(process, own_group)
        if "status" not in read_record(folder):  # stopped is not failed, unless whoever stopped it said why
            (folder / RECORD).unlink(missing_ok=True)
        raise
    end(process, own_group)  # workers that a killed training has left behind
    write_record(folder, status=process.returncode)


def end(process: subprocess.Popen[bytes], own_group: bool) -> None:
    """Kill a process and, if it has a group of its own, the processes that it started. Checkpoints need no warning."""
    process.kill()
    process.wait()
    deadline = time.monotonic() + WORKERS_S
    while own_group and time.monotonic() < deadline:  # until they are gone they hold the lock
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody is left; macOS says so with PermissionError
            return
        time.sleep(0.1)
