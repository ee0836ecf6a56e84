"""What a fold's checkpoint says of its training, read without running code of the file's and without its weights."""

import math
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_kind, read_pickles
from segan_nnunet.trainer_names import model_parts

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth")  # the newest first
PYTORCH = b"PK\x03\x04"  # a zip archive
OLD_PYTORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # a pickle of a magic number
TORCHSCRIPT = b"\x80\x02c__torch__"  # a pickle of a class of its own code
WEIGHTS = "network_weights"
TRAIN_AGAIN = "; or remove it and train that fold again"
KEPT = ("init_args", "logging", "trained_on", "current_epoch")
ROUNDING = 1e-4  # relative, of values that another device computes
PROBED = ("loss", "further_loss", "distances")  # recorded by their values on a probe
# what a checkpoint of nnU-Net's own holds beside tensors: functions that make a number, an array, under the names that
# they have in NumPy 1 and 2, and types
MAKERS: list[Any] = [value.__reduce__()[0] for value in (np.float64(0), np.zeros(0))]
NUMPY: list[Any] = [
    *((maker, f"numpy.{core}.multiarray.{maker.__name__}") for maker in MAKERS for core in ("core", "_core")),
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLefd"),
]


def read_fold(folder: Path) -> dict[str, Any] | None:
    """Read what is not weights in a fold's newest checkpoint; None where there is none that can be read so."""
    for name in CHECKPOINTS:
        try:
            return read_description(folder / name, (folder / name).stat().st_mtime_ns)
        except (OSError, InputError):  # not there, damaged or foreign: nothing here depends on it
            continue
    return None


@cache
def read_description(path: Path, written_ns: int) -> dict[str, Any]:
    """Read what is not weights, once for all who ask."""
    content = read_plain(path, mapped=True)
    return {key: content[key] for key in KEPT if key in content}


def read_checkpoint(path: Path, mapped: bool = False) -> dict[str, Any]:
    """Read a checkpoint of any trainer, nnU-Net's own too; nothing in the file can run code.

    Args:
        path: of the checkpoint.
        mapped: leave the weights in the file until they are asked for.

    Raises:
        InputError: as `read_plain`, or there are no weights where nnU-Net's trainers write them.
    """
    content = read_plain(path, mapped)
    if not content.get(WEIGHTS) or not isinstance(content[WEIGHTS], dict):
        raise InputError(
            f"{path} is no checkpoint of nnU-Net: it has no '{WEIGHTS}'. Another program may have written it; bring "
            f"the checkpoint back{TRAIN_AGAIN}"
        )
    return content


def read_plain(path: Path, mapped: bool = False) -> dict[str, Any]:
    """Read a dictionary of tensors and plain values that PyTorch has written.

    Args:
        path, mapped: as for `read_checkpoint`.

    Raises:
        InputError: as `check_checkpoint`, or the file holds more than tensors, NumPy's arrays and plain values.
    """
    check_checkpoint(path)
    import torch  # seconds to import

    try:
        with torch.serialization.safe_globals(NUMPY):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} was not written by a trainer of this package or of nnU-Net: it holds Python objects, which may "
            "run code while they are loaded. If you trust it, load it with torch.load(FILE, weights_only=False), save "
            "{'network_weights': ...} of it with torch.save, and give that to -pretrained_weights"
        ) from error
    except Exception as error:  # torch raises anything for a damaged file
        raise InputError(f"{path} is damaged ({error}); bring it back{TRAIN_AGAIN}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds a {type(content).__name__}, not a checkpoint of a training; bring it back{TRAIN_AGAIN}"
        )
    return content


def check_checkpoint(path: Path) -> None:
    """Check that a file is a whole archive of PyTorch's, without reading the weights in it.

    Raises:
        InputError: the file is missing, cannot be read, is something else under this name, or is cut off.
    """
    if not path.exists() and not path.is_symlink():
        raise InputError(f"there is no checkpoint {path}; train without --c first")
    start = check_kind(path, "a checkpoint", TRAIN_AGAIN)
    if start.startswith(OLD_PYTORCH):
        raise InputError(
            f"{path} is in the form of PyTorch before 1.6, as the models of nnU-Net v1 are, whose networks nnU-Net v2 "
            "does not have. Train anew, or give a checkpoint of nnU-Net v2"
        )
    if not start.startswith(PYTORCH):
        raise InputError(f"{path} is not a checkpoint of PyTorch, which is a zip archive; bring it back{TRAIN_AGAIN}")
    try:
        pickles = read_pickles(path)
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{path} is damaged or cut off ({error}): a copy or a download ended early, or the disk was full. Bring it "
            f"back{TRAIN_AGAIN}"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read from its disk: {error.strerror or error}") from error
    if not pickles:
        raise InputError(
            f"{path} is a zip archive of other files, not a checkpoint. An exported model is installed first, with "
            "nnUNetv2_install_pretrained_model_from_zip; its checkpoints are then in nnUNet_results"
        )
    if pickles.startswith(TORCHSCRIPT):
        raise InputError(
            f"{path} is a network in TorchScript, as model.ts of a MONAI bundle is, not a checkpoint. Give a "
            "checkpoint of nnU-Net v2"
        )


