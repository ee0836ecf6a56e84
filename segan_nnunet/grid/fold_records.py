"""Folds that have begun: what they rest on, recorded at first and checked before any goes on."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.split_file import cases_of_fold
from segan_nnunet.data.trained_on import (
    check_trained_on,
    has_begun,
    label_digests,
    read_trained_on,
    trained_on,
    write_trained_on,
)
from segan_nnunet.errors import InputError
from segan_nnunet.exported_folds import describe_exported, is_exported
from segan_nnunet.fold_checkpoint import check_newest, output_values, resolved
from segan_nnunet.grid.jobs import Job, is_finished
from segan_nnunet.text_files import optional_object, read_object
from segan_nnunet.trainer_names import unseeded
from segan_nnunet.trainer_search import find_trainer


def record_beginning(job: Job) -> None:
    """Record what a job is trained on, unless its training has begun before: then nobody knows."""
    if not has_begun(job.folder):
        write_trained_on(job.folder, rests_on(job, digests_of_labels(job.preprocessed)))


def check_folds(jobs: Sequence[Job]) -> None:
    """Check that the folds that have begun, finished ones included, rest on what there is now.

    That is the split, the plans, the labels and, of our trainers, the objective.

    Raises:
        InputError: some do not, all of them named: to go on would mix two trainings, or score cases that were trained
            on. Or some are exported models, which were not trained here. Or what an unfinished fold would go on from is
            no checkpoint.
    """
    begun = [job for job in jobs if has_begun(job.folder)]
    exported = [job for job in begun if is_exported(job.folder)]
    recorded = {job: read_trained_on(job.folder) for job in begun if job not in exported}
    labels = digests_of_labels(jobs[0].preprocessed) if any(one["labels"] for one in recorded.values()) else {}
    asked = {asked_as(job) for job, record in recorded.items() if record["objective"]}
    objectives = {one: objective_asked(one) for one in asked}
    problems = [describe_exported(job.folder) for job in exported]
    for job, record in recorded.items():
        now = {**rests_on(job, labels), "objective": objectives.get(asked_as(job))}
        try:
            if not is_finished(job.folder):  # else nothing goes on from it
                check_newest(job.folder)
            check_trained_on(record, now, job.folder)
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
    split = cases_of_fold(job.preprocessed, job.fold)
    plans = read_plans(job.preprocessed, job.plans)
    cases = {*split[0], *split[1]} if split else set(labels)
    return trained_on(
        split,
        resolved(plans["configurations"], job.configuration),
        {case: digest for case, digest in labels.items() if case in cases},
        outputs=output_values(optional_object(job.preprocessed / "dataset.json")),
    )


def digests_of_labels(preprocessed: Path) -> dict[str, str]:
    """Digests of the labels as they were preprocessed, of which nnU-Net keeps a copy; none where it has not."""
    described = preprocessed / "dataset.json"
    ending = read_dataset(described, ["file_ending"])["file_ending"] if described.is_file() else None
    return label_digests(files_by_case(preprocessed / "gt_segmentations", ending)) if ending else {}


def asked_as(job: Job) -> Job:
    """The job whose trainer has the same objective, for all folds and seeds of one trainer."""
    return replace(job, trainer=unseeded(job.trainer)[0], fold=0)


def objective_asked(job: Job) -> dict[str, Any] | None:
    """The objective of a job's trainer as it is now; None where it is not ours, or cannot be made here."""
    with trainer_of(job) as trainer:
        if not hasattr(trainer, "objective"):
            return None
        try:
            trainer.initialize()
            return trained_on(None, {}, objective=trainer.objective())["objective"]
        except Exception:  # a user's trainer raises anything, and so do plans that it does not fit
            return None


@contextlib.contextmanager
def trainer_of(job: Job) -> Iterator[Any]:
    """Make the trainer of a job, in silence; yields None where it cannot be made here.

    Only an instance knows its settings: nnU-Net's own trainers set them in their __init__, which also begins a log.
    That goes to a folder of its own.
    """
    import torch  # seconds to import

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {"nnUNet_results": folder, "nnUNet_wandb_enabled": "0"}),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            found = find_trainer(job.trainer)
            plans = read_plans(job.preprocessed, job.plans) | {"continue_training": False}
            described = read_object(job.preprocessed / "dataset.json")
            trainer = found(plans, job.configuration, job.fold, described, torch.device("cpu"))
        except Exception:  # a user's trainer raises anything; whether it trains at all is not asked here
            trainer = None
        yield trainer
