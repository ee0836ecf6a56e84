"""Output paths: one rule for all commands, checked before the work starts.

A command works in a hidden folder inside the output folder, and moves its files into place at the end. So an output
folder that is a link, a mount point or the current folder stays as it is, and a command that fails leaves nothing.
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
# a user who gives a new path with such an ending expects a file
FILE_ENDINGS = frozenset(
    ".zip .tar .gz .tgz .bz2 .xz .7z .rar .html .md .tex .csv .tsv .xlsx .json .txt .png .pdf .nii .mha .nrrd".split()
)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def output_folder(
    path: Path,
    names: re.Pattern[str] = ANY_NAME,
    earlier: Callable[[Path], Collection[Path]] = lambda _: (),
    option: str = "-o",
) -> Iterator[Path]:
    """Yield an empty hidden folder inside an output folder; move its files into the output folder at the end.

    Args:
        path: the output folder, which is made if it is missing. Links are followed.
        names: possible names of the command's files and folders. Others in the output folder stay untouched.
        earlier: returns the files of an earlier call in the folder, which are replaced; by default none.
        option: names the path in messages.

    Raises:
        InputError: the path cannot be an output folder, or contains files with these names that no earlier call wrote.
    """
    with made_folder(path, option):
        check_room(path, names, earlier, option)
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=path))
        try:
            yield staging
            replaced = check_room(path, names, earlier, option)  # again: hours may have passed
            written = move_content(staging, path)
            for file in sorted(set(replaced) - written, reverse=True):  # files before their folder
                with contextlib.suppress(OSError):  # a folder that also holds files of the user
                    file.rmdir() if file.is_dir() else file.unlink()
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def output_file(path: Path, ending: str, option: str = "-o") -> Iterator[Path]:
    """Yield the path of a file in a hidden folder; rename it to a new output file at the end.

    Args:
        path: the output file. Its folder is made if it is missing.
        ending: of its name. A name without any ending is accepted.
        option: names the path in messages.

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
    """Check that files can be written into a folder, and make it if it is missing; remove it if the work fails.

    Args:
        path: the folder. Links are followed.
        option: name of the path's option, for messages.

    Raises:
        InputError: the path, or a folder above it, is a file or a broken link; or its name is that of a file; or it is
            not writable; or the disk becomes full during the work.
    """
    missing: list[Path] = []
    remedy = f"choose another path with {option}"
    try:
        missing = missing_folders(path, option)
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=path):
            pass
    except OSError as error:
        remove_empty(missing)
        raise InputError(f"{path} cannot be written to ({error.strerror}); {remedy}") from error
    try:
        yield
    except BaseException as error:
        remove_empty(missing)
        if isinstance(error, OSError) and error.errno in DISK_FULL and error.filename is None:  # of a write
            raise InputError(f"{path} cannot be written to ({error.strerror}); free some room, or {remedy}") from error
        raise


def missing_folders(path: Path, option: str) -> list[Path]:
    """Return those of a folder and the folders above it that are missing, the deepest first.

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
    earlier: Callable[[Path], Collection[Path]] = lambda _: (),
    option: str = "-o",
) -> Collection[Path]:
    """Check that a command would replace only its own files. Return these files.

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
    """Check that a file does not exist.

    Raises:
        InputError: a file, folder or link has this name.
    """
    if os.path.lexists(path):
        kind = "is a folder" if path.is_dir() else "exists"
        raise InputError(f"{path} {kind}, and nothing is replaced; name a new file with {option}")


def move_content(source: Path, folder: Path) -> set[Path]:
    """Move the content of a folder into another folder. Return the new paths of all files and folders."""
    moved: set[Path] = set()
    for path in source.iterdir():
        target = folder / path.name
        moved.add(target)
        if path.is_dir() and target.is_dir():
            moved |= move_content(path, target)
        elif target.is_symlink():
            shutil.copyfile(path, target)  # into the file that the link leads to
        else:
            shutil.move(path, target)  # copies if a folder in the output folder lies on another disk
    return moved


def remove_empty(folders: Collection[Path]) -> None:
    """Remove the empty folders."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
