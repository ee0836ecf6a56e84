"""Find trainers with nnU-Net's own search, without its output, and report the file that stops it."""

import contextlib
import difflib
import io
import os
import traceback
from pathlib import Path
from typing import Any

from segan_nnunet.catalogues import (
    catalogue_folder,
    classes_in,
    declared_classes,
    entries,
    folder_problems,
    named_folders,
    python_files,
)
from segan_nnunet.errors import InputError
from segan_nnunet.trainer_names import SUFFIXES, parts, unseeded


class NoTrainerError(InputError):
    """nnU-Net finds no trainer with a name. The message lists the existing trainers."""


def find_trainer(name: str) -> Any:
    """Find a trainer as nnU-Net does: first among its own trainers, then in the folders of nnUNet_extTrainer.

    Args:
        name: name of the class, with or without suffixes.

    Returns:
        The class, a subclass of nnUNetTrainer.

    Raises:
        NoTrainerError: nnU-Net finds no such trainer.
        InputError: nnU-Net cannot import a file of nnUNet_extTrainer before it finds the trainer, or the class is not a
            trainer, or the name breaks a rule of the suffixes.
    """
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name  # takes seconds (torch)

    try:
        # nnU-Net prints every file that it inspects, and the file itself may print too
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return recursive_find_trainer_class_by_name(name)
    except InputError:  # from our catalogue, about the name
        raise
    except (Exception, SystemExit) as error:  # importing a user's file may raise anything
        if place := place_of(error):
            raise InputError(describe_import_failure(name, error, *place)) from error
        if isinstance(error, AssertionError):
            raise InputError(f"{name} is not a trainer: make it a subclass of nnUNetTrainer") from error
        if isinstance(error, RuntimeError):
            raise NoTrainerError(f"nnU-Net finds no trainer {name}. {known_trainers(name)}") from error
        raise


def describe_duplicates(name: str) -> str:
    """Return a message with the files that define a trainer's class, or "" for a single file. nnU-Net takes the first.

    Args:
        name: name of the trainer, with or without suffixes.
    """
    names = {name, unseeded(name)[0], parts(name).base}
    folders = dict.fromkeys([stock_folder(), *named_folders()])
    files = [path for folder in folders for path in python_files(folder) if names & classes_in(path).keys()]
    for class_name in sorted(names):
        if len(defining := [path for path in files if class_name in classes_in(path)]) > 1:
            return f"{class_name} is defined in {' and in '.join(map(str, defining))}; nnU-Net takes the first of them"
    return ""


def stock_folder() -> Path:
    """Return the folder of nnU-Net's own trainers."""
    import nnunetv2.training.nnUNetTrainer as stock

    return Path(next(iter(stock.__path__)))


def place_of(error: BaseException) -> tuple[Path, int] | None:
    """Return the file of nnUNet_extTrainer and the line that raised an error, or None if another file raised it.

    Some errors of an invalid Python file contain no file name. Then return the first file that does not compile.
    """
    places = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError | OSError) and error.filename:
        places.append((str(error.filename), getattr(error, "lineno", 0) or 0))
    # not resolved, because a file may be a link to another folder
    folders = {Path(os.path.abspath(entry)) for entry in entries()}
    for file, line in reversed(places):
        path = Path(os.path.abspath(file))
        if folders & set(path.parents):
            return path, line
    if isinstance(error, SyntaxError | ValueError | OSError):
        files = [path for folder in named_folders() for path in python_files(folder)]
        return next(((path, 1) for path in files if not compiles(path)), None)
    return None


def compiles(path: Path) -> bool:
    """Return whether a Python file compiles."""
    try:
        compile(path.read_bytes(), path, "exec")
    except (SyntaxError, ValueError, OSError):
        return False
    return True


def describe_import_failure(name: str, error: BaseException, path: Path, line: int) -> str:
    """Return a message with the file that stops the search for a trainer, the reason and the remedy."""
    reason = f"{type(error).__name__}: {error}"
    remedy = "Correct the file"
    if isinstance(error, SystemExit):
        reason = "it ends the program, as a script does"
        remedy = "Move its script part below `if __name__ == '__main__':`"
    elif isinstance(error, ModuleNotFoundError):
        remedy = f"Install {(error.name or 'the package').partition('.')[0]}"
    return (
        f"{path}, line {line}, cannot be imported ({reason}), and nnU-Net imports the files of nnUNet_extTrainer one "
        f"after the other until it finds {name}. {remedy}, or move it out of that folder"
    )


def known_trainers(wanted: str) -> str:
    """Return a message with all trainers of nnUNet_extTrainer, and nnU-Net's trainers with similar names."""
    external = os.environ.get("nnUNet_extTrainer")
    declared = [name for folder in named_folders() for name in declared_classes(folder)]
    similar = difflib.get_close_matches(wanted, declared_classes(stock_folder()), n=3)
    message = 'nnUNet_extTrainer is not set: export nnUNet_extTrainer="$(segan_nnunet trainer-folder)".'
    if external:
        message = f"nnUNet_extTrainer ({external}) has {', '.join(declared)}. "
        message += f"Our trainers take the suffixes {', '.join(SUFFIXES)}."
        if not declared:
            message = f"nnUNet_extTrainer ({external}) has no trainer: nnU-Net searches its .py files and packages."
    if external and catalogue_folder("trainers") not in named_folders():
        message += (
            " nnUNet_extTrainer lacks the folder of our trainers, which composes the suffixes: export "
            f'nnUNet_extTrainer="$(segan_nnunet trainer-folder){os.pathsep}{external}".'
        )
    message += "".join(f" {problem}." for problem in folder_problems())
    return message + (f" nnU-Net itself has {', '.join(similar)}." if similar else "")
