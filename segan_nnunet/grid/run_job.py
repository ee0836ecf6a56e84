"""Run one job: lock the fold, run nnU-Net's command, keep its log, and record its end. Every executor uses this."""

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

from segan_nnunet.folds.locks import FOLD_LOCK, NEVER, LockedError, StoppedError, file_lock
from segan_nnunet.folds.state import is_exported
from segan_nnunet.grid.fold_records import record_start
from segan_nnunet.grid.jobs import ATTEMPT, LOG, PROMPT, Job, JobState, State, is_finished, read_state, write_attempt
from segan_nnunet.text_files import optional_object

POLL_S = 0.5
WORKERS_S = 5.0  # time for killed workers to end
WARNINGS = {signal.SIGUSR1, signal.SIGUSR2}  # SLURM announces the end of a job with these, to all its processes


def job_environment(cores: int, device: str) -> dict[str, str]:
    """Return the environment of a training on a number of processor cores; the user's settings stay."""
    defaults = {"nnUNet_n_proc_DA": str(cores), "nnUNet_def_n_proc": str(cores)}
    if device == "cpu":
        # Our trainers and seeded trainers read this. nnU-Net's own trainers use a thread for each core of the machine,
        # so their waiting threads must sleep. OMP_THREAD_LIMIT would not help: oneDNN waited forever for its threads
        defaults |= {"OMP_NUM_THREADS": str(cores), "OMP_WAIT_POLICY": "PASSIVE"}
    return {
        **os.environ,
        **{name: os.environ.get(name) or value for name, value in defaults.items()},
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "PYTHONUNBUFFERED": "1",  # keeps the log of a training that is killed
    }


def run_job(
    job: Job,
    environment: Mapping[str, str],
    wait_s: float = math.inf,
    own_group: bool = True,
    stop: threading.Event = NEVER,
) -> JobState:
    """Train and validate a job, unless it is finished or an installed model.

    Args:
        job: the job.
        environment: environment of the command.
        wait_s: time to wait while another process trains this fold. If that process leaves the fold unfinished in
            this time, this one continues it.
        own_group: give the training a process group, to end its workers with it. SLURM ends them itself, on some
            clusters by process group, so it needs False.
        stop: ends the training at once when set; the last checkpoint stays.

    Returns:
        The state of the job afterwards; a failure is a state, not an exception.

    Raises:
        StoppedError: `stop` was set.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(job.folder / FOLD_LOCK, wait_s, stop) as lock:
            if not is_finished(job.folder) and not is_exported(job.folder):
                record_start(job)
                train(job, environment, lock, own_group, stop)
            # a command that another thread starts now holds a copy of the lock for a moment, so the lock is no evidence
            return read_state(job.folder, lock_is_ours=True)
    except LockedError:
        return JobState(State.RUNNING, "in another process")


def train(job: Job, environment: Mapping[str, str], lock: int, own_group: bool, stop: threading.Event) -> None:
    """Run the command of a job under its lock, and record its status. `lock` is the lock's file descriptor."""
    folder, command = job.folder, job.command()
    (folder / ATTEMPT).unlink(missing_ok=True)
    with (folder / LOG).open("ab") as log:
        log.write(f"{PROMPT}{shlex.join(command)}\n".encode())
        log.flush()
        # the child inherits the blocked signals, so it survives SLURM's warning until this process has requeued the job
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, WARNINGS)
        try:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),  # the training keeps the lock if SIGKILL ends this process
                start_new_session=own_group,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    try:
        write_attempt(folder, host=socket.gethostname(), pid=process.pid)
        while process.poll() is None:
            if stop.wait(POLL_S):
                raise StoppedError(f"{job} was stopped")
    except BaseException:  # also the exception of SLURM's warning
        end(process, own_group)
        if "status" not in optional_object(folder / ATTEMPT):  # a stop is a failure only if its cause is recorded
            (folder / ATTEMPT).unlink(missing_ok=True)
        raise
    end(process, own_group)  # a killed training may have left workers
    write_attempt(folder, status=process.returncode)


def end(process: subprocess.Popen[bytes], own_group: bool) -> None:
    """Kill a process and, if it has a group of its own, its children, without a warning."""
    process.kill()
    process.wait()
    deadline = time.monotonic() + WORKERS_S
    while own_group and time.monotonic() < deadline:  # children hold the lock until they end
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # no process is left; macOS raises PermissionError
            return
        time.sleep(0.1)
