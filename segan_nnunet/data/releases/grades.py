"""Grades of tumours, and the table in which a release ships them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import composed
from segan_nnunet.text_files import read_table

GRADES = {"HGG": "HGG", "HG": "HGG", "LGG": "LGG", "LG": "LGG"}


@dataclass(frozen=True)
class GradeFile:
    """A table of grades that a release ships: its name, and the names of its columns."""

    name: str
    case_column: str
    grade_column: str


def read_grades(described: GradeFile, paths: Iterable[Path]) -> tuple[dict[str, str], Path | None]:
    """Read a release's own table of grades.

    Args:
        described: the table.
        paths: files of the release; several may be such a table, where several years lie below one folder.

    Returns:
        What the tables say, by case id, and the first of them; nothing where there is none.

    Raises:
        InputError: a table cannot be read, or none has the columns.
    """
    wanted = (described.case_column, described.grade_column)
    grades: dict[str, str] = {}
    found = [path for path in paths if path.name == described.name]
    for path in found:
        table = read_table(path)
        case, grade = map(table.column, wanted)
        if case and grade:
            grades |= {composed(row[case]): row[grade] for row in table.rows if row[case]}
    if found and not grades:
        raise InputError(
            f"{found[0]} has no columns {' and '.join(wanted)} with rows, from which the grades are taken. Correct the "
            "table, or move it away to convert without grades"
        )
    return grades, found[0] if found else None


def check_grades(training: Mapping[str, str], grades: Mapping[str, str], path: Path) -> None:
    """Check that a table of grades knows the training cases, and warn of those that it does not know.

    Args:
        training: the grade that was found of each training case, or nothing.
        grades: what the table says, by case id.
        path: of the table.

    Raises:
        InputError: no training case has a grade.
    """
    without = [case for case, grade in training.items() if not grade]
    if not without:
        return
    first = without[0]
    found = (
        f"'{grades[first]}' for {first}" if first in grades else f"the ids {next(iter(grades))} ..., without {first}"
    )
    known = " or ".join(sorted({*GRADES.values()}))
    said = f"{path} gives {len(without)} of {len(training)} training cases no grade, {known}: it has {found}"
    if len(without) == len(training):
        raise InputError(f"{said}. Correct the table, or move it away to convert without grades")
    print(f"WARNING: {said}")
