"""Read JSON and tables that other programs or people wrote; write JSON.

Every error names the file, the line and the remedy.
"""

import csv
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_kind

if TYPE_CHECKING:  # half a second, which most commands do not need
    import pandas as pd

BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
SEPARATORS = (",", ";", "\t")  # Excel writes semicolons if the comma is the decimal point
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .xls


def read_text(path: Path, kind: str = "text") -> str:
    """Read a file in UTF-8, the encoding of JSON and TOML and of nnU-Net's files.

    Args:
        path: the file.
        kind: the expected kind of file, for messages.

    Raises:
        InputError: the file cannot be read, is of another kind, or is in another encoding.
    """
    start = check_kind(path, kind)
    mark = next((name for bytes_, name in BYTE_ORDER_MARKS.items() if start.startswith(bytes_)), None)
    if mark == "utf-8-sig":
        raise InputError(
            f"{path} begins with a byte-order mark, which {kind} does not have. Save it as UTF-8 without it"
        )
    if mark or b"\0" in start:
        raise InputError(f"{path} is in UTF-16, and {kind} is in UTF-8. Save it as UTF-8 without a byte-order mark")
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: a letter is in another encoding than UTF-8, perhaps Latin-1. Save the file as UTF-8"
        ) from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file cannot be read or breaks a rule of JSON; with the line.
    """
    text = read_text(path, "a JSON file")
    try:
        return json.loads(text, object_pairs_hook=unique_names)
    except json.JSONDecodeError as error:
        line, problem = json_problem(text, error)
        raise InputError(f"{path}, line {line}: {problem}. Correct the line, or restore the file") from error
    except (RecursionError, InputError) as error:
        raise InputError(f"{path}: {error}. Correct the file, or restore it") from error


def json_problem(text: str, error: json.JSONDecodeError) -> tuple[int, str]:
    """Return the line and a description of a mistake in JSON. Python's own descriptions differ between versions."""
    before, after = text[: error.pos].rstrip(), text[error.pos :].lstrip()
    if before.endswith(",") and after[:1] in ("}", "]"):
        return before.count("\n") + 1, f"there is a comma too many before the {after[0]}"
    if after[:1] == "," and after[1:].lstrip()[:1] in ("}", "]"):
        return error.lineno, f"there is a comma too many before the {after[1:].lstrip()[0]}"
    if not after:
        return error.lineno, "the text ends too early, perhaps it was cut off"
    if error.msg.startswith("Expecting ',' delimiter"):
        return before.count("\n") + 1, "a comma is missing after this"
    if after[0] == "'":
        return error.lineno, "JSON has names and texts in double quotes, not in single ones"
    return error.lineno, error.msg


def unique_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's entries as a dictionary.

    Raises:
        InputError: two entries have the same name, and the first would be lost.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise InputError(f"it has '{next(name for name in names if names.count(name) > 1)}' twice in one place")
    return content


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: as `read_json`; or the file holds another type.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise InputError(f"{path} holds {kind}, but must hold an object, names and values in braces. Restore the file")
    return content


def optional_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that nothing depends on. Return an empty object if it is missing or unusable."""
    try:
        return read_object(path)
    except InputError:
        return {}


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write a JSON file, atomically: killed at any moment, the file holds either its old content or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=indent))
    os.replace(partial, path)


def read_table(path: Path, columns: Collection[str] = ()) -> "pd.DataFrame":
    """Read a table of text as spreadsheets save it: UTF-8, UTF-16 or Latin-1; commas, semicolons or tabs.

    Args:
        path: the file.
        columns: names that the header may have in upper or lower case; these columns are renamed to them.

    Returns:
        The table, all values as text without outer spaces, without empty rows.

    Raises:
        InputError: the file cannot be read, is empty, is a workbook, has two columns of one name, or a row is longer
            than the header.
    """
    import pandas as pd

    if check_kind(path, "a table").startswith(WORKBOOKS):
        raise InputError(f"{path} is a spreadsheet workbook (.xlsx or .xls), not text; save it as CSV")
    lines = [line for line in decode(path.read_bytes()).splitlines() if line.strip()]
    separators: Sequence[str] = SEPARATORS
    if lines and lines[0].lower().startswith("sep=") and len(lines[0]) == 5:  # Excel's own line
        separators, lines = [lines[0][4]], lines[1:]
    if not lines:
        raise InputError(f"{path} has no line of text; a table has a header, and a row per case")
    separator = max(separators, key=lambda one: len(next(csv.reader(lines[:1], delimiter=one))))
    try:
        header, *body = ([value.strip() for value in row] for row in csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise InputError(f"{path} is no table of columns separated by commas: {error}. Save it as CSV again") from error
    names = [name.casefold() for name in header if name]
    if repeated := next((name for name in header if names.count(name.casefold()) > 1), None):
        raise InputError(f"{path} has two columns '{repeated}', in upper or lower case; remove or rename one")
    for row in body:
        if any(row[len(header) :]):
            raise InputError(
                f"{path}: the row of {row[0]} has {len(row)} values, and the header {len(header)}. Correct that row"
            )
    renamed = {name.casefold(): name for name in columns}
    rows = [[*row, *[""] * len(header)][: len(header)] for row in body if any(row)]
    return pd.DataFrame(rows, columns=[renamed.get(name.casefold(), name) for name in header], dtype=str)


def decode(content: bytes) -> str:
    """Decode text by its byte-order mark; without one as UTF-8, or UTF-16 if it has zeros, or Windows' Latin-1."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\0" in content:
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
