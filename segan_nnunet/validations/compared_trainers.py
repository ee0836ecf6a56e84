"""The trainers of a dataset as methods on their validation cases, beside other predictions of the same cases."""

from collections.abc import Sequence
from pathlib import Path

from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.data.labelling import read_labelling
from segan_nnunet.data.planned.split_file import SPLITS_FILE, check_validated_once, read_splits
from segan_nnunet.evaluation.methods.methods_on_cases import (
    Folders,
    MethodsOnCases,
    common_cases,
    folder_predictions,
    patients_and_grades,
    segmentations,
)
from segan_nnunet.folds.checks import check_one_method
from segan_nnunet.validations.trained_models import exported_models, find_models, trained_predictions


def compared_trainers(
    dataset_id: int,
    configurations: Sequence[str],
    trainers: Sequence[str] | None,
    plans: Sequence[str] | None,
    folds: Sequence[int] | None,
    seeds: Sequence[int],
    folders: Folders,
    intersection: bool = False,
) -> MethodsOnCases:
    """Return the trainers of a dataset on their validation cases, and other predictions of the same cases.

    Raises:
        InputError: a trainer or a fold is missing, the split breaks a rule, folds or seeds of one method were trained
            under different plans, the methods have different cases, or the table of patients cannot be used.
    """
    name = dataset_name(dataset_id)
    results, preprocessed, raw = (nnunet_folder(f"nnUNet_{part}") / name for part in ("results", "preprocessed", "raw"))
    models = find_models(results, configurations, trainers, plans, seeds)
    labelling = read_labelling(folders.dataset_json or preprocessed / "dataset.json")
    splits = read_splits(preprocessed, to_train=False)
    trained = [trained_predictions(model, folds, labelling, splits) for model in models]
    folds_of: dict[str, list[Path]] = {}
    for predictions in trained:
        check_validated_once(splits or [], predictions.fold_of.values(), preprocessed / SPLITS_FILE)
        fold_folders = [fold.summary.parents[1] for fold in predictions.trained_folds]
        folds_of.setdefault(predictions.method, []).extend(fold_folders)
    for of_method in folds_of.values():
        check_one_method(of_method)
    numbers = sorted({fold.number for predictions in trained for fold in predictions.trained_folds})
    title = f"validation cases of {name}, fold{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    title += f", configuration {', '.join(configurations)}"
    methods = trained + folder_predictions(folders.predictions, labelling.file_ending)
    references = segmentations(preprocessed / "gt_segmentations", labelling.file_ending)
    kept, left_out = common_cases(methods, references, every_reference=False, intersection=intersection)
    images = [folders.images or raw / "imagesTr"]
    patients, grades = patients_and_grades(kept[0].files, raw, folders.patients)
    exported = "" if trainers else exported_models(results, configurations).strip()
    return MethodsOnCases(kept, references, labelling, title, images, patients, grades, left_out, exported)
