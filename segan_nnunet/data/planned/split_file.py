"""Read and check splits_final.json, which `split`, nnU-Net or a user wrote."""

import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from segan_nnunet.data.case_table import read_column
from segan_nnunet.data.environment import dataset_number
from segan_nnunet.data.planned.cases import known_cases, raw_folder
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import composed, decomposed
from segan_nnunet.text_files import read_json

SPLITS_FILE = "splits_final.json"
SIDES = {"train": "training", "val": "validation"}

Splits = list[dict[str, list[str]]]


def read_splits(preprocessed: Path, cases: Collection[str] | None = None, to_train: bool = True) -> Splits | None:
    """Read the split of a dataset; return None if it has none.

    Args:
        preprocessed: the dataset's folder in nnUNet_preprocessed.
        cases: the names that the split may hold; by default all known cases of the dataset. If none is known, the split
            may hold any.
        to_train: whether nnU-Net will train on the split. Then each name must match byte for byte, because nnU-Net
            finds a case by the bytes of its name. If False, composed and decomposed letters both match.

    Raises:
        InputError: the split breaks a rule; with the rule and the first case that breaks it. Or it lies where nnU-Net
            does not look for it.
    """
    path = preprocessed / SPLITS_FILE
    if not path.exists():
        check_not_elsewhere(path)
        return None
    splits = read_json(path)
    cases = known_cases(preprocessed) if cases is None else cases
    allowed = cases if to_train else {form(case) for case in cases for form in (composed, decomposed)}
    if problem := split_problem(splits, allowed):
        raise InputError(
            f"{path} is no split that can be trained on: {problem}. Correct it, or make a new split: segan_nnunet "
            f"split -d {dataset_number(preprocessed.name)} --overwrite"
        )
    return splits


def check_not_elsewhere(path: Path) -> None:
    """Check that a missing split does not lie elsewhere. nnU-Net would make a split of its own.

    Raises:
        InputError: it lies in nnUNet_raw, or has the form of nnU-Net v1.
    """
    raw = raw_folder(path.parent) / path.name
    if raw.is_file():
        raise InputError(
            f"{raw} is not where nnU-Net looks for a split, and it would make one of its own. Move it to {path}, or "
            "remove it"
        )
    if (pickled := path.with_suffix(".pkl")).is_file():
        raise InputError(
            f"{pickled} is a split of nnU-Net v1, which v2 does not read: it would make one of its own. Write it as "
            f"JSON to {path}, or remove it"
        )


def describe_shared_patients(preprocessed: Path, splits: Splits) -> str:
    """Describe the first fold that trains and validates on scans of one patient.

    The text is empty if no fold does, or if patients are not known.
    """
    patient_of = read_column(raw_folder(preprocessed), "patient")
    for fold, split in enumerate(splits):
        train, val = ({patient_of.get(composed(case), case) for case in split[side]} for side in SIDES)
        if both := sorted(train & val):
            return (
                f"fold {fold} of {preprocessed / SPLITS_FILE} trains on scans of {len(both)} patients that it "
                f"validates on, the first {both[0]}: its scores will be too good. segan_nnunet split -d "
                f"{dataset_number(preprocessed.name)} --overwrite splits by patients"
            )
    return ""


def split_problem(splits: Any, cases: Collection[str]) -> str:
    """Describe the first rule that a split breaks; return an empty text if it breaks none.

    The split may hold only names in `cases`, or any names if `cases` is empty.
    """
    if not isinstance(splits, list) or not splits:
        return 'it must be a list with one {"train": [...], "val": [...]} per fold'
    problems = ((fold, fold_problem(split, cases)) for fold, split in enumerate(splits))
    return next((f"fold {fold} {problem}" for fold, problem in problems if problem), "")


def fold_problem(split: Any, cases: Collection[str]) -> str:
    """Describe the first rule that one fold of a split breaks; return an empty text if it breaks none."""
    for side, name in SIDES.items():
        ids = split.get(side) if isinstance(split, dict) else None
        if not isinstance(ids, list):
            return f'has no list "{side}" of cases'
        if not ids:
            return f"has no {name} case"
        seen: set[str] = set()
        for case in ids:
            if not isinstance(case, str):
                return f"has the {name} case {json.dumps(case)}, which is no text"
            if case in seen:
                return f"has the {name} case {case} twice"
            if cases and case not in cases:
                return f"has the {name} case {case}, which the dataset does not have{spelling_hint(case, cases)}"
            seen.add(case)
    both = set(split["train"]) & set(split["val"])
    return f"has {min(both)} as a training case and as a validation case" if both else ""


def spelling_hint(case: str, cases: Collection[str]) -> str:
    """Name the case that an unknown name probably means, and the rule of names."""
    if composed(case) in map(composed, cases):
        return " (it has one that looks the same: its letters are composed in one place and decomposed in the other)"
    shorter = (re.sub(pattern, "", case) for pattern in (r"\.[\w.]+$", r"_\d{4}$", r"_\d{4}\.[\w.]+$"))
    meant = next((name for name in shorter if name in cases), None)
    return f" (it has {meant}: cases are named without a channel and a file ending)" if meant else ""


def cases_of_fold(preprocessed: Path, fold: int) -> tuple[list[str], list[str]] | None:
    """Return the training and validation cases of a fold; None if the dataset has no split, or none with this fold."""
    splits = read_splits(preprocessed, cases=()) or []
    return (splits[fold]["train"], splits[fold]["val"]) if fold < len(splits) else None


def check_validated_once(splits: Splits, folds: Iterable[int], path: Path) -> None:
    """Check that no case validates in two of the folds: a method has one prediction of each case.

    Raises:
        InputError: a case validates in two of the folds.
    """
    fold_of: dict[str, int] = {}
    for fold in sorted({*folds}):
        for case in splits[fold]["val"] if fold < len(splits) else ():
            if fold_of.setdefault(case, fold) != fold:
                raise InputError(
                    f"{case} validates in fold {fold_of[case]} and in fold {fold} of {path}, and the table of a "
                    "comparison takes one prediction of each case. Choose folds without a common case: --folds"
                )
