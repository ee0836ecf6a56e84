"""What a failed job's log says of the cause, and in which environment a job runs."""

from pathlib import Path

import pytest

from segan_nnunet.grid.run_job import job_environment
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


def test_what_the_user_has_set_for_a_job_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_n_proc_DA", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # as good as not set
    monkeypatch.delenv("nnUNet_def_n_proc", raising=False)
    found = job_environment(2, "cpu")
    assert [found[name] for name in ("nnUNet_n_proc_DA", "OMP_NUM_THREADS", "nnUNet_def_n_proc")] == ["7", "2", "2"]
