"""Grades of tumours, and the table of grades that a release ships."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import composed
from segan_nnunet.text_files import read_table

GRADES = {"HGG": "HGG", "HG": "HGG", "LGG": "LGG", "LG": "LGG"}


@dataclass(frozen=True)
class GradeFile:
    """A release's table of grades: the names of the file and of its columns."""

    name: str
    case_column: str
    grade_column: str


def read_grades(grade_file: GradeFile, paths: Iterable[Path]) -> tuple[dict[str, str], Path | None]:
    """Read the tables of grades among a release's files. Several years below one folder may have one each.

    Returns:
        Grades by case id, and the path of the first table; {} and None if no file is such a table.

    Raises:
        InputError: a table cannot be read, or none has the columns.
    """
    case, grade = columns = (grade_file.case_column, grade_file.grade_column)
    grades: dict[str, str] = {}
    tables = [path for path in paths if path.name == grade_file.name]
    for path in tables:
        table = read_table(path, columns)
        if {case, grade} <= set(table):
            grades |= {composed(one): of_case for one, of_case in table[[case, grade]].to_numpy() if one}
    if tables and not grades:
        raise InputError(
            f"{tables[0]} has no columns {' and '.join(columns)} with rows, from which the grades are taken. Correct "
            "the table, or move it away to convert without grades"
        )
    return grades, tables[0] if tables else None


def check_grades(training: Mapping[str, str], grades: Mapping[str, str], path: Path) -> None:
    """Check that a table of grades has a grade for the training cases. Warn of those without one.

    Args:
        training: grade of each training case, or an empty text.
        grades: content of the table, by case id.
        path: of the table.

    Raises:
        InputError: no training case has a grade.
    """
    without = [case for case, grade in training.items() if not grade]
    if not without:
        return
    first = without[0]
    ids = f"its ids, such as {next(iter(grades))}, do not include {first}"
    entry = f"the grade of {first} is '{grades[first]}'" if first in grades else ids
    known = " or ".join(sorted({*GRADES.values()}))
    problem = f"{path} has no grade ({known}) for {len(without)} of {len(training)} training cases: {entry}"
    if len(without) == len(training):
        raise InputError(f"{problem}. Correct the table, or move it away to convert without grades")
    print(f"WARNING: {problem}")
