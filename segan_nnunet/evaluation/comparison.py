"""`compare`: methods head to head on the same cases: scores, statistics, Table 1, pictures, report."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.gathering import Folders, dataset_contest, folder_contest, with_patients
from segan_nnunet.evaluation.methods.method import Contest, same_cases
from segan_nnunet.evaluation.methods.trained_models import check_counts
from segan_nnunet.evaluation.methods.training_cost import training_costs
from segan_nnunet.evaluation.presentation.result_folder import (
    OURS,
    Comparison,
    Settings,
    earlier_comparison,
    files_of_comparison,
    own_folder,
    write_comparison,
)
from segan_nnunet.evaluation.presentation.score_tables import primary_columns
from segan_nnunet.evaluation.scores.measurement import measure
from segan_nnunet.evaluation.scores.scores import add_scores
from segan_nnunet.evaluation.statistics.seeds import average_seeds
from segan_nnunet.outputs import output_folder


def compare(
    dataset_id: int | None = None,
    configuration: str | Sequence[str] = "2d",
    trainers: Sequence[str] | None = None,
    plans: Sequence[str] | None = None,
    folds: Sequence[int] | None = None,
    output: Path | None = None,
    folders: Folders | None = None,
    settings: Settings | None = None,
    seeds: Sequence[int] = (),
) -> Comparison:
    """Compare the trainers of a dataset, folders of predictions, or both, and write tables, pictures and a report.

    Args:
        dataset_id: the dataset that the trainers share; may be left out where `folders` has predictions and reference.
        configuration: nnU-Net's, such as 2d; one or several.
        trainers, plans: restrict the comparison to these; by default all that are validated.
        folds: restrict it to these folds; by default all that are validated.
        output: folder to write into; by default comparison__CONFIGURATION in the dataset's results, or
            comparison__CONFIGURATION_2 and so on where that holds a comparison of other methods.
        folders: other predictions. With a reference of their own, only they are compared.
        settings: how to compare.
        seeds: restrict trainers of seeds (NAME_seed3) to these; by default all that are validated. The seeds of a
            trainer are one method, unless they are named one by one in `trainers`.

    Raises:
        InputError: nothing to compare, folds that are not validated, methods with different cases, files that do not
            fit, or an output folder that cannot be used; named. Nothing is written then.
    """
    folders, settings = folders or Folders(), settings or Settings()
    configurations = [configuration] if isinstance(configuration, str) else list(configuration)
    with contextlib.ExitStack() as stack:
        if output:  # before anything is read
            partial = stack.enter_context(output_folder(output, OURS, earlier_comparison))
        if folders.reference:
            contest = folder_contest(dataset_id, folders, folders.reference)
            if not output:
                raise InputError("-o is missing: the folder to write tables, pictures and report into")
        elif dataset_id is None:
            raise InputError("give a dataset, -d ID, or folders: --predictions NAME=FOLDER --reference FOLDER")
        else:
            contest = dataset_contest(dataset_id, configurations, trainers, plans, folds, folders, seeds)
            if not output:
                results = nnunet_folder("nnUNet_results") / dataset_name(dataset_id)
                output = own_folder(results / f"comparison__{'_'.join(configurations)}", contest.rows)
                partial = stack.enter_context(output_folder(output, OURS, files_of_comparison))
        made = measure_and_write(contest, partial, folders, settings)
    return Comparison(made.table, [output / path.name for path in made.files])


def measure_and_write(contest: Contest, output: Path, folders: Folders, settings: Settings) -> Comparison:
    """Measure what was gathered, and write the comparison into an empty folder; errors as in `compare`."""
    contest = same_cases(contest, every_reference=bool(folders.reference), intersection=settings.intersection)
    if settings.baseline and settings.baseline not in contest.rows:
        raise InputError(f"there is no method '{settings.baseline}'; --baseline takes one of {', '.join(contest.rows)}")
    if folders.patients:
        contest = with_patients(contest, folders.patients)
    measures = settings.measures.of_release(contest.labelling.release)
    settings = replace(settings, measures=measures, primary=primary_columns(measures, settings.primary))
    measured = measure(contest.cases, contest.labelling, settings.processes, settings.measures)
    check_counts(measured, contest.methods, contest.labelling)
    contest = replace(contest, costs=training_costs(contest.methods))
    contest, scores = average_seeds(contest, add_scores(measured, settings.policy))
    return write_comparison(contest, scores, output, settings)
