"""Find a trainer with nnU-Net's own search, without its output, and name a file that stops the search."""

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
    """nnU-Net finds no trainer of a name. The message lists the existing trainers."""


def find_trainer(name: str) -> Any:
    """Find a trainer as nnU-Net does: among its own, then in the folders of nnUNet_extTrainer.

    Args:
        name: of the class, with or without suffixes.

    Returns:
        The class, a subclass of nnUNetTrainer.

    Raises:
        NoTrainerError: there is none.
        InputError: a file of nnUNet_extTrainer that nnU-Net searches before it finds the trainer cannot be imported; or
            the class is no trainer; or the name breaks a rule of the suffixes.
    """
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name  # takes seconds (torch)

    try:
        # it prints every file that it inspects, and the files may print too
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return recursive_find_trainer_class_by_name(name)
    except InputError:  # raised by our own trainers, about the name
        raise
    except (Exception, SystemExit) as error:  # a user's file may raise anything at import
        if place := place_of(error):
            raise InputError(cannot_be_imported(name, error, *place)) from error
        if isinstance(error, AssertionError):
            raise InputError(f"{name} is a class, but no trainer: it does not inherit from nnUNetTrainer") from error
        if isinstance(error, RuntimeError):
            raise NoTrainerError(f"nnU-Net finds no trainer {name}. {known_trainers(name)}") from error
        raise


def declared_twice(name: str) -> str:
    """Name the files that define a trainer, or its base trainer, if several do. nnU-Net takes the first silently."""
    names = {name, unseeded(name)[0], parts(name).idea}
    folders = dict.fromkeys([stock_folder(), *named_folders()])
    files = [path for folder in folders for path in python_files(folder) if names & classes_in(path).keys()]
    for one in sorted(names):
        if len(defining := [path for path in files if one in classes_in(path)]) > 1:
            return f"{one} is defined in {' and in '.join(map(str, defining))}; nnU-Net takes the first of them"
    return ""


def stock_folder() -> Path:
    """Return the folder of nnU-Net's own trainers."""
    import nnunetv2.training.nnUNetTrainer as stock

    return Path(next(iter(stock.__path__)))


def place_of(error: BaseException) -> tuple[Path, int] | None:
    """Return the file of nnUNet_extTrainer, and its line, in which an error arose; None if it arose elsewhere.

    Some errors of a file that is not Python have no place. Then the first file that does not compile is returned.
    """
    places = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError | OSError) and error.filename:
        places.append((str(error.filename), getattr(error, "lineno", 0) or 0))
    folders = {Path(os.path.abspath(entry)) for entry in entries()}  # not resolved: a file may be a link to elsewhere
    for file, line in reversed(places):
        path = Path(os.path.abspath(file))
        if folders & set(path.parents):
            return path, line
    if isinstance(error, SyntaxError | ValueError | OSError):
        files = [path for folder in named_folders() for path in python_files(folder)]
        return next(((path, 1) for path in files if not compiles(path)), None)
    return None


def compiles(path: Path) -> bool:
    """Return whether a file compiles as Python."""
    try:
        compile(path.read_bytes(), path, "exec")
    except (SyntaxError, ValueError, OSError):
        return False
    return True


def cannot_be_imported(name: str, error: BaseException, path: Path, line: int) -> str:
    """Describe the file that stops the search for a trainer, with the reason and the remedy."""
    reason = f"{type(error).__name__}: {error}"
    remedy = "Correct the file"
    if isinstance(error, SystemExit):
        reason = "it ends the program, as a script does"
        remedy = "Put what it runs below `if __name__ == '__main__':`"
    elif isinstance(error, ModuleNotFoundError):
        remedy = f"Install {(error.name or 'the package').partition('.')[0]}"
    return (
        f"{path}, line {line}, cannot be imported ({reason}), and nnU-Net imports the files of nnUNet_extTrainer one "
        f"after the other until it finds {name}. {remedy}, or move it out of that folder"
    )


def known_trainers(name: str) -> str:
    """Describe the existing trainers: all in nnUNet_extTrainer, and nnU-Net's with similar names."""
    external = os.environ.get("nnUNet_extTrainer")
    own = [own_name for folder in named_folders() for own_name in declared_classes(folder)]
    similar = difflib.get_close_matches(name, declared_classes(stock_folder()), n=3)
    message = 'nnUNet_extTrainer is not set: export nnUNet_extTrainer="$(segan_nnunet trainer-folder)".'
    if own:
        message = f"In nnUNet_extTrainer ({external}) there are {', '.join(own)}."
        message += f" Our trainers also have the suffixes {', '.join(SUFFIXES)}."
    elif external:
        message = f"nnUNet_extTrainer ({external}) has no trainer: nnU-Net looks into its .py files and packages."
    if external and catalogue_folder("trainers") not in named_folders():
        message += (
            " The folder of our trainers, which also makes those with suffixes, is not in it: export nnUNet_extTrainer="
            f'"$(segan_nnunet trainer-folder){os.pathsep}{external}".'
        )
    message += "".join(f" {problem}." for problem in folder_problems())
    return message + (f" nnU-Net itself has {', '.join(similar)}." if similar else "")
