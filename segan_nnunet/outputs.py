"""Check all output paths by one rule before the work starts, and write output files atomically.

A command works in a hidden folder inside the output folder, and moves its files into place at the end. So an output
folder may be a link, a mount point or the current folder, and a command that fails leaves no files.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from segan_nnunet.errors import InputError, shorten

STAGING = ".segan_nnunet."  # prefix of the hidden folders' names
ANY_NAME = re.compile(".*")
# A user who gives a new path with such an ending expects a file
FILE_ENDINGS = frozenset(
    ".zip .tar .gz .tgz .bz2 .xz .7z .rar .html .md .tex .csv .tsv .xlsx .json .txt .png .pdf .nii .mha .nrrd".split()
)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def no_files(_: Path) -> Collection[Path]:
    """Return no file of an earlier call: the output folder must be new or empty."""
    return ()


@contextmanager
def output_folder(
    path: Path,
    names: re.Pattern[str] = ANY_NAME,
    earlier: Callable[[Path], Collection[Path]] = no_files,
    option: str = "-o",
) -> Iterator[Path]:
    """Yield an empty hidden folder inside an output folder; move its files into the output folder at the end.

    Args:
        path: the output folder. It is created if it is missing. Links are followed.
        names: pattern of the names of the command's files and folders. Other files in the output folder do not change.
        earlier: returns the files of an earlier call of the command in the folder, which are replaced.
        option: name of the path's option, for messages.

    Raises:
        InputError: the path cannot be an output folder, or contains files with these names that no earlier call wrote.
    """
    with made_folder(path, option):
        check_room(path, names, earlier, option)
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=path))
        try:
            yield staging
            replaced = check_room(path, names, earlier, option)  # check again: the work may have taken hours
            written = put_in_place(staging, path)
            for file in sorted(set(replaced) - written, reverse=True):  # the content of a folder before the folder
                with contextlib.suppress(OSError):  # a folder that contains files of the user
                    file.rmdir() if file.is_dir() else file.unlink()
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def output_file(path: Path, ending: str, option: str = "-o") -> Iterator[Path]:
    """Yield the path of a file in a hidden folder; rename it to a new output file at the end.

    Args:
        path: the output file. Its folder is created if it is missing.
        ending: required ending of its name. A name without an ending is accepted.
        option: name of the path's option, for messages.

    Raises:
        InputError: the path exists, is named like another kind of file, or cannot be written.
    """
    if path.suffix.lower() in FILE_ENDINGS - {ending}:
        raise InputError(f"{path} is named like another kind of file; {option} takes a file that ends in {ending}")
    check_new_file(path, option)
    with made_folder(path.parent, option):
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=path.parent))
        try:
            yield staging / path.name
            check_new_file(path, option)
            os.replace(staging / path.name, path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def made_folder(path: Path, option: str = "-o") -> Iterator[None]:
    """Create a folder if it is missing, and check that it is writable. Remove a new folder if the work fails.

    Args:
        path: the folder. Links are followed.
        option: name of the path's option, for messages.

    Raises:
        InputError: the path, or a folder above it, is a file or a broken link; or its name is that of a file; or it is
            not writable; or the disk becomes full during the work.
    """
    made: list[Path] = []
    try:
        made = missing_folders(path, option)
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=path):
            pass
    except OSError as error:
        remove_empty(made)
        raise InputError(
            f"{path} cannot be written to ({error.strerror}); choose another path with {option}"
        ) from error
    try:
        yield
    except BaseException as error:
        remove_empty(made)
        if isinstance(error, OSError) and error.errno in DISK_FULL and error.filename is None:  # a failed write
            raise InputError(
                f"{path} cannot be written to ({error.strerror}); free some room, or choose another path with {option}"
            ) from error
        raise


def missing_folders(path: Path, option: str) -> list[Path]:
    """Return the missing folders among a folder and its parents, the deepest first.

    Raises:
        InputError: the folder cannot be made, as described in `made_folder`.
    """
    missing: list[Path] = []
    for folder in (path, *path.parents):
        if folder.is_dir():
            break
        if folder.exists():
            raise InputError(f"{folder} is a file, not a folder; choose another path with {option}")
        if folder.is_symlink():
            raise InputError(
                f"{folder} is a link to {os.readlink(folder)}, which does not exist; make that folder or mount its "
                f"disk, or choose another path with {option}"
            )
        missing.append(folder)
    if missing and path.parts[0].startswith("~"):
        raise InputError(f"{path} begins with ~, which the shell replaces only outside quotes; write $HOME instead")
    if missing and path.suffix.lower() in FILE_ENDINGS:
        raise InputError(f"{path} is named like a file; {option} takes a folder. Leave out {path.suffix}")
    return missing


def check_room(
    folder: Path,
    names: re.Pattern[str] = ANY_NAME,
    earlier: Callable[[Path], Collection[Path]] = no_files,
    option: str = "-o",
) -> Collection[Path]:
    """Check that a command replaces only its own files, and return these.

    Args:
        folder, names, earlier, option: as in `output_folder`.

    Raises:
        InputError: the folder contains a file with one of the command's names that no earlier call wrote.
    """
    replaced = earlier(folder)
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith(STAGING))
    if foreign := [path.name for path in entries if names.fullmatch(path.name) and path not in replaced]:
        raise InputError(
            f"{folder} is not empty: it holds {shorten(foreign)}, which this command did not write and does not "
            f"replace. Move it away, or choose another folder with {option}"
        )
    return replaced


def check_new_file(path: Path, option: str) -> None:
    """Check that an output file does not exist yet.

    Raises:
        InputError: a file, folder or link has this name.
    """
    if os.path.lexists(path):
        kind = "is a folder" if path.is_dir() else "exists"
        raise InputError(f"{path} {kind}, and nothing is replaced; name a new file with {option}")


def put_in_place(source: Path, folder: Path) -> set[Path]:
    """Move the content of a folder into another folder. Return the new paths of its files and folders."""
    placed: set[Path] = set()
    for path in source.iterdir():
        target = folder / path.name
        placed.add(target)
        if path.is_dir() and target.is_dir():
            placed |= put_in_place(path, target)
        elif target.is_symlink():
            shutil.copyfile(path, target)  # write into the link's target
        else:
            shutil.move(path, target)  # shutil copies if the target is on another disk
    return placed


def remove_empty(folders: Collection[Path]) -> None:
    """Remove the empty folders."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
