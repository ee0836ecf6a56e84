"""What the folds of a grid rest on: recorded when one begins, and checked before any is trained further."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.environment import nnunet_folder
from segan_nnunet.data.splits import cases_of_fold
from segan_nnunet.data.trained_on import (
    check_trained_on,
    has_begun,
    label_digests,
    read_trained_on,
    trained_on,
    write_trained_on,
)
from segan_nnunet.errors import InputError
from segan_nnunet.fold_checkpoint import resolved
from segan_nnunet.grid.jobs import Job


def record_beginning(job: Job) -> None:
    """Record what a job is trained on, unless its training has begun before: then nobody knows."""
    if not has_begun(job.folder):
        write_trained_on(job.folder, rests_on(job, digests_of_labels(preprocessed_folder(job))))


def check_folds(jobs: Sequence[Job]) -> None:
    """Check that the folds that have begun, finished ones included, rest on the split, plans and labels of now.

    Raises:
        InputError: some do not, all of them named: to go on would mix two trainings, or score cases that were trained
            on.
    """
    begun = [job for job in jobs if has_begun(job.folder)]
    recorded = {job: read_trained_on(job.folder) for job in begun}
    labels = digests_of_labels(preprocessed_folder(jobs[0])) if any(one["labels"] for one in recorded.values()) else {}
    problems = []
    for job in begun:
        try:
            check_trained_on(recorded[job], rests_on(job, labels), job.folder)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))


def rests_on(job: Job, labels: dict[str, str]) -> dict[str, Any]:
    """What a job would be trained on now.

    Args:
        job: a trainer's fold.
        labels: digests of the dataset's.
    """
    preprocessed = preprocessed_folder(job)
    split = cases_of_fold(preprocessed, job.fold)
    plans = json.loads((preprocessed / f"{job.plans}.json").read_text())
    cases = {*split[0], *split[1]} if split else set(labels)
    return trained_on(
        split,
        resolved(plans["configurations"], job.configuration),
        {case: digest for case, digest in labels.items() if case in cases},
    )


def digests_of_labels(preprocessed: Path) -> dict[str, str]:
    """Digests of the labels as they were preprocessed, of which nnU-Net keeps a copy; none where it has not."""
    described = preprocessed / "dataset.json"
    ending = json.loads(described.read_text()).get("file_ending") if described.is_file() else None
    return label_digests(files_by_case(preprocessed / "gt_segmentations", ending)) if ending else {}


def preprocessed_folder(job: Job) -> Path:
    """The folder of a job's dataset in nnUNet_preprocessed."""
    return nnunet_folder("nnUNet_preprocessed") / job.dataset
