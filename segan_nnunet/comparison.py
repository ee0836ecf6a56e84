"""`compare`: methods head to head on the same cases: scores, statistics, Table 1, pictures, report."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Folders, MethodsOnCases, compared_folders
from segan_nnunet.evaluation.presentation.result_folder import (
    OURS,
    Comparison,
    earlier_comparison,
    files_of_comparison,
    own_folder,
    write_comparison,
)
from segan_nnunet.evaluation.scores.measurement import measure
from segan_nnunet.evaluation.scores.scores import add_scores
from segan_nnunet.evaluation.settings import Settings
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
            if not output:
                raise InputError("-o is missing: the folder to write tables, pictures and report into")
            compared = compared_folders(dataset_id, folders, settings.intersection)
        elif dataset_id is None:
            raise InputError("give a dataset, -d ID, or folders: --predictions NAME=FOLDER --reference FOLDER")
        else:
            from segan_nnunet.validations.compared_trainers import compared_trainers  # packaging/compare has none

            compared = compared_trainers(
                dataset_id, configurations, trainers, plans, folds, seeds, folders, settings.intersection
            )
            if not output:
                results = nnunet_folder("nnUNet_results") / dataset_name(dataset_id)
                output = own_folder(results / f"comparison__{'_'.join(configurations)}", list(compared.methods))
                partial = stack.enter_context(output_folder(output, OURS, files_of_comparison))
        written = measure_and_write(compared, partial, settings)
    return Comparison(written.table, [output / path.name for path in written.files])


def measure_and_write(compared: MethodsOnCases, output: Path, settings: Settings) -> Comparison:
    """Measure the cases, and write the comparison into an empty folder; errors as in `compare`."""
    settings = settings.resolved(list(compared.methods), compared.labelling)
    measured = measure(compared.cases, compared.labelling, settings.processes, settings.measures)
    compared.check_counts(measured)
    return write_comparison(compared, compared.complete(add_scores(measured, settings.policy)), output, settings)
