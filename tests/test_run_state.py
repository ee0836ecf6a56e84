"""What a failed job's log says of the cause."""

from pathlib import Path

import pytest

from segan_nnunet.grid.run_state import LOG, read_state, write_record


@pytest.mark.parametrize(
    "said", ["OSError: [Errno 28] No space left on device", "Could not write file: Disk quota exceeded"]
)
def test_a_full_disk_is_said_of_the_latest_attempt(tmp_path: Path, said: str) -> None:
    log = f"\n$ nnUNetv2_train 15\n{said}\nRuntimeError: one or more background workers are no longer alive\n"
    (tmp_path / LOG).write_text(log)
    write_record(tmp_path, status=1)
    assert read_state(tmp_path).detail.startswith("ended with status 1, disk full: RuntimeError: one or more")
    (tmp_path / LOG).write_text(f"{log}\n$ nnUNetv2_train 15 --c\nValueError: another thing\n")
    assert read_state(tmp_path).detail == "ended with status 1: ValueError: another thing"
