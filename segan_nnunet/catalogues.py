"""Find the two catalogues that users read and extend, `trainers/` and `dataset_conversion/`, and list the trainers."""

import ast
import importlib.util
import os
import pkgutil
from pathlib import Path
from types import ModuleType

from segan_nnunet.trainer_names import SUFFIXES, parts

CATALOGUES = ("trainers", "dataset_conversion")


def catalogue_folder(name: str) -> Path:
    """Return the folder of a catalogue, in an installed wheel or in a checkout.

    A wheel holds the catalogues inside the package; in a checkout they stand beside it.

    Args:
        name: `trainers` (what nnUNet_extTrainer points at) or `dataset_conversion` (the release tables).

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    if name not in CATALOGUES:
        raise ValueError(f"there is no catalogue '{name}'; there are {', '.join(CATALOGUES)}")
    package = Path(__file__).resolve().parent
    for folder in (package / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"the folder '{name}' of segan_nnunet is missing beside {package}; install the package again"
    )


def named_folders() -> list[Path]:
    """Return the folders of nnUNet_extTrainer, in which nnU-Net looks for trainers after its own."""
    return [path.resolve() for path in map(Path, entries()) if path.is_dir()]


def entries() -> list[str]:
    """Return the entries of nnUNet_extTrainer as they are written."""
    return [entry for entry in os.environ.get("nnUNet_extTrainer", "").split(os.pathsep) if entry]


def folder_problems() -> list[str]:
    """List the entries of nnUNet_extTrainer that are no folders. nnU-Net ignores them silently."""
    problems = []
    for entry in entries():
        path = Path(entry)
        if path.is_dir():
            continue
        if path.is_file():
            problem = f"is a file; name its folder, {path.parent}"
        elif entry.startswith("~"):
            problem = "is no folder: the shell leaves a ~ in quotes as it is; write $HOME"
        elif set(",;") & set(entry):
            problem = f"is no folder; several folders are separated by '{os.pathsep}'"
        elif entry != entry.strip():
            problem = "is no folder: it begins or ends with a space or a line break"
        else:
            problem = "is no folder; correct the path, or make the folder"
        problems.append(f"nnUNet_extTrainer: {entry!r} {problem}")
    return problems


def python_files(folder: Path) -> list[Path]:
    """List the files in which nnU-Net looks for trainers: of a folder, and of the packages in it.

    Names with a further dot do not count: an editor's lock .#mine.py, a Mac's ._mine.py, a copy mine.old.py.
    """
    files = []
    for module in pkgutil.iter_modules([str(folder)]):
        path = folder / module.name
        files += python_files(path) if module.ispkg else [path.with_name(f"{module.name}.py")]
    return [path for path in files if path.is_file()]


def declared_classes(folder: Path) -> dict[str, str]:
    """Return the classes of a folder's Python files, with the first lines of their docstrings, without importing."""
    return {name: line for path in python_files(folder) for name, line in classes_in(path).items()}


def classes_in(path: Path) -> dict[str, str]:
    """Return the classes of a file, with the first lines of their docstrings; none if the file is not Python."""
    try:
        nodes = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError, OSError):  # `find_trainer` names such a file
        return {}
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    return {node.name: (ast.get_docstring(node) or "").partition("\n")[0] for node in classes}


def list_trainers() -> str:
    """Return a list of the trainers by folder, and of the suffixes, with one line each."""
    lines = []
    for folder in dict.fromkeys([catalogue_folder("trainers"), *named_folders()]):
        declared = declared_classes(folder)
        for name in [name for name in declared if parts(name).idea != name and parts(name).idea in declared]:
            del declared[name]  # a base trainer's own variant of a suffix
        lines += [f"{folder}:", *(f"  {name:27} {line}" for name, line in declared.items()), ""]
    lines += [line for problem in folder_problems() for line in (problem, "")]
    lines += ["Suffixes of our trainers, and of your trainers that inherit from ours, in this order:"]
    lines += [f"  {suffix:27} {line}" for suffix, line in SUFFIXES.items()]
    return "\n".join(lines)


def load_trainers() -> ModuleType:
    """Import the catalogue of trainers as nnU-Net does: from its file, under a bare name. It takes seconds (torch)."""
    spec = importlib.util.spec_from_file_location("segan_trainers", catalogue_folder("trainers") / "segan_trainers.py")
    assert spec and spec.loader  # for mypy: the file is there
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
