"""Where the two catalogues lie, `trainers/` and `dataset_conversion/`, which users read and extend; what is in them."""

import ast
import contextlib
import importlib.util
import os
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
    """The folders of nnUNet_extTrainer, in which nnU-Net looks for trainers beside its own."""
    return [Path(folder).resolve() for folder in os.environ.get("nnUNet_extTrainer", "").split(os.pathsep) if folder]


def declared_classes(folder: Path) -> dict[str, str]:
    """Classes that Python files below a folder define, with their docstrings' first lines; nothing is imported."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    found[node.name] = (ast.get_docstring(node) or "").partition("\n")[0]
    return found


def list_trainers() -> str:
    """The trainers by folder, and the suffixes, with one line each."""
    lines = []
    for folder in dict.fromkeys([catalogue_folder("trainers"), *named_folders()]):
        declared = declared_classes(folder)
        for name in [name for name in declared if parts(name).idea != name and parts(name).idea in declared]:
            del declared[name]  # an idea's own form of a suffix
        lines += [f"{folder}:", *(f"  {name:27} {line}" for name, line in declared.items()), ""]
    lines += ["Suffixes, behind our trainers and those of yours that are made from ours, in this order:"]
    lines += [f"  {suffix:27} {line}" for suffix, line in SUFFIXES.items()]
    return "\n".join(lines)


def load_trainers() -> ModuleType:
    """Import the catalogue of trainers as nnU-Net does: from its file, under a bare name. It imports torch: seconds."""
    spec = importlib.util.spec_from_file_location("segan_trainers", catalogue_folder("trainers") / "segan_trainers.py")
    assert spec and spec.loader  # for mypy: the file is there
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
