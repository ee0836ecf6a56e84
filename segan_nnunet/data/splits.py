"""Which cases train and which validate: patients, never scans, are split.

nnU-Net's own default splits cases, and lets two scans of one patient fall on both sides.
"""

import shutil
import warnings
from collections.abc import Iterable
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
    """Split cases into folds, every patient in one validation set, grades spread evenly where they are known.

    Args:
        cases: the case table, one row per training case, with columns case, patient, grade.
        folds: number of folds.
        seed: of the shuffling.

    Returns:
        nnU-Net's splits: per fold the ids of its training and validation cases.

    Raises:
        InputError: fewer patients than folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold  # a second, which `convert` needs not wait for

    patients = cases.drop_duplicates("patient")
    if not 2 <= folds <= len(patients):
        raise InputError(f"{folds} folds cannot be made of {len(patients)} patients: choose 2 to {len(patients)}")
    of_grade = patients["grade"].value_counts()
    # where every grade has fewer patients than there are folds there is nothing to spread evenly
    stratified = len(of_grade) > 1 and of_grade.max() >= folds
    splitter = (StratifiedKFold if stratified else KFold)(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # with fewer patients of a grade than folds some folds lack that grade, which the table of folds shows
        warnings.filterwarnings("ignore", message="The least populated class")
        held_out = [
            set(patients["patient"].to_numpy()[part]) for _, part in splitter.split(patients, patients["grade"])
        ]
    return [split_by_patients(cases, fold) for fold in held_out]


def split_by_patients(cases: pd.DataFrame, held_out: set[str]) -> dict[str, list[str]]:
    """Return the cases of the held-out patients as validation, all others as training."""
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
        if of_grade["patient"].nunique() < 2:
            raise InputError(
                f"grade '{grade or 'unknown'}' has a single patient; a holdout needs two. Use --scheme kfold."
            )
        patients = sorted(of_grade["patient"].unique())
        held_out |= set(train_test_split(patients, test_size=HELD_OUT, random_state=seed)[1])
    return [split_by_patients(cases, held_out)]


def write_splits(
    dataset_id: int, folds: int = 5, seed: int = 12345, overwrite: bool = False, scheme: str = "kfold"
) -> pd.DataFrame:
    """Write splits_final.json where nnU-Net reads it, from the case table that `convert` wrote.

    Args:
        dataset_id: a converted dataset.
        folds: number of folds of `kfold`.
        seed: of everything random.
        overwrite: replace other splits that are there; trained folds whose cases change are named.
        scheme: `kfold`, or `holdout` for the paper's 9:1.

    Returns:
        One row per fold: validation cases, patients, and cases of each grade.

    Raises:
        InputError: the dataset or its case table is missing, or other splits exist and `overwrite` is False.
    """
    name = dataset_name(dataset_id)
    cases = read_case_table(nnunet_folder("nnUNet_raw") / name)
    cases = cases[cases["truth"] != ""] if "truth" in cases else cases
    own_names = check_cases(nnunet_folder("nnUNet_raw") / name, cases["case"])
    cases = cases.assign(case=cases["case"].map(own_names))
    if scheme not in SCHEMES:
        raise InputError(f"there is no scheme '{scheme}'; there are {' and '.join(SCHEMES)}")
    splits = kfold(cases, folds, seed) if scheme == "kfold" else holdout(cases, seed)
    path = nnunet_folder("nnUNet_preprocessed") / name / SPLITS_FILE
    if (earlier := earlier_splits(path.parent, overwrite)) is not None and earlier != splits:
        replace_splits(path, earlier, splits, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, splits, indent=4)
    return summary(splits, cases)


def earlier_splits(preprocessed: Path, overwrite: bool) -> Splits | None:
    """Return the splits that are there, none of them where they break a rule and are to be replaced.

    Raises:
        InputError: they break a rule, and `overwrite` is False.
    """
    try:
        return read_splits(preprocessed)
    except InputError:
        if not overwrite:
            raise
        return []


def replace_splits(path: Path, earlier: Splits, splits: Splits, overwrite: bool) -> None:
    """Allow other splits to take the place of those that are there; keep these where folds were trained on them.

    Raises:
        InputError: `overwrite` is False; with the trained folds whose cases would change.
    """
    trained = trained_otherwise(path.parent.name, earlier, splits)
    names = ", ".join(f"{fold.parent.name} {fold.name}" for fold in trained)
    if not overwrite:
        of_these = f", on which were trained: {names}" if trained else ""
        raise InputError(f"{path} holds other splits{of_these}; --overwrite replaces them")
    if trained:
        kept = path.with_name(REPLACED)
        shutil.copyfile(path, kept)
        print(
            f"WARNING: trained on other cases than their fold has now: {names}. crossval and compare will refuse them. "
            f"Remove these folders to train them anew, or bring the splits back, which are kept in {kept}"
        )


def trained_otherwise(dataset: str, earlier: Splits, splits: Splits) -> list[Path]:
    """Folds with a checkpoint whose cases are others in new splits.

    Args:
        dataset: DatasetXXX_Name.
        earlier: what a fold without a record was trained on.
        splits: the new ones.
    """
    found = []
    results = folder_variable("nnUNet_results")
    for fold in sorted((results / dataset).glob("*__*__*/fold_*")) if results else ():
        number = fold.name.removeprefix("fold_")
        if not number.isdigit() or not newest_checkpoint(fold):
            continue
        record = read_record(fold)
        if record.train is None and int(number) < len(earlier):
            record = FoldRecord.of(earlier[int(number)])
        if int(number) >= len(splits) or record.moved_cases(FoldRecord.of(splits[int(number)])):
            found.append(fold)
    return found


def check_cases(dataset: Path, listed: Iterable[str]) -> dict[str, str]:
    """Check that the case table lists the training cases of its dataset.

    Returns:
        The name of each listed case as its files have it, with letters composed or decomposed.

    Raises:
        InputError: it does not, or there is none.
    """
    there = {composed(case): case for case in training_cases(dataset)}
    if not there:
        raise InputError(f"{dataset} has no training case: there is nothing to split")
    named = {case: there.get(composed(case), case) for case in listed}
    if differing := sorted(set(there.values()) ^ set(named.values())):
        raise InputError(
            f"{len(differing)} cases are only in one of cases.csv and labelsTr of {dataset}, such as {differing[0]}; "
            "every training case has a row"
        )
    return named


def training_cases(dataset: Path) -> set[str]:
    """Ids of a dataset's training cases: those that dataset.json lists under `dataset`, or else those of labelsTr."""
    described = read_dataset(dataset / "dataset.json", ["file_ending"])
    return set(described.get("dataset") or files_by_case(dataset / "labelsTr", described["file_ending"]))


def summary(splits: list[dict[str, list[str]]], cases: pd.DataFrame) -> pd.DataFrame:
    """Count the validation cases, patients and grades of each fold."""
    rows = []
    for fold, split in enumerate(splits):
        held_out = cases[cases["case"].isin(split["val"])]
        grades = held_out["grade"].replace("", "unknown").value_counts().to_dict()
        row = {"fold": fold, "training": len(split["train"]), "validation": len(held_out)}
        rows.append({**row, "patients": held_out["patient"].nunique(), **grades})
    return pd.DataFrame(rows).fillna(0).astype(int)
