"""A lock between processes, also on different machines, that ends with the processes that hold it."""

import fcntl
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segan_nnunet.errors import InputError

FOLD_LOCK = "crossval.lock"  # in a fold's folder; held as long as a grid trains the fold
POLL_S = 1.0
NEVER = threading.Event()


class LockedError(RuntimeError):
    """Another process holds the lock."""


class StoppedError(RuntimeError):
    """The work was stopped from outside, for example with Ctrl-C."""


@contextmanager
def file_lock(path: Path, wait_s: float = math.inf, stop: threading.Event = NEVER) -> Iterator[int]:
    """Hold an exclusive lock on a file, and yield its file descriptor.

    The operating system keeps the lock (flock), so a SIGKILL leaves no stale lock. A child process that inherits the
    descriptor holds the lock too, and keeps it when its parent is killed. The library filelock closes its descriptor
    in children, so it cannot do this.

    Args:
        path: the lock file. It is created if missing and never removed: after a removal two processes could lock two
            files of the same name.
        wait_s: time to wait until the lock is free.
        stop: ends the waiting when set.

    Raises:
        LockedError: the file is still locked after `wait_s`.
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
    """Take the lock if it is free, and return whether it was."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InputError(
            f"{path} cannot be locked ({os.strerror(error.errno or 0)}): this file system has no locks, and without "
            "locks two processes could train one fold. Mount Lustre with -o flock, or use a folder on another disk"
        ) from error
    return True


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock now."""
    try:
        with path.open("r+") as file:  # NFS locks only files that are open for writing
            return not try_lock(file.fileno(), path)
    except FileNotFoundError:
        return False
