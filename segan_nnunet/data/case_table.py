"""The case table, cases.csv in a dataset's folder of nnUNet_raw: whose scan each case is, and where it came from.

`convert` writes it; one may write it for a dataset of one's own. Columns: case, patient, and where known grade,
timepoint, and the source files, truth and one per channel.
"""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from segan_nnunet.data.releases.grades import GRADES
from segan_nnunet.data.releases.release import CaseFiles
from segan_nnunet.errors import InputError, shorten
from segan_nnunet.file_kinds import composed, is_hidden
from segan_nnunet.text_files import read_table

CASE_TABLE = "cases.csv"
OWN_COLUMNS = ("case", "patient", "grade", "timepoint", "truth")


def write_case_table(dataset_folder: Path, cases: Iterable[CaseFiles], channels: Sequence[str]) -> None:
    """Write one row per case: id, patient, grade, time point, and the sources of truth and of all channels found."""
    with (dataset_folder / CASE_TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "patient", "grade", "timepoint", "truth", *channels])
        for case in cases:
            # not resolved: a link's own name tells what `submission` needs
            truth = os.path.abspath(case.truth[0]) if case.truth else ""
            images = [os.path.abspath(case.images[channel][0]) if case.images[channel] else "" for channel in channels]
            writer.writerow([case.case_id, case.patient_id, case.grade, case.timepoint, truth, *images])


def write_left_out(path: Path, left_out: Mapping[str, Sequence[str]]) -> None:
    """Write one row per problem of a case that was left out of a dataset."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "problem"])
        writer.writerows([case_id, problem] for case_id, problems in left_out.items() for problem in problems)


def read_case_table(dataset_folder: Path) -> pd.DataFrame:
    """Read the table, all values as text; `grade` and `timepoint` are empty where they are not known.

    Raises:
        InputError: there is no table, or it has no column `case` or `patient`, or a case twice.
    """
    path = dataset_folder / CASE_TABLE
    if not path.is_file():
        raise InputError(
            f"{path} is missing: it says who is the patient of each case. `segan_nnunet convert` writes it, for files "
            "of your own with --layout; or write it yourself, with the columns case,patient,grade and a row per case"
        )
    return read_cases(path)


def read_cases(path: Path) -> pd.DataFrame:
    """Read a table of cases from any file: columns case, patient, and if known grade and timepoint.

    Raises:
        InputError: it is no such table.
    """
    text = read_table(path)
    own = {column: name for name in OWN_COLUMNS if (column := text.column(name))}  # in upper or lower case
    table = pd.DataFrame(text.rows, columns=text.columns, dtype=str).rename(columns=own)
    if lacking := [column for column in ("case", "patient") if column not in table]:
        raise InputError(f"{path} has no column {', '.join(lacking)}; its header is {', '.join(table)}")
    table = table[table["case"] != ""]
    if len(twice := table["case"][table["case"].map(composed).duplicated()]):
        raise InputError(f"{path} has {twice.iloc[0]} twice; every case has one row")
    # letters as composed: a name that a Mac wrote is no other patient's. Unknown: nobody else
    patients = table["patient"].map(composed).where(table["patient"] != "", table["case"])
    further = {column: "" for column in ("grade", "timepoint") if column not in table}
    table = table.assign(patient=patients, **further)
    return table.assign(grade=table["grade"].map(lambda grade: GRADES.get(grade.upper(), grade)))


def read_column(dataset_folder: Path, column: str) -> dict[str, str]:
    """A column of the table by case, `patient` or `grade`, as far as it is known; empty where there is no table.

    Letters of the cases' ids are composed.
    """
    if not (dataset_folder / CASE_TABLE).is_file():
        return {}
    table = read_case_table(dataset_folder)
    return {composed(case): value for case, value in zip(table["case"], table[column], strict=True) if value}


def read_patients(path: Path, cases: Iterable[str]) -> pd.DataFrame:
    """Read patient and grade of the given cases from a table that a user wrote.

    Args:
        path: with the columns case, patient, and if known grade.
        cases: ids, each of which needs a row.

    Returns:
        One row per given case, indexed by its id: patient, grade.

    Raises:
        InputError: it is no such table, or a case has no row.
    """
    table = read_cases(path).set_index("case")
    table.index = table.index.map(composed)
    if missing := sorted(set(cases) - set(table.index)):
        raise InputError(
            f"{path} has no row for {len(missing)} of the compared cases: {shorten(missing)}. Its column `case` must "
            "hold the names of the files without their ending; its first value is "
            f"{next(iter(table.index), 'missing')}"
        )
    return table.loc[sorted(cases), ["patient", "grade"]]


def files_by_case(folder: Path, ending: str) -> dict[str, Path]:
    """Files of a folder, one per case, by its id. A Mac writes ._CASE beside CASE, which is none."""
    found = (path for path in sorted(folder.glob(f"*{ending}")) if not is_hidden(path))
    return {path.name.removesuffix(ending): path for path in found}
