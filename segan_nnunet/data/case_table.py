"""The case table, cases.csv in a dataset's folder of nnUNet_raw: the patient of each case, and its source files.

`convert` writes it; users write it for a dataset of their own. Columns: case, patient, and if known grade, timepoint,
and the source files: truth, and one column per channel.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from segan_nnunet.data.releases.grades import GRADES
from segan_nnunet.data.releases.release import CaseFiles
from segan_nnunet.errors import InputError, shorten
from segan_nnunet.file_kinds import composed, is_hidden
from segan_nnunet.text_files import read_table

CASE_TABLE = "cases.csv"
COLUMNS = ("case", "patient", "grade", "timepoint", "truth")


def write_case_table(dataset_folder: Path, cases: Iterable[CaseFiles], channels: Sequence[str]) -> None:
    """Write one row per case: id, patient, grade, time point, and the source files of the truth and of all channels."""
    rows = []
    for case in cases:
        files = (case.truth, *(case.images[channel] for channel in channels))
        # not resolved: `submission` needs a link's own name
        sources = [os.path.abspath(paths[0]) if paths else "" for paths in files]
        rows.append([case.case_id, case.patient_id, case.grade, case.timepoint, *sources])
    pd.DataFrame(rows, columns=[*COLUMNS, *channels]).to_csv(dataset_folder / CASE_TABLE, index=False)


def read_case_table(dataset_folder: Path) -> pd.DataFrame:
    """Read the case table of a dataset, all values as text; unknown grades and time points are empty.

    Raises:
        InputError: the table is missing, or as `read_cases`.
    """
    path = dataset_folder / CASE_TABLE
    if not path.is_file():
        raise InputError(
            f"{path} is missing: it names the patient of each case. `segan_nnunet convert` writes it, for files "
            "of your own with --layout; or write it yourself, with the columns case,patient,grade and a row per case"
        )
    return read_cases(path)


def read_cases(path: Path) -> pd.DataFrame:
    """Read a case table from any file: columns case, patient, and if known grade and timepoint.

    Raises:
        InputError: the file is no table, lacks the column `case` or `patient`, or has a case twice.
    """
    table = read_table(path, COLUMNS)
    if lacking := [column for column in ("case", "patient") if column not in table]:
        raise InputError(
            f"{path} has no column {', '.join(lacking)}; its header is {', '.join(table)}. Add it, or rename a column"
        )
    table = table[table["case"] != ""]
    if len(repeated := table["case"][table["case"].map(composed).duplicated()]):
        raise InputError(f"{path} has {repeated.iloc[0]} twice; every case has one row")
    # composed letters: a Mac decomposes them. A case without a patient is a patient of its own
    patients = table["patient"].map(composed).where(table["patient"] != "", table["case"])
    missing = {column: "" for column in ("grade", "timepoint") if column not in table}
    table = table.assign(patient=patients, **missing)
    return table.assign(grade=table["grade"].map(lambda grade: GRADES.get(grade.upper(), grade)))


def read_column(dataset_folder: Path, column: str) -> dict[str, str]:
    """Return the known values of a column, `patient` or `grade`, by case id; empty if there is no case table.

    The ids have composed letters.
    """
    if not (dataset_folder / CASE_TABLE).is_file():
        return {}
    table = read_case_table(dataset_folder)
    return {composed(case): value for case, value in zip(table["case"], table[column], strict=True) if value}


def read_patients(path: Path, cases: Iterable[str]) -> pd.DataFrame:
    """Read patient and grade of cases from a user's table.

    Args:
        path: with the columns case, patient, and if known grade.
        cases: ids; each needs a row.

    Returns:
        One row per case, indexed by its id: patient, grade.

    Raises:
        InputError: as `read_cases`, or a case has no row.
    """
    table = read_cases(path).set_index("case")
    table.index = table.index.map(composed)
    if missing := sorted(set(cases) - set(table.index)):
        raise InputError(
            f"{path} has no row for {len(missing)} of the compared cases: {shorten(missing)}. Each case needs a row, "
            "also that of a patient with a single case. The column `case` holds the names of the files without their "
            "ending; its first value is "
            f"{next(iter(table.index), 'missing')}"
        )
    return table.loc[sorted(cases), ["patient", "grade"]]


def files_by_case(folder: Path, ending: str) -> dict[str, Path]:
    """Return the files of a folder with an ending, by case id, without hidden files such as a Mac's ._CASE."""
    return {path.name.removesuffix(ending): path for path in sorted(folder.glob(f"*{ending}")) if not is_hidden(path)}
