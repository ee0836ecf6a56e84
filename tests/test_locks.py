"""Locks between processes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from segan_nnunet.folds.locks import LockedError, StoppedError, file_lock, is_locked


def test_a_lock_lasts_until_its_last_holder_ends(tmp_path: Path) -> None:
    """This happens when SIGKILL ends the grid while its training continues, and later ends the training."""
    path = tmp_path / "lock"
    code = f"""
import subprocess, sys
from pathlib import Path
from segan_nnunet.folds.locks import file_lock
with file_lock(Path({str(path)!r})) as lock:
    print(subprocess.Popen(["sleep", "600"], pass_fds=(lock,), stdout=subprocess.DEVNULL).pid, flush=True)
    sys.stdin.read()
"""
    assert not is_locked(path)
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        holder.kill()
        holder.wait()
        assert is_locked(path)
        with pytest.raises(LockedError), file_lock(path, wait_s=0):
            pass
        stop = threading.Event()
        stop.set()
        with pytest.raises(StoppedError), file_lock(path, stop=stop):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
    with file_lock(path):  # waits for the end of the child process
        assert is_locked(path)
    assert not is_locked(path)
