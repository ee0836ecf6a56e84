"""Split a dataset into training and validation cases, by patients and not by scans.

nnU-Net's own default splits cases, so that scans of one patient may train and validate.
"""

import shutil
import warnings
from pathlib import Path

import pandas as pd

from segan_nnunet.data.case_table import files_by_case, read_case_table
from segan_nnunet.data.environment import dataset_name, folder_variable, nnunet_folder
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.planned.split_file import SPLITS_FILE, Splits, read_splits
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import composed
from segan_nnunet.folds.record import FoldRecord, read_record
from segan_nnunet.folds.state import newest_checkpoint
from segan_nnunet.text_files import write_json

REPLACED = "splits_final_replaced.json"
SCHEMES = ("kfold", "holdout")
HELD_OUT = 0.1  # of the patients of each grade, as in the paper


def kfold(cases: pd.DataFrame, folds: int, seed: int) -> Splits:
    """Split cases into folds. Each patient is in one validation set, and known grades are spread evenly.

    Args:
        cases: the case table, one row per training case, with columns case, patient, grade.
        folds: number of folds.
        seed: of the shuffling.

    Returns:
        nnU-Net's splits: per fold the ids of its training and validation cases.

    Raises:
        InputError: fewer patients than folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold  # takes a second, which `convert` does not need

    patients = cases.drop_duplicates("patient")
    if not 2 <= folds <= len(patients):
        raise InputError(f"{folds} folds cannot be made of {len(patients)} patients: choose 2 to {len(patients)}")
    grade_counts = patients["grade"].value_counts()
    # if every grade has fewer patients than folds, they cannot be spread evenly
    is_stratified = len(grade_counts) > 1 and grade_counts.max() >= folds
    splitter = (StratifiedKFold if is_stratified else KFold)(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # a grade with fewer patients than folds is missing in some folds; the table of folds shows it
        warnings.filterwarnings("ignore", message="The least populated class")
        held_out = [set(patients["patient"].iloc[part]) for _, part in splitter.split(patients, patients["grade"])]
    return [split_by_patients(cases, fold) for fold in held_out]


def split_by_patients(cases: pd.DataFrame, held_out: set[str]) -> dict[str, list[str]]:
    """Return the cases of the held-out patients as validation cases, and all others as training cases."""
    validates = cases["patient"].isin(held_out)
    return {"train": sorted(cases["case"][~validates]), "val": sorted(cases["case"][validates])}


def holdout(cases: pd.DataFrame, seed: int) -> Splits:
    """Split cases once, as in Section 3: at random 9:1, for each grade separately, by patients.

    Args:
        cases: as for `kfold`.
        seed: of the choice.

    Raises:
        InputError: a grade has a single patient, who cannot be on both sides.
    """
    from sklearn.model_selection import train_test_split

    held_out: set[str] = set()
    for grade, of_grade in cases.groupby("grade"):
        patients = sorted(of_grade["patient"].unique())
        if len(patients) < 2:
            raise InputError(
                f"grade '{grade or 'unknown'}' has a single patient; a holdout needs two. Use --scheme kfold."
            )
        held_out |= set(train_test_split(patients, test_size=HELD_OUT, random_state=seed)[1])
    return [split_by_patients(cases, held_out)]


def write_splits(
    dataset_id: int, folds: int = 5, seed: int = 12345, overwrite: bool = False, scheme: str = "kfold"
) -> pd.DataFrame:
    """Write splits_final.json where nnU-Net reads it, from the dataset's case table.

    Args:
        dataset_id: a converted dataset.
        folds: number of folds of `kfold`.
        seed: of all random choices.
        overwrite: replace existing splits; trained folds whose cases change are named.
        scheme: `kfold`, or `holdout` for the paper's 9:1.

    Returns:
        One row per fold: validation cases, patients, and cases of each grade.

    Raises:
        InputError: the dataset or its case table is missing, or other splits exist and `overwrite` is False.
    """
    name = dataset_name(dataset_id)
    cases = training_cases(nnunet_folder("nnUNet_raw") / name)
    if scheme not in SCHEMES:
        raise InputError(f"there is no scheme '{scheme}'; there are {' and '.join(SCHEMES)}")
    splits = kfold(cases, folds, seed) if scheme == "kfold" else holdout(cases, seed)
    path = nnunet_folder("nnUNet_preprocessed") / name / SPLITS_FILE
    check_replaced(path, splits, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, splits, indent=4)
    return summary(splits, cases)


def training_cases(dataset: Path) -> pd.DataFrame:
    """Read the case table's rows of training cases. Their ids have the letters of the files' names.

    The training cases are those that dataset.json lists under `dataset`, or else those of labelsTr.

    Raises:
        InputError: the dataset has no training case, or the table has other cases.
    """
    table = read_case_table(dataset)
    table = table[table["truth"] != ""] if "truth" in table else table
    described = read_dataset(dataset / "dataset.json", ["file_ending"])
    existing = described.get("dataset") or files_by_case(dataset / "labelsTr", described["file_ending"])
    if not existing:
        raise InputError(f"{dataset} has no training case: there is nothing to split. Put truths into its labelsTr")
    name_of = {composed(case): case for case in existing}  # as files name it: composed or decomposed
    table = table.assign(case=[name_of.get(composed(case), case) for case in table["case"]])
    if differing := sorted(set(existing) ^ set(table["case"])):
        raise InputError(
            f"{len(differing)} cases of {dataset} are only in cases.csv, or only among the training cases, such as "
            f"{differing[0]}. Every training case needs a row in cases.csv. Correct cases.csv"
        )
    return table


def check_replaced(path: Path, splits: Splits, overwrite: bool) -> None:
    """Check that new splits may replace existing ones. Keep a copy of splits on which folds were trained.

    Raises:
        InputError: other splits exist, or splits that break a rule, and `overwrite` is False; with the trained folds
            whose cases would change.
    """
    try:
        existing = read_splits(path.parent)
    except InputError:
        if not overwrite:
            raise
        existing = []
    if existing is None or existing == splits:
        return
    trained = trained_on_other_cases(path.parent.name, existing, splits)
    names = ", ".join(f"{fold.parent.name} {fold.name}" for fold in trained)
    if not overwrite:
        of_these = f", on which were trained: {names}" if trained else ""
        raise InputError(f"{path} holds other splits{of_these}; --overwrite replaces them")
    if trained:
        kept = path.with_name(REPLACED)
        shutil.copyfile(path, kept)
        print(
            f"WARNING: the split now has other cases than these trained folds: {names}. crossval and compare will "
            f"refuse them. Remove these folders to retrain them, or restore the earlier split from {kept}"
        )


def trained_on_other_cases(dataset: str, existing: Splits, splits: Splits) -> list[Path]:
    """Return the folds with a checkpoint whose cases differ in new splits.

    A fold without a record was trained on the existing splits.
    """
    folds = []
    results = folder_variable("nnUNet_results")
    for fold in sorted((results / dataset).glob("*__*__*/fold_*")) if results else ():
        number = fold.name.removeprefix("fold_")
        if not number.isdigit() or not newest_checkpoint(fold):
            continue
        record = read_record(fold)
        if record.train is None and int(number) < len(existing):
            record = FoldRecord.of(existing[int(number)])
        if int(number) >= len(splits) or record.moved_cases(FoldRecord.of(splits[int(number)])):
            folds.append(fold)
    return folds


def summary(splits: Splits, cases: pd.DataFrame) -> pd.DataFrame:
    """Count the validation cases, patients and grades of each fold."""
    rows = []
    for fold, split in enumerate(splits):
        held_out = cases[cases["case"].isin(split["val"])]
        grades = held_out["grade"].replace("", "unknown").value_counts().to_dict()
        row = {"fold": fold, "training": len(split["train"]), "validation": len(held_out)}
        rows.append({**row, "patients": held_out["patient"].nunique(), **grades})
    return pd.DataFrame(rows).fillna(0).astype(int)
