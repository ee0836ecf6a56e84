"""Errors that a user can correct, and their messages."""

import errno
from collections.abc import Sequence

REMEDIES = {
    errno.ENOSPC: "free some room",
    errno.EDQUOT: "free some room or ask for a larger quota",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EROFS: "make that file system writable",
    errno.EACCES: "ask for the permission",
}


class InputError(ValueError):
    """Input that breaks a rule. The message names the file or value, the rule, and the remedy."""


def describe(error: BaseException) -> str | None:
    """Return the message of an error that a user can correct, or None for other errors."""
    if isinstance(error, InputError):
        return str(error)
    if not isinstance(error, OSError) or (error.filename is None and error.errno not in REMEDIES):
        return None
    where = f"{error.filename}: " if error.filename is not None else ""
    remedy = f"; {REMEDIES[error.errno]} and give the command again" if error.errno in REMEDIES else ""
    return f"{where}{error.strerror}{remedy}"


def has_remedy(error: BaseException) -> bool:
    """Return whether a user can correct an error, so that it needs no traceback."""
    return isinstance(error, InputError) or (isinstance(error, OSError) and error.errno in REMEDIES)


def system_error(error: BaseException | None) -> OSError | None:
    """Return the system's error that caused an error, or None."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def shorten(names: Sequence[str], most: int = 5) -> str:
    """Return the first few names in one line."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def first_lines(problems: Sequence[str], most: int) -> str:
    """Return the first few problems, each on an indented line, and the number of further problems."""
    more = [f"... and {len(problems) - most} more"] if len(problems) > most else []
    return "".join(f"\n  {line}" for line in [*problems[:most], *more])
