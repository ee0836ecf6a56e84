"""Recognise a file's content, independent of its name, and names that other libraries cannot open."""

import os
import unicodedata
import zipfile
from pathlib import Path

from segan_nnunet.errors import InputError

START = 512  # bytes that identify the content
# first bytes of a file, its content, the remedy
KINDS = (
    (b"version https://git-lfs", "is a pointer of Git LFS", "get the file itself with `git lfs pull`"),
    (b"<!doctype", "is a web page", "the download perhaps wanted a login: fetch the file again"),
    (b"<html", "is a web page", "the download perhaps wanted a login: fetch the file again"),
    (b"<?xml", "is an XML document", "the download perhaps wanted a login: fetch the file again"),
    (b"\x00\x05\x16\x07", "holds a Mac's attributes of another file", "remove it, and bring the file itself"),
)


def read_start(path: Path) -> bytes:
    """Read the first bytes of a file.

    Raises:
        InputError: the file does not exist, is not a file, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(START)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise InputError(f"{path} is a link to {os.readlink(path)}, which does not exist; bring it back") from error
        raise InputError(f"{path} does not exist; bring it back, or correct the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a file") from error
    except PermissionError as error:
        raise InputError(f"{path} may not be read by you; ask its owner for the right to (chmod g+r)") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read from its disk: {error.strerror or error}") from error


def check_kind(path: Path, wanted: str, otherwise: str = "") -> bytes:
    """Check that a file does not have other content: a pointer, a web page, zeros, or nothing.

    Args:
        path: the file.
        wanted: the kind of file that its reader expects, as in "a checkpoint".
        otherwise: remedy if the file cannot be restored, as in "; or remove it".

    Returns:
        The first bytes of the file.

    Raises:
        InputError: the file cannot be read, or has other content. The message gives the remedy.
    """
    start = read_start(path)
    if not start:
        raise InputError(f"{path} is empty, not {wanted}; fetch or write it again{otherwise}")
    if not start.strip(b"\0"):
        raise InputError(
            f"{path} begins with zeros and is not {wanted}: a crash, a full disk or a broken copy left it so. Bring it "
            f"back or write it again{otherwise}"
        )
    for magic, kind, remedy in KINDS:
        if start.lstrip().lower().startswith(magic):
            raise InputError(f"{path} {kind}, not {wanted}; {remedy}{otherwise}")
    return start


def read_pickles(path: Path) -> bytes:
    """Read the description of the tensors in an archive of PyTorch, without the tensors. It contains the keys as text.

    Returns:
        The pickles; empty if the archive is not from PyTorch.

    Raises:
        zipfile.BadZipFile: the archive is cut off, or its checksum is wrong.
        OSError: the archive cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl"))


def check_name(name: str | Path) -> None:
    """Check that a path is valid UTF-8. Other names make the libraries that read images end the process.

    Raises:
        InputError: the path is not UTF-8. The message shows its bytes, escaped.
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
    """Return a name with composed letters (NFC). A Mac writes letters decomposed (NFD): an e and an accent."""
    return unicodedata.normalize("NFC", name)


def decomposed(name: str) -> str:
    """Return a name with decomposed letters (NFD), as a Mac writes it."""
    return unicodedata.normalize("NFD", name)


def is_hidden(path: Path) -> bool:
    """Return whether a name begins with a dot: a Mac's attributes ._NAME, an editor's lock .#NAME, a partial file."""
    return path.name.startswith(".")
