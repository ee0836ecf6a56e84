"""`crossval`: run the unfinished jobs of a grid, and compare its methods."""

import shlex
from collections.abc import Mapping, Sequence
from functools import partial

from segan_nnunet import comparison
from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.environment import dataset_number, default_processes, nnunet_folder
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.split_file import SPLITS_FILE
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.folds.checkpoint import read_fold
from segan_nnunet.grid.checks import NNUNET_FOLDS, check_networks, check_trainers
from segan_nnunet.grid.executors import Executor
from segan_nnunet.grid.fold_records import check_folds
from segan_nnunet.grid.jobs import Grid, Job, JobState, Outcome, State, is_finished, status_table
from segan_nnunet.models.plans import planning_lock
from segan_nnunet.models.preprocessing import preprocess_with_nnunet
from segan_nnunet.text_files import write_json


def crossval(grid: Grid, executor: Executor) -> Outcome:
    """Run the unfinished jobs, and compare.

    After an interruption, a second call runs the jobs that are left. Two calls at once share the jobs.

    Args:
        grid: made by `make_grid`.
        executor: runs the jobs and the comparison.

    Raises:
        InputError: a trainer does not exist or does not fit the plans; a fold was trained on another split, other plans
            or other labels; or the executor cannot run the jobs.
    """
    executor.check()
    jobs = grid.jobs()
    epochs = check_trainers([job.trainer for job in jobs])
    check_networks(grid)
    prepare(grid)
    check_folds(jobs)
    notes = shorter_trainings(jobs, epochs)
    outcome = executor.run(grid, partial(finish, grid))
    return Outcome(outcome.ok, "\n".join([outcome.text, *notes]))


def commands(grid: Grid) -> list[str]:
    """Return the grid's commands as a user could type them: the unfinished jobs, and the comparison.

    Raises:
        InputError: a trainer does not exist or does not fit the plans; or a fold was trained on another split, other
            plans or other labels.
    """
    jobs = grid.jobs()
    epochs = check_trainers([job.trainer for job in jobs])
    check_networks(grid)
    check_folds(jobs)
    notes = [f"# {note}" for note in shorter_trainings(jobs, epochs)]
    return [*notes, *(shlex.join(job.command()) for job in grid.open_jobs()), grid.compare_command()]


def prepare(grid: Grid) -> None:
    """Preprocess the dataset and write nnU-Net's split where they are missing, under the dataset's lock.

    The jobs would make the split themselves, all at the same time and into one file.
    """
    preprocessed = nnunet_folder("nnUNet_preprocessed") / grid.dataset
    with planning_lock(preprocessed):
        for name in grid.plans:
            plans = read_plans(preprocessed, name)
            preprocess_with_nnunet(preprocessed, plans, grid.configuration, default_processes())
        splits = preprocessed / SPLITS_FILE
        if not splits.is_file():
            from nnunetv2.utilities.crossval_split import generate_crossval_split  # imports torch: seconds

            ending = read_dataset(preprocessed / "dataset.json", ["file_ending"])["file_ending"]
            cases = sorted(files_by_case(preprocessed / "gt_segmentations", ending))
            write_json(splits, generate_crossval_split(cases, seed=12345, n_splits=NNUNET_FOLDS), indent=4)


def shorter_trainings(jobs: Sequence[Job], epochs: Mapping[str, int | None]) -> list[str]:
    """Describe the finished jobs that have fewer epochs than their trainers declare now, and how to continue them."""
    notes = []
    for job in jobs:
        total = epochs[job.trainer]
        done = (read_fold(job.folder) or {}).get("current_epoch") if total and is_finished(job.folder) else None
        if done is not None and done < total:
            command = " ".join(argument for argument in job.command() if argument != "--val")
            notes.append(
                f"{job} counts as finished after {done} epochs, and its trainer asks for {total} now. To train on: "
                f"{command} --c; to retrain it, remove {job.folder}"
            )
    return notes


def finish(grid: Grid) -> Outcome:
    """Compare the trainers whose folds are all finished, and list the unfinished jobs."""
    table = grid.table()
    trainers = comparable(grid, table)
    compared, lines = False, []
    if trainers:
        finished_plans = {job.plans for job, state in table.items() if state.state is State.FINISHED}
        try:
            result = comparison.compare(
                dataset_id=dataset_number(grid.dataset),
                configuration=grid.configuration,
                trainers=trainers,
                plans=[name for name in grid.plans if name in finished_plans],
                folds=grid.folds,
                seeds=grid.seeds,
                settings=Settings(
                    baseline=grid.baseline if grid.baseline in trainers else None,
                    published=grid.published,
                    command=grid.compare_command(),
                ),
            )
            compared, lines = True, [result.table, *map(str, result.files)]
        except InputError as error:
            lines = [f"no comparison: {error}"]
    if left_out := [trainer for trainer in grid.trainers if trainer not in trainers]:
        lines.append(f"not compared, because folds are missing: {', '.join(left_out)}")
    all_finished = all(state.state is State.FINISHED for state in table.values())
    return Outcome(compared and all_finished, "\n".join([*lines, status_table(table, only_unfinished=True)]))


def comparable(grid: Grid, table: Mapping[Job, JobState]) -> list[str]:
    """Return the trainers to compare: all folds are finished under some plans, and under no plans only some.

    Plans without any finished fold do not count, because the trainer may not fit them.
    """
    trainers = []
    for trainer in grid.trainers:
        names = grid.names_of(trainer)
        finished: dict[str, list[bool]] = {plans: [] for plans in grid.plans}
        for job, state in table.items():
            if job.trainer in names:
                finished[job.plans].append(state.state is State.FINISHED)
        started = [folds for folds in finished.values() if any(folds)]
        if started and all(map(all, started)):
            trainers.append(trainer)
    return trainers
