"""Recognise the real kind of a file by its first bytes, and names that other libraries cannot open."""

import os
import unicodedata
import zipfile
from pathlib import Path

from segan_nnunet.errors import InputError

START = 512  # bytes that show the kind
# the first bytes of a file, what it is, and the remedy
KINDS = (
    (b"version https://git-lfs", "is a pointer of Git LFS", "get the file itself with `git lfs pull`"),
    (b"<!doctype", "is a web page", "the download may need a login: fetch the file again"),
    (b"<html", "is a web page", "the download may need a login: fetch the file again"),
    (b"<?xml", "is an XML document", "the download may need a login: fetch the file again"),
    (b"\x00\x05\x16\x07", "holds a Mac's attributes of another file", "remove it, and copy the file itself here"),
)


def read_start(path: Path) -> bytes:
    """Read the first bytes of a file.

    Raises:
        InputError: the file does not exist, is a folder, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(START)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise InputError(f"{path} is a link to {os.readlink(path)}, which does not exist; restore it") from error
        raise InputError(f"{path} does not exist; restore it, or correct the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a file") from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: you have no permission; ask its owner for it (chmod g+r)") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read from its disk: {error.strerror or error}") from error


def check_kind(path: Path, expected: str, second_remedy: str = "") -> bytes:
    """Check that a file is not of another kind: a pointer, a web page, zeros, or empty.

    Args:
        path: the file.
        expected: the expected kind of file, as in "a checkpoint".
        second_remedy: end of every message, as in "; or remove it".

    Returns:
        The first bytes of the file.

    Raises:
        InputError: the file cannot be read, or is of another kind; with the remedy.
    """
    start = read_start(path)
    if not start:
        raise InputError(f"{path} is empty, not {expected}; fetch or write it again{second_remedy}")
    if not start.strip(b"\0"):
        raise InputError(
            f"{path} begins with zeros and is not {expected}: a crash, a full disk or a broken copy left it so. "
            f"Restore it or write it again{second_remedy}"
        )
    for magic, kind, remedy in KINDS:
        if start.lstrip().lower().startswith(magic):
            raise InputError(f"{path} {kind}, not {expected}; {remedy}{second_remedy}")
    return start


def read_pickles(path: Path) -> bytes:
    """Read the pickles of a PyTorch archive, which hold the keys of its tensors but not the tensors.

    Returns:
        The pickles; nothing if the archive is not of PyTorch.

    Raises:
        zipfile.BadZipFile: the archive is cut off, or its checksum is wrong.
        OSError: the archive cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl"))


def check_name(name: str | Path) -> None:
    """Check that a path is valid UTF-8. The libraries that read images end the whole process at other paths.

    Raises:
        InputError: the path is not valid UTF-8. The message shows its bytes in escaped form.
    """
    try:
        os.fspath(name).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise InputError(
            f"the name {shown} is not UTF-8, perhaps Latin-1 of an older system; rename it, or a whole folder with "
            "`convmv -r -f latin1 -t utf8 --notest FOLDER`"
        ) from error


def composed(name: str) -> str:
    """Return a name with composed letters (NFC). A Mac writes decomposed letters (NFD): an e and an accent."""
    return unicodedata.normalize("NFC", name)


def decomposed(name: str) -> str:
    """Return a name with decomposed letters (NFD), as a Mac writes it."""
    return unicodedata.normalize("NFD", name)


def is_hidden(path: Path) -> bool:
    """Return whether a name begins with a dot, as a Mac's ._NAME, an editor's lock .#NAME, or a partial file."""
    return path.name.startswith(".")
