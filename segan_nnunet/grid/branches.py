"""Jobs that start from another job's end, so that two arms of a comparison share their first part."""

import json
from dataclasses import replace
from pathlib import Path

from segan_nnunet.data.trained_on import has_begun
from segan_nnunet.errors import InputError
from segan_nnunet.fold_checkpoint import read_checkpoint
from segan_nnunet.grid.jobs import Job
from segan_nnunet.text_files import optional_object

START = "crossval_start.json"  # from which trainer's end a fold was started


def start_job(job: Job) -> Job | None:
    """The job from whose end this one starts; None where it starts from its beginning."""
    return replace(job, trainer=job.start, start=None) if job.start else None


def check_start(job: Job) -> None:
    """Check that a fold which was begun has the start that it is now to have.

    Raises:
        InputError: it has another.
    """
    if has_begun(job.folder) and (started := started_from(job.folder)) != job.start:
        raise InputError(
            f"{job.folder} was trained from {said(started)}, and is now to be trained from {said(job.start)}: it would "
            "be another training under the same name. Remove the folder to train it anew, or give --from as it was"
        )


def started_from(folder: Path) -> str | None:
    """The trainer from whose end a fold was started; None if from its beginning."""
    return optional_object(folder / START).get("trainer")


def said(start: str | None) -> str:
    """A start in words."""
    return f"the end of {start}" if start else "its beginning"


def branch(job: Job, start: Job) -> None:
    """Give a job that is not begun the finished checkpoint of its start, for `--c`.

    Raises:
        InputError: that checkpoint cannot be read.
    """
    from segan_nnunet.training.run.checkpoint import plain, save_atomically  # imports torch: seconds

    checkpoint = read_checkpoint(start.folder / "checkpoint_final.pth", mapped=True)
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / START).write_text(json.dumps({"trainer": start.trainer}))
    if checkpoint.get("trained_on"):
        checkpoint["trained_on"] = {**checkpoint["trained_on"], "objective": None}  # the job has its own
    # the key lets a trainer of ours begin what the start does not have, such as critics
    save_atomically({**plain(checkpoint), "branched_from": start.trainer}, job.folder / "checkpoint_latest.pth")
