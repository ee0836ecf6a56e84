"""Contests: which methods meet on which cases, from a dataset's trainers or from folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segan_nnunet.data.case_table import read_column, read_patients
from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.data.labelling import read_labelling
from segan_nnunet.data.planned.split_file import SPLITS_FILE, check_validated_once, read_splits
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.method import Contest, folder_methods, groups, require_folder, segmentations
from segan_nnunet.evaluation.methods.trained_models import exported_models, find_models, trained_method
from segan_nnunet.folds.checks import check_one_method


@dataclass(frozen=True)
class Folders:
    """Predictions from anywhere.

    Attributes:
        predictions: folders by the names of their rows.
        reference: folder of the truths; by default those of the dataset's validation.
        images: folder of images to show under the outlines.
        dataset_json: what the label values mean; by default the dataset's, or the one beside the predictions.
        patients: table with the patient and, if known, the grade of each case; by default the dataset's.
    """

    predictions: Mapping[str, Path] = field(default_factory=dict)
    reference: Path | None = None
    images: Path | None = None
    dataset_json: Path | None = None
    patients: Path | None = None


def dataset_contest(
    dataset_id: int,
    configurations: Sequence[str],
    trainers: Sequence[str] | None,
    plans: Sequence[str] | None,
    folds: Sequence[int] | None,
    folders: Folders,
    seeds: Sequence[int] = (),
) -> Contest:
    """The trainers of a dataset, on their validation cases, and other predictions of the same cases.

    Raises:
        InputError: a trainer or a fold is missing, the split breaks a rule, or folds or seeds of one method were
            trained otherwise.
    """
    name = dataset_name(dataset_id)
    results, preprocessed, raw = (nnunet_folder(f"nnUNet_{part}") / name for part in ("results", "preprocessed", "raw"))
    models = find_models(results, configurations, trainers, plans, seeds)
    labelling = read_labelling(folders.dataset_json or preprocessed / "dataset.json")
    splits = read_splits(preprocessed, to_train=False)
    methods = [
        replace(
            trained_method(model.name, model.folder, folds, labelling, splits), seed_of=model.seed_of, seed=model.seed
        )
        for model in models
    ]
    for method in methods:
        check_validated_once(splits or [], method.folds.values(), preprocessed / SPLITS_FILE)
    for seeds_of_one in groups(methods).values():
        check_one_method([fold for method in seeds_of_one for fold in method.fold_folders])
    methods += folder_methods(folders.predictions, labelling.file_ending)
    references = segmentations(preprocessed / "gt_segmentations", labelling.file_ending)
    used = sorted({fold for method in methods for fold in method.folds.values()})
    title = f"validation cases of {name}, fold{'s' if len(used) > 1 else ''} {', '.join(map(str, used))}"
    title += f", configuration {', '.join(configurations)}"
    images = [folders.images] if folders.images else [raw / "imagesTr"]
    return Contest(
        methods, references, labelling, images, read_column(raw, "grade"), title, patients=read_column(raw, "patient"),
        exported="" if trainers else exported_models(results, configurations),
    )  # fmt: skip


def folder_contest(dataset_id: int | None, folders: Folders, reference: Path) -> Contest:
    """Folders of predictions and the folder of their references."""
    if not folders.predictions:
        raise InputError("--reference goes with --predictions NAME=FOLDER, one or several")
    for folder in (*folders.predictions.values(), reference, *filter(None, [folders.images])):
        require_folder(folder)
    images = [folders.images] if folders.images else []
    grades: dict[str, str] = {}
    patients: dict[str, str] = {}
    candidates = [folder / "dataset.json" for folder in (*folders.predictions.values(), reference, reference.parent)]
    if dataset_id is not None:
        raw = nnunet_folder("nnUNet_raw") / dataset_name(dataset_id)
        images += [raw / "imagesTs", raw / "imagesTr"]
        grades, patients = read_column(raw, "grade"), read_column(raw, "patient")
        candidates.insert(0, raw / "dataset.json")
    if folders.dataset_json:
        candidates.insert(0, folders.dataset_json)
    if not (found := [path for path in candidates if path.is_file()]):
        raise InputError("what the label values mean is not known: give the dataset, -d ID, or --dataset-json FILE")
    labelling = read_labelling(folders.dataset_json or found[0])
    references = segmentations(reference, labelling.file_ending)
    methods = folder_methods(folders.predictions, labelling.file_ending)
    title = f"references {reference.name}"
    return Contest(methods, references, labelling, images, grades, title, patients=patients)


def with_patients(contest: Contest, table: Path) -> Contest:
    """Return the contest with patients, and grades where the table has them, of a user's table.

    Raises:
        InputError: the table cannot be used, or a case has no row.
    """
    known = read_patients(table, contest.methods[0].predictions)
    grades = {case: grade for case, grade in known["grade"].items() if grade}
    return replace(contest, patients=dict(known["patient"]), grades=grades or contest.grades)
