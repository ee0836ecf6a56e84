"""A lock between processes, also of different machines, that dies with the processes that hold it."""

import fcntl
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segan_nnunet.errors import InputError

FOLD_LOCK = "crossval.lock"  # in the folder of a fold, held as long as a grid trains it
POLL_S = 1.0
NEVER = threading.Event()


class LockedError(RuntimeError):
    """Another process holds the lock."""


class StoppedError(RuntimeError):
    """The work was stopped from outside, with Ctrl-C for instance."""


@contextmanager
def file_lock(path: Path, wait_s: float = math.inf, stop: threading.Event = NEVER) -> Iterator[int]:
    """Hold an exclusive lock on a file; yields its descriptor.

    The operating system keeps the lock (flock), so nothing stale stays behind after a SIGKILL. A child process that is
    given the descriptor holds the lock too, and keeps it when its parent is killed. That is why this is not the
    library filelock, which closes its descriptor in children.

    Args:
        path: made if missing, and left behind: removing a lock file lets two processes lock two files of one name.
        wait_s: how long to wait until the lock is free.
        stop: ends the waiting when set.

    Raises:
        LockedError: it is still held after `wait_s`.
        StoppedError: `stop` was set.
        InputError: the file system has no locks.
    """
    deadline = time.monotonic() + wait_s
    with path.open("a") as file:
        while not try_lock(file.fileno(), path):
            if time.monotonic() >= deadline:
                raise LockedError(f"{path} is locked by another process")
            if stop.wait(POLL_S):
                raise StoppedError(f"stopped while waiting for {path}")
        yield file.fileno()


def try_lock(descriptor: int, path: Path) -> bool:
    """Take the lock if it is free; return whether it was."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InputError(
            f"{path} cannot be locked ({os.strerror(error.errno or 0)}): this file system has no locks, without which "
            "two processes could train one fold. Lustre has them when mounted with -o flock; or use another folder."
        ) from error
    return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock at this moment."""
    try:
        with path.open("r+") as file:  # NFS locks only what is open for writing
            return not try_lock(file.fileno(), path)
    except FileNotFoundError:
        return False
