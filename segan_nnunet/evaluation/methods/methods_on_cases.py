"""The input of a comparison: methods, the cases on which all are compared, and the references of these cases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from segan_nnunet.data.case_table import files_by_case, read_column, read_patients
from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.data.labelling import Labelling, read_labelling
from segan_nnunet.errors import InputError, shorten
from segan_nnunet.evaluation.methods.file_names import layout_hint, naming_hint
from segan_nnunet.evaluation.methods.training import TrainedFold
from segan_nnunet.evaluation.scores.measurement import Case
from segan_nnunet.evaluation.scores.scores import COUNTS
from segan_nnunet.evaluation.scores.seeds import UNSEEDED
from segan_nnunet.file_kinds import composed, decomposed


@dataclass(frozen=True)
class Predictions:
    """The predictions of one training, or of one folder.

    Attributes:
        name: name of the training or the folder, for messages.
        files: the file of each case.
        method: the method's name in the tables. The seeds of a trainer share it.
        seed: seed of the training; UNSEEDED if the method is not a mean over seeds.
        trained_folds: the folds that predicted the files in their validation; empty for a folder.
        unfinished: description of the missing folds.
        origin: description of how the predictions were made, by heading.
    """

    name: str
    files: Mapping[str, Path]
    method: str
    seed: int = UNSEEDED
    trained_folds: Sequence[TrainedFold] = ()
    unfinished: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def fold_of(self) -> dict[str, int]:
        """The fold that validated each case."""
        return {case: fold.number for fold in self.trained_folds for case in fold.cases}


@dataclass(frozen=True)
class Folders:
    """Folders of predictions from any source, and what belongs to them.

    Attributes:
        predictions: folders by the names of their methods.
        reference: folder of the references; by default those of the dataset's validation.
        images: folder of images for the pictures.
        dataset_json: defines the label values; by default that of the dataset, or the one in the predictions' folder.
        patients: table with the patient and, if known, the grade of each case; by default that of the dataset.
    """

    predictions: Mapping[str, Path] = field(default_factory=dict)
    reference: Path | None = None
    images: Path | None = None
    dataset_json: Path | None = None
    patients: Path | None = None


@dataclass(frozen=True)
class MethodsOnCases:
    """Methods, the cases on which all of them are compared, and the references of these cases.

    Attributes:
        predictions: predictions in the order of the table. Those of one method have the same cases.
        references: the reference file of each case.
        labelling: defines the label values.
        title: the origin of the cases, for the notes of a table.
        image_folders: folders that may hold images named CASE_0000.ending.
        patients, grades: the patient and the grade of each case, if known.
        left_out: cases that not every method has.
        exported: description of the dataset's exported models, which cannot be compared.
    """

    predictions: Sequence[Predictions]
    references: Mapping[str, Path]
    labelling: Labelling
    title: str
    image_folders: Sequence[Path] = ()
    patients: Mapping[str, str] = field(default_factory=dict)
    grades: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    exported: str = ""

    @property
    def cases(self) -> list[Case]:
        """The cases, each with its files by the name of the predictions."""
        return [
            Case(case, self.references[case], {each.name: each.files[case] for each in self.predictions})
            for case in sorted(self.predictions[0].files)
        ]

    @property
    def methods(self) -> dict[str, Predictions]:
        """The methods in the order of the table, each with the predictions of its first seed, for pictures."""
        first: dict[str, Predictions] = {}
        for each in self.predictions:
            first.setdefault(each.method, each)
        return first

    def images(self, case: str) -> dict[str, Path]:
        """Return the existing image files of a case by channel."""
        images = {}
        for index, name in enumerate(self.labelling.channel_names):
            file = f"{case}_{index:04d}{self.labelling.file_ending}"
            for path in (folder / form for folder in self.image_folders for form in (file, decomposed(file))):
                if path.is_file():
                    images[name] = path
                    break
        return images

    def complete(self, measured: pd.DataFrame) -> pd.DataFrame:
        """Add the known facts about methods and cases to the measurements, for the statistics.

        Args:
            measured: one row per predictions, case and region; `method` is the name of the predictions.

        Returns:
            One row per method, seed, case and region: method (as in the tables), seed, the measurements, fold (missing
            if unknown), grade (empty if unknown), patient (the case if unknown).
        """
        by_name = {each.name: each for each in self.predictions}
        folds = {case: fold for each in self.predictions for case, fold in each.fold_of.items()}
        return measured.assign(
            method=[by_name[name].method for name in measured["method"]],
            seed=[by_name[name].seed for name in measured["method"]],
            fold=pd.array([folds.get(case) for case in measured["case"]], dtype="Int64"),
            grade=[self.grades.get(case, "") for case in measured["case"]],
            patient=[self.patients.get(case, case) for case in measured["case"]],
        )

    def check_counts(self, measured: pd.DataFrame) -> None:
        """Check that the measured voxel counts agree with nnU-Net's summary.json.

        Raises:
            InputError: they differ, because predictions, references or regions changed after the validation.
        """
        ours = measured.set_index(["method", "case", "region"])[list(COUNTS)].to_dict("index")
        for each in self.predictions:
            for fold in each.trained_folds:
                for (case, region), theirs in fold.counts.items():
                    row = ours.get((each.name, case, region))
                    if row and any(row[count] != theirs[count] for count in COUNTS if count in theirs):
                        raise InputError(
                            f"{fold.summary} has other voxel counts of {case}, {region}, than the present files: "
                            "predictions or references were changed after the validation. Validate again: "
                            "nnUNetv2_train ... --val"
                        )


def compared_folders(dataset_id: int | None, folders: Folders, intersection: bool = False) -> MethodsOnCases:
    """Return the methods of folders of predictions on the cases of a folder of references.

    Args:
        dataset_id: the dataset with the label values, images and patients of the folders; None without one.
        folders: the folders, with a reference.
        intersection: keep the cases that all folders have, instead of raising an error if they differ.

    Raises:
        InputError: a folder or the label values are missing, the folders have different cases, or the table of patients
            cannot be used.
    """
    reference = folders.reference or Path()
    if not folders.predictions:
        raise InputError("--reference goes with --predictions NAME=FOLDER, one or several")
    for folder in (*folders.predictions.values(), reference, *filter(None, [folders.images])):
        require_folder(folder)
    raw = None if dataset_id is None else nnunet_folder("nnUNet_raw") / dataset_name(dataset_id)
    dataset_jsons = [folder / "dataset.json" for folder in (*folders.predictions.values(), reference, reference.parent)]
    dataset_jsons = [raw / "dataset.json", *dataset_jsons] if raw else dataset_jsons
    existing = [path for path in dataset_jsons if path.is_file()]
    if not (folders.dataset_json or existing):
        raise InputError(
            "no dataset.json defines the label values: give the dataset with -d ID, or the file with "
            "--dataset-json FILE"
        )
    labelling = read_labelling(folders.dataset_json or existing[0])
    references = segmentations(reference, labelling.file_ending)
    predictions = folder_predictions(folders.predictions, labelling.file_ending)
    kept, left_out = common_cases(predictions, references, every_reference=True, intersection=intersection)
    images = [*filter(None, [folders.images]), *([raw / "imagesTs", raw / "imagesTr"] if raw else [])]
    patients, grades = patients_and_grades(kept[0].files, raw, folders.patients)
    title = f"references {reference.name}"
    return MethodsOnCases(kept, references, labelling, title, images, patients, grades, left_out)


def common_cases(
    predictions: Sequence[Predictions], references: Mapping[str, Path], *, every_reference: bool, intersection: bool
) -> tuple[list[Predictions], list[str]]:
    """Return the predictions of the cases that all methods have, and the cases that are left out.

    Args:
        predictions: predictions of all methods.
        references: the reference file of each case.
        every_reference: whether each method must have every case with a reference.
        intersection: keep the common cases, instead of raising an error if the cases differ.

    Raises:
        InputError: two predictions have one name, the cases differ, or no case is common to all.
    """
    names = [each.name for each in predictions]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"several rows would have the name {', '.join(repeated)}; name the folders otherwise")
    parts = [set(each.files) for each in predictions]
    everything = set.union(*parts) | (set(references) if every_reference else set())
    common = set.intersection(*parts) & set(references)
    if common != everything and not intersection:
        folds = any(each.trained_folds for each in predictions)
        raise InputError(
            f"the methods do not have the same cases: {'; '.join(missing_cases(predictions, references, everything))}."
            f"{naming_hints(predictions, references)} "
            + ("Train the missing folds, compare only --folds that all have, " if folds else "Add the missing files, ")
            + "or compare only the common cases: --intersection."
        )
    if not common:
        raise InputError(
            "no case is common to all methods and the references; are the files named alike?"
            + naming_hints(predictions, references)
        )
    kept = [replace(each, files={case: each.files[case] for case in sorted(common)}) for each in predictions]
    return kept, sorted(everything - common)


def patients_and_grades(
    cases: Iterable[str], raw: Path | None, table: Path | None
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the known patients and grades of cases.

    Args:
        cases: the compared cases.
        raw: the dataset's folder in nnUNet_raw with its cases.csv; None without a dataset.
        table: the user's table, which replaces that of the dataset.

    Raises:
        InputError: the user's table cannot be used, or a case has no row.
    """
    patients, grades = (read_column(raw, name) if raw else {} for name in ("patient", "grade"))
    if table:
        rows = read_patients(table, cases)
        patients = dict(rows["patient"])
        grades = {case: grade for case, grade in rows["grade"].items() if grade} or grades
    return patients, grades


