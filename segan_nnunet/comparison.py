"""`compare`: compare methods on the same cases, and write scores, statistics, Table 1, pictures and a report."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Folders, MethodsOnCases, compared_folders
from segan_nnunet.evaluation.presentation.result_folder import (
    FILE_NAMES,
    Comparison,
    earlier_comparison,
    files_of_comparison,
    unused_folder,
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
        dataset_id: the dataset of the trainers; may be left out if `folders` has predictions and a reference.
        configuration: one or several configurations of nnU-Net, such as 2d.
        trainers, plans: the trainers and plans to compare; by default all validated ones.
        folds: the folds to compare; by default all validated ones.
        output: the output folder; by default comparison__CONFIGURATION in the dataset's results. If this folder holds a
            comparison of other methods, it is comparison__CONFIGURATION_2 and so on.
        folders: folders of other predictions. If they have their own reference, only they are compared.
        settings: the settings of the comparison.
        seeds: the seeds to compare of trainers with seeds (NAME_seed3); by default all validated ones. The seeds of a
            trainer are one method, unless `trainers` names them one by one.

    Raises:
        InputError: there is nothing to compare, folds are not validated, methods have different cases, files do not
            fit, or the output folder cannot be used. Nothing is written then.
    """
    folders, settings = folders or Folders(), settings or Settings()
    configurations = [configuration] if isinstance(configuration, str) else list(configuration)
    with contextlib.ExitStack() as stack:
        if output:  # check the folder before reading anything
            partial = stack.enter_context(output_folder(output, FILE_NAMES, earlier_comparison))
        if folders.reference:
            if not output:
                raise InputError("-o is missing: the folder to write tables, pictures and report into")
            compared = compared_folders(dataset_id, folders, settings.intersection)
        elif dataset_id is None:
            raise InputError("give a dataset, -d ID, or folders: --predictions NAME=FOLDER --reference FOLDER")
        else:
            # imported here, because packaging/compare has no such module
            from segan_nnunet.validations.compared_trainers import compared_trainers

            compared = compared_trainers(
                dataset_id, configurations, trainers, plans, folds, seeds, folders, settings.intersection
            )
            if not output:
                results = nnunet_folder("nnUNet_results") / dataset_name(dataset_id)
                output = unused_folder(results / f"comparison__{'_'.join(configurations)}", list(compared.methods))
                partial = stack.enter_context(output_folder(output, FILE_NAMES, files_of_comparison))
        written = measure_and_write(compared, partial, settings)
    return Comparison(written.table, [output / path.name for path in written.files])


def measure_and_write(compared: MethodsOnCases, output: Path, settings: Settings) -> Comparison:
    """Measure the cases, and write the comparison into an empty folder. Raises the errors of `compare`."""
    settings = settings.resolved(list(compared.methods), compared.labelling)
    measured = measure(compared.cases, compared.labelling, settings.processes, settings.measures)
    compared.check_counts(measured)
    return write_comparison(compared, compared.complete(add_scores(measured, settings.policy)), output, settings)
