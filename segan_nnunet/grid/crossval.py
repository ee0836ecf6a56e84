"""`crossval`: the whole grid, with what is finished left out, what was interrupted continued, and a comparison."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from segan_nnunet import comparison
from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.environment import default_processes
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.split_file import SPLITS_FILE
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.grid.checks import check_trainers
from segan_nnunet.grid.fold_records import check_folds, shorter_trainings
from segan_nnunet.grid.jobs import Grid, Job
from segan_nnunet.grid.local import run_locally
from segan_nnunet.grid.run_state import (
    JobState,
    State,
    is_finished,
    queue_if_any,
    read_state,
    status_table,
)
from segan_nnunet.models.plans import planning_lock
from segan_nnunet.models.preprocessing import preprocess_with_nnunet


@dataclass(frozen=True)
class Outcome:
    """How a grid ended.

    Attributes:
        states: of all its jobs.
        comparison: of the methods whose folds are all finished; None if there are none, or they cannot be compared.
        note: what was left out of the comparison, and why; or why there is none; and finished trainings that are
            shorter than their trainers ask for now.
    """

    states: dict[Job, JobState]
    comparison: comparison.Comparison | None
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether all jobs are finished and compared."""
        return self.comparison is not None and all(s.state is State.FINISHED for s in self.states.values())

    def __str__(self) -> str:
        """The table and where it is, then what is not finished, and why."""
        parts = [self.comparison.table, *map(str, self.comparison.files)] if self.comparison else []
        parts += [self.note] if self.note else []
        return "\n".join([*parts, status_table(self.states, only_unfinished=True)])


def states_of(grid: Grid, queue: Mapping[str, str] | None = None) -> dict[Job, JobState]:
    """Read the states of all jobs of a grid.

    Args:
        grid: whose jobs.
        queue: SLURM's; by default it is asked where it answers.
    """
    jobs = grid.jobs()
    queue = queue_if_any([job.folder for job in jobs]) if queue is None else queue
    return {job: read_state(job.folder, queue) for job in jobs}


def open_jobs(grid: Grid) -> list[Job]:
    """The jobs that are not finished."""
    return [job for job in grid.jobs() if not is_finished(job.folder)]


def commands(grid: Grid) -> list[str]:
    """What the grid has to run, as the user could type it: the jobs that are not finished, and the comparison.

    Raises:
        InputError: a trainer does not exist, or a fold rests on another split, other plans or labels.
    """
    check_trainers(names_of_trainers(grid))
    check_folds(grid.jobs())
    notes = [f"# {note}" for note in shorter_trainings(grid.jobs())]
    return [*notes, *(shlex.join(job.command()) for job in open_jobs(grid)), compare_command(grid)]


def names_of_trainers(grid: Grid) -> list[str]:
    """Names of all trainers that the grid asks nnU-Net for."""
    return [name for trainer in grid.trainers for name in grid.names_of(trainer)]


def compare_command(grid: Grid) -> str:
    """The command of the grid's comparison."""
    command = ["segan_nnunet", "compare", "-d", str(grid.dataset_id), "-c", grid.configuration]
    command += ["-tr", *grid.trainers, "-p", *grid.plans, "--folds", *map(str, grid.folds)]
    command += ["--seeds", *map(str, grid.seeds)] if grid.seeds else []
    command += ["--baseline", grid.baseline] if grid.baseline else []
    return shlex.join([*command, *(["--published"] if grid.published else [])])


def crossval(grid: Grid, at_once: int | None = None) -> Outcome:
    """Run what is not finished on this machine, and compare.

    Given again after an interruption, it does what is left to do. Two at once share the work: where they meet, one
    waits for the other's training.

    Args:
        grid: made by `grid_checks.make_grid`.
        at_once: jobs at a time; by default one per GPU, or one.

    Raises:
        InputError: a trainer does not exist, a fold rests on another split, other plans or labels, or the machine has
            not the GPUs.
    """
    check_trainers(names_of_trainers(grid))
    prepare(grid)
    check_folds(grid.jobs())
    run_locally(open_jobs(grid), at_once)
    return finish(grid)


def prepare(grid: Grid) -> None:
    """Preprocess what is not yet, and make nnU-Net's split where there is none: once, under the dataset's lock.

    The jobs would do the latter themselves, all at the same time and into one file.
    """
    with planning_lock(grid.preprocessed):
        for name in grid.plans:
            plans = read_plans(grid.preprocessed, name)
            preprocess_with_nnunet(grid.preprocessed, plans, grid.configuration, default_processes())
        splits = grid.preprocessed / SPLITS_FILE
        if not splits.is_file():
            from nnunetv2.utilities.crossval_split import generate_crossval_split  # imports torch: seconds

            folder = grid.preprocessed / "gt_segmentations"
            ending = read_dataset(grid.preprocessed / "dataset.json", ["file_ending"])["file_ending"]
            cases = sorted(files_by_case(folder, ending))
            splits.write_text(json.dumps(generate_crossval_split(cases, seed=12345, n_splits=5), indent=4))


def finish(grid: Grid) -> Outcome:
    """Compare the trainers whose folds are all finished, and say how all jobs ended."""
    states = states_of(grid)
    trainers = comparable(grid, states)
    left_out = [trainer for trainer in grid.trainers if trainer not in trainers]
    notes = shorter_trainings(grid.jobs())
    notes += [f"not compared, because folds are missing: {', '.join(left_out)}"] if left_out else []
    if not trainers:
        return Outcome(states, None, "\n".join(notes))
    try:
        made = comparison.compare(
            dataset_id=grid.dataset_id,
            configuration=grid.configuration,
            trainers=trainers,
            plans=[name for name in grid.plans if has_finished(states, plans=name)],
            folds=grid.folds,
            seeds=grid.seeds,
            settings=Settings(
                baseline=grid.baseline if grid.baseline in trainers else None,
                published=grid.published,
                command=compare_command(grid),
            ),
        )
    except InputError as error:
        return Outcome(states, None, "\n".join([*notes, f"no comparison: {error}"]))
    return Outcome(states, made, "\n".join(notes))


def comparable(grid: Grid, states: dict[Job, JobState]) -> list[str]:
    """The trainers with, for each of the plans, all folds of all seeds finished or none (a pair that does not fit)."""
    chosen = []
    for trainer in grid.trainers:
        names = grid.names_of(trainer)
        of_pair = [
            {states[job].state is State.FINISHED for job in states if job.trainer in names and job.plans == plans}
            for plans in grid.plans
        ]
        if all(len(ended) == 1 for ended in of_pair) and {True} in of_pair:
            chosen.append(trainer)
    return chosen


def has_finished(states: dict[Job, JobState], plans: str) -> bool:
    """Whether a job with these plans is finished."""
    return any(state.state is State.FINISHED for job, state in states.items() if job.plans == plans)