def check_newest(folder: Path) -> None:
    """Check the newest checkpoint of a fold, from which nnU-Net would go on, as `check_checkpoint`.

    Raises:
        InputError: it is something else under this name.
    """
    for path in (folder / name for name in CHECKPOINTS):
        if path.is_file():
            check_checkpoint(path)
            return


def configuration_of(fold: Path) -> dict[str, Any] | None:
    """The configuration of the plans under which a fold was trained; None where no checkpoint says it."""
    name = model_parts(fold.parent.name).configuration
    try:
        return resolved((read_fold(fold) or {})["init_args"]["plans"]["configurations"], name)
    except (KeyError, TypeError):
        return None


def outputs_in(checkpoint: Mapping[str, Any] | None) -> list[Any] | None:
    """What the outputs of the network in a checkpoint of any trainer mean, as `output_values` has it."""
    try:
        return output_values((checkpoint or {})["init_args"]["dataset_json"])
    except (KeyError, TypeError):
        return None


def output_values(described: Mapping[str, Any]) -> list[Any] | None:
    """Return the label values of a network's outputs: of regions in the order of dataset.json, else of labels.

    Args:
        described: a dataset.json; None is returned where it does not say it.
    """
    labels = described.get("labels")
    if not isinstance(labels, dict):
        return None
    values = [value for name, value in labels.items() if name not in ("background", "ignore")]
    has_regions = any(isinstance(value, (list, tuple)) and len(value) > 1 for value in values)
    lists = [list(value) if isinstance(value, (list, tuple)) else [value] for value in values]
    return [sorted(one, key=str) for one in lists] if has_regions else sorted(lists, key=str)


def objective_of(fold: Path) -> dict[str, Any] | None:
    """The objective under which a fold was trained; None where no checkpoint says it."""
    return ((read_fold(fold) or {}).get("trained_on") or {}).get("objective")


def resolved(configurations: dict[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits.

    Raises:
        KeyError: it inherits from one that is not there, or from itself.
    """
    own = configurations[name]
    others = {other: content for other, content in configurations.items() if other != name}
    parent = own.get("inherits_from")
    return {**(resolved(others, parent) if parent else {}), **own}


def differing_settings(configuration: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of the settings in which two configurations differ."""
    return sorted(name for name in {*configuration, *other} if configuration.get(name) != other.get(name))


def changed_objective(recorded: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """Say what differs between two objectives, as far as both are recorded; nothing if nothing does.

    Args:
        recorded, now: by name, as our trainers have them; None where there is no record.
    """
    if not recorded or not now:
        return ""
    changes = []
    for name, then in recorded.items():
        value = now.get(name)
        if alike(then, value):
            continue
        if isinstance(then, dict) and isinstance(value, dict):
            changes.append(f"of the {name}, {changed_objective(then, value)}")
        else:  # numbers on a probe say nothing to a reader
            changes.append(f"{name} is another" if name in PROBED else f"{name} was {then} and is {value}")
    return "; ".join(changes)


def alike(value: Any, other: Any) -> bool:
    """Whether two recorded values are the same, but for rounding; None stands for a value that is not known."""
    if value is None or other is None:
        return True
    if isinstance(value, dict) and isinstance(other, dict):  # another version of torch may know further settings
        return all(alike(value[key], other[key]) for key in value.keys() & other.keys())
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(alike, value, other))
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=ROUNDING, abs_tol=ROUNDING**2) or math.isnan(value + other)
    return value == other


def check_one_method(folds: Sequence[Path]) -> None:
    """Check that folds, of one model or of several seeds, were trained under the same configuration and objective.

    As far as their checkpoints say.

    Raises:
        InputError: they were not, and are no one method.
    """
    objectives = [(fold, objective) for fold in folds if (objective := objective_of(fold))]
    for fold, objective in objectives[1:]:
        first, other = objectives[0]
        if changed := changed_objective(other, objective):
            raise InputError(
                f"{fold} was trained under another objective than {first}: {changed}. They are no one method: train "
                "the folds of one of them anew, or take the folds or seeds of one"
            )
    known = [(fold, configuration) for fold in folds if (configuration := configuration_of(fold))]
    for fold, configuration in known[1:]:
        first, other = known[0]
        if differing := differing_settings(configuration, other):
            raise InputError(
                f"{fold} was trained under other plans of this name than {first}: {', '.join(differing)} differ. They "
                "are no one method: train the folds of one of them anew, or take the folds or seeds of one"
            )