def require_folder(folder: Path) -> None:
    """Check that a folder exists.

    Raises:
        InputError: the folder does not exist.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one that holds segmentations, one file per case")


def segmentations(folder: Path, ending: str) -> dict[str, Path]:
    """Return the segmentation files of a folder by case, with composed letters (NFC) in the cases' names.

    Raises:
        InputError: the folder is missing, has no such file, or has two files whose names look the same.
    """
    require_folder(folder)
    files = files_by_case(folder, ending)
    by_case = {composed(case): path for case, path in files.items()}
    if len(by_case) < len(files):
        twin = next(path for case, path in files.items() if by_case[composed(case)] != path)
        raise InputError(
            f"{folder} has two files {twin.name}, one with composed letters (NFC) and one, of a Mac, with decomposed "
            "ones (NFD); remove one"
        )
    if not by_case:
        raise InputError(
            f"{folder} holds no segmentation: no file there ends in {ending}, as dataset.json says"
            + layout_hint(folder, ending)
        )
    return by_case


def folder_predictions(folders: Mapping[str, Path], ending: str) -> list[Predictions]:
    """Return the predictions of each folder; the keys are the names of the methods."""
    return [
        Predictions(
            name,
            segmentations(folder, ending),
            name,
            origin={"predictions": f"files of the folder {folder.absolute().name}, made elsewhere"},
        )
        for name, folder in folders.items()
    ]


def parse_folders(texts: Sequence[str]) -> dict[str, Path]:
    """Parse texts of the form NAME=FOLDER.

    Raises:
        InputError: a text has another form, or two have the same name.
    """
    folders: dict[str, Path] = {}
    for text in texts:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder):
            raise InputError(f"--predictions takes NAME=FOLDER, for example nnUNet=predictions/nnunet; not '{text}'")
        if name in folders:
            raise InputError(f"two folders of predictions have the name '{name}'; each needs one of its own")
        folders[name] = Path(folder)
    return folders


def naming_hints(predictions: Sequence[Predictions], references: Iterable[str]) -> str:
    """Return the hints of `naming_hint` for all predictions, as sentences."""
    hints = [naming_hint(each.name, each.files, list(references)) for each in predictions]
    return "".join(f" {hint}." for hint in dict.fromkeys(filter(None, hints)))


def missing_cases(predictions: Sequence[Predictions], references: Iterable[str], everything: set[str]) -> list[str]:
    """Describe the cases that each method, and the references, lack."""
    folds = {case: fold for each in predictions for case, fold in each.fold_of.items()}
    lacking = []
    for each in predictions:
        if missing := sorted(everything - set(each.files)):
            of_folds = sorted({folds[case] for case in missing if case in folds})
            where = f" (of fold {', '.join(map(str, of_folds))})" if of_folds else ""
            number = f"{len(missing)} case{'s' if len(missing) > 1 else ''}"
            lacking.append(f"{each.name} lacks {number}{where}: {shorten(missing)}")
    if missing := sorted(everything - set(references)):
        lacking.append(f"{len(missing)} cases have no reference: {shorten(missing)}")
    return lacking
