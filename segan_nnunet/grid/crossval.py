"""`crossval`: the whole grid, with what is finished left out, what was interrupted continued, and a comparison."""

import itertools
import shlex
from collections.abc import Mapping, Sequence
from functools import partial

from segan_nnunet import comparison
from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.environment import dataset_number, nnunet_folder, number_of_processes
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.split_file import SPLITS_FILE
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.folds.checkpoint import read_fold
from segan_nnunet.grid.checks import check_trainers
from segan_nnunet.grid.executors import Executor
from segan_nnunet.grid.fold_records import check_folds
from segan_nnunet.grid.jobs import Grid, Job, JobState, Outcome, State, is_finished, status_table
from segan_nnunet.models.plans import planning_lock
from segan_nnunet.models.preprocessing import preprocess_with_nnunet
from segan_nnunet.text_files import write_json


def crossval(grid: Grid, executor: Executor) -> Outcome:
    """Run what is not finished, and compare.

    Given again after an interruption, it does what is left to do. Two at once share the work.

    Args:
        grid: made by `make_grid`.
        executor: runs the jobs and the comparison.

    Raises:
        InputError: a trainer does not exist, a fold rests on another split, other plans or labels, or the executor
            cannot run the jobs.
    """
    epochs = check_trainers([job.trainer for job in grid.jobs()])
    prepare(grid)
    check_folds(grid.jobs())
    notes = shorter_trainings(grid.jobs(), epochs)
    outcome = executor.run(grid, partial(finish, grid))
    return Outcome(outcome.ok, "\n".join([outcome.text, *notes]))


def commands(grid: Grid) -> list[str]:
    """Return what the grid has to run, as the user could type it: the jobs that are not finished, and the comparison.

    Raises:
        InputError: a trainer does not exist, or a fold rests on another split, other plans or labels.
    """
    epochs = check_trainers([job.trainer for job in grid.jobs()])
    check_folds(grid.jobs())
    notes = [f"# {note}" for note in shorter_trainings(grid.jobs(), epochs)]
    return [*notes, *(shlex.join(job.command()) for job in grid.open_jobs()), grid.compare_command()]


def prepare(grid: Grid) -> None:
    """Preprocess what is not yet, and make nnU-Net's split where there is none: once, under the dataset's lock.

    The jobs would do the latter themselves, all at the same time and into one file.
    """
    preprocessed = nnunet_folder("nnUNet_preprocessed") / grid.dataset
    with planning_lock(preprocessed):
        for name in grid.plans:
            plans = read_plans(preprocessed, name)
            preprocess_with_nnunet(preprocessed, plans, grid.configuration, number_of_processes())
        splits = preprocessed / SPLITS_FILE
        if not splits.is_file():
            from nnunetv2.utilities.crossval_split import generate_crossval_split  # imports torch: seconds

            ending = read_dataset(preprocessed / "dataset.json", ["file_ending"])["file_ending"]
            cases = sorted(files_by_case(preprocessed / "gt_segmentations", ending))
            write_json(splits, generate_crossval_split(cases, seed=12345, n_splits=5), indent=4)


def shorter_trainings(jobs: Sequence[Job], epochs: Mapping[str, int | None]) -> list[str]:
    """Say which finished jobs have fewer epochs than their trainers ask for now, and how to go on.

    Args:
        jobs: finished or not.
        epochs: that the trainers ask for, as far as their classes say it.
    """
    said = []
    for job in jobs:
        wanted = epochs[job.trainer]
        done = (read_fold(job.folder) or {}).get("current_epoch") if wanted and is_finished(job.folder) else None
        if done is not None and done < wanted:
            command = " ".join(word for word in job.command() if word != "--val")
            said.append(
                f"{job} counts as finished after {done} epochs, and its trainer asks for {wanted} now. To train on: "
                f"{command} --c; to train it anew, remove {job.folder}"
            )
    return said


def finish(grid: Grid) -> Outcome:
    """Compare the trainers whose folds are all finished, and say how all jobs ended."""
    table = grid.table()
    trainers = comparable(grid, table)
    finished = {job.plans for job, state in table.items() if state.state is State.FINISHED}
    left_out = [trainer for trainer in grid.trainers if trainer not in trainers]
    said = [f"not compared, because folds are missing: {', '.join(left_out)}"] if left_out else []
    compared = False
    if trainers:
        try:
            made = comparison.compare(
                dataset_id=dataset_number(grid.dataset),
                configuration=grid.configuration,
                trainers=trainers,
                plans=[name for name in grid.plans if name in finished],
                folds=grid.folds,
                seeds=grid.seeds,
                settings=Settings(
                    baseline=grid.baseline if grid.baseline in trainers else None,
                    published=grid.published,
                    command=grid.compare_command(),
                ),
            )
            said = [made.table, *map(str, made.files), *said]
            compared = True
        except InputError as error:
            said.append(f"no comparison: {error}")
    all_finished = all(state.state is State.FINISHED for state in table.values())
    return Outcome(compared and all_finished, "\n".join([*said, status_table(table, only_unfinished=True)]))


def comparable(grid: Grid, table: Mapping[Job, JobState]) -> list[str]:
    """List the trainers whose folds are all finished, or none (a pair that does not fit), for each of the plans."""
    finished = {(job.trainer, job.plans, job.fold) for job, state in table.items() if state.state is State.FINISHED}
    chosen = []
    for trainer in grid.trainers:
        pairs = [set(itertools.product(grid.names_of(trainer), [plans], grid.folds)) for plans in grid.plans]
        begun = [pair for pair in pairs if pair & finished]
        if begun and all(pair <= finished for pair in begun):
            chosen.append(trainer)
    return chosen
