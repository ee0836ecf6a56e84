"""Record what a grid's fold is trained on when it starts, and check the record before the fold continues."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.split_file import cases_of_fold
from segan_nnunet.errors import InputError
from segan_nnunet.folds.checks import Purpose, check_fold
from segan_nnunet.folds.record import RECORD, FoldRecord, file_digest, output_values, read_record, resolved
from segan_nnunet.folds.state import newest_checkpoint
from segan_nnunet.grid.jobs import Job, is_finished
from segan_nnunet.grid.objectives import current_objectives
from segan_nnunet.text_files import optional_object, write_json
from segan_nnunet.trainer_names import unseeded


def record_start(job: Job) -> None:
    """Record what a job is trained on, unless it has a checkpoint: its training started earlier, on unknown data."""
    if not newest_checkpoint(job.folder):
        write_json(job.folder / RECORD, current_record(job, label_digests(job)).content())


def check_folds(jobs: Sequence[Job]) -> None:
    """Check that started folds may be continued, and that finished folds may be counted.

    Raises:
        InputError: a fold may not be continued or counted; with the reason for each such fold.
    """
    records = {job: read_record(job.folder) for job in jobs if newest_checkpoint(job.folder)}
    labels = label_digests(jobs[0]) if any(record.labels for record in records.values()) else {}
    objectives = current_objectives({first_job(job) for job, record in records.items() if record.objective})
    problems = []
    for job, then in records.items():
        now = replace(current_record(job, labels), objective=objectives.get(first_job(job)))
        try:
            check_fold(job.folder, Purpose.COUNT if is_finished(job.folder) else Purpose.CONTINUE, now, then)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))


def current_record(job: Job, labels: Mapping[str, str]) -> FoldRecord:
    """Return what a job would be trained on now, without its objective; `labels` are the dataset's label digests."""
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


def label_digests(job: Job) -> dict[str, str]:
    """Return the digest of each preprocessed label, of which nnU-Net keeps a copy; empty without a dataset.json."""
    dataset_json = job.preprocessed / "dataset.json"
    if not dataset_json.is_file():
        return {}
    ending = read_dataset(dataset_json, ["file_ending"])["file_ending"]
    files = files_by_case(job.preprocessed / "gt_segmentations", ending)
    return {case: file_digest(path) for case, path in files.items()}


def first_job(job: Job) -> Job:
    """Return the job that stands for all folds and seeds of a trainer, because they share its objective."""
    return replace(job, trainer=unseeded(job.trainer)[0], fold=0)
