"""What a fold's checkpoint says of its training, read without running code of the file's and without its weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segan_nnunet.errors import InputError
from segan_nnunet.trainer_names import model_parts

# what a checkpoint of nnU-Net's own holds beside tensors
NUMPY: list[Any] = [
    *(value.__reduce__()[0] for value in (np.float64(0), np.zeros(0))),  # functions that make a number, an array
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLefd"),
]


def read_fold(folder: Path) -> dict[str, Any] | None:
    """Read a fold's newest checkpoint, its weights mapped; None where there is none that can be read so."""
    import torch  # seconds to import

    for name in ("checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth"):
        try:
            with torch.serialization.safe_globals(NUMPY):
                return torch.load(folder / name, map_location="cpu", weights_only=True, mmap=True)
        except Exception:  # not there, damaged or foreign: it raises anything, and nothing here depends on it
            continue
    return None


def configuration_of(folder: Path, name: str) -> dict[str, Any] | None:
    """The configuration of the plans under which a fold was trained; None where no checkpoint says it."""
    try:
        return resolved((read_fold(folder) or {})["init_args"]["plans"]["configurations"], name)
    except (KeyError, TypeError):
        return None


def resolved(configurations: dict[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits."""
    own = configurations[name]
    parent = own.get("inherits_from")
    return {**(resolved(configurations, parent) if parent else {}), **own}


def differing_settings(configuration: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of the settings in which two configurations differ."""
    return sorted(name for name in {*configuration, *other} if configuration.get(name) != other.get(name))


def check_one_network(model_folder: Path, folds: Sequence[int | str]) -> None:
    """Check that a model's folds were trained under the same configuration, as far as their checkpoints say.

    Raises:
        InputError: they were not, and are no one method.
    """
    name = model_parts(model_folder.name).configuration
    found = {fold: configuration_of(model_folder / f"fold_{fold}", name) for fold in folds}
    known = [(fold, configuration) for fold, configuration in found.items() if configuration]
    for fold, configuration in known[1:]:
        first, other = known[0]
        if differing := differing_settings(configuration, other):
            raise InputError(
                f"{model_folder} has folds of two plans: in {', '.join(differing)} fold {fold} differs from fold "
                f"{first}. They are no one method: train the folds of one of them anew, or take the folds of one"
            )
