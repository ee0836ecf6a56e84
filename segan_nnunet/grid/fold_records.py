"""Folds that have begun: what they rest on, recorded at first and checked before any goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.split_file import cases_of_fold
from segan_nnunet.errors import InputError
from segan_nnunet.folds.checks import Purpose, check_fold
from segan_nnunet.folds.record import FoldRecord, file_digest, output_values, read_record, resolved
from segan_nnunet.folds.state import newest_checkpoint
from segan_nnunet.grid.jobs import Job, is_finished
from segan_nnunet.grid.objectives import current_objectives
from segan_nnunet.text_files import optional_object
from segan_nnunet.trainer_names import unseeded


def record_beginning(job: Job) -> None:
    """Record what a job is trained on, unless its training has begun before: then nobody knows."""
    if not newest_checkpoint(job.folder):
        rests_on(job, digests_of_labels(job)).write(job.folder)


def check_folds(jobs: Sequence[Job]) -> None:
    """Check that the folds that have begun may be continued or, if they are finished, counted.

    Raises:
        InputError: some may not, all of them named with their reasons.
    """
    records = {job: read_record(job.folder) for job in jobs if newest_checkpoint(job.folder)}
    labels = digests_of_labels(jobs[0]) if any(record.labels for record in records.values()) else {}
    objectives = current_objectives({trainer_of(job) for job, record in records.items() if record.objective})
    problems = []
    for job, then in records.items():
        now = replace(rests_on(job, labels), objective=objectives.get(trainer_of(job)))
        try:
            check_fold(job.folder, Purpose.COUNT if is_finished(job.folder) else Purpose.CONTINUE, now, then)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))


def rests_on(job: Job, labels: Mapping[str, str]) -> FoldRecord:
    """Return what a job would rest on now, without its objective.

    Args:
        job: a trainer's fold.
        labels: digests of the dataset's.
    """
    train, val = cases_of_fold(job.preprocessed, job.fold) or (None, None)
    plans = read_plans(job.preprocessed, job.plans)
    cases = {*train, *val} if train and val else set(labels)
    return FoldRecord(
        train,
        val,
        resolved(plans["configurations"], job.configuration),
        {case: digest for case, digest in labels.items() if case in cases} or None,
        outputs=output_values(optional_object(job.preprocessed / "dataset.json")),
    )


def digests_of_labels(job: Job) -> dict[str, str]:
    """Return digests of the labels as they were preprocessed, of which nnU-Net keeps a copy; none where it has not."""
    described = job.preprocessed / "dataset.json"
    if not described.is_file():
        return {}
    ending = read_dataset(described, ["file_ending"])["file_ending"]
    return {
        case: file_digest(path) for case, path in files_by_case(job.preprocessed / "gt_segmentations", ending).items()
    }


def trainer_of(job: Job) -> Job:
    """Return the job whose trainer has the same objective, for all folds and seeds of one trainer."""
    return replace(job, trainer=unseeded(job.trainer)[0], fold=0)
