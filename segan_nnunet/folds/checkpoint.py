"""Read checkpoints, or only their description of a training, without running code in them."""

import pickle
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_kind, read_pickles
from segan_nnunet.folds.state import CHECKPOINTS

PYTORCH = b"PK\x03\x04"  # start of a zip archive
OLD_PYTORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # start of a pickle of a magic number
TORCHSCRIPT = b"\x80\x02c__torch__"  # start of a pickle of a class that brings its code
WEIGHTS = "network_weights"
TRAIN_AGAIN = ", or remove it and train that fold again"
KEPT = ("init_args", "logging", "trained_on", "current_epoch")
# Checkpoints of nnU-Net's own trainers hold these beside tensors: the functions that make a number and an array, by
# their names in NumPy 1 and 2, and types
MAKERS: list[Any] = [value.__reduce__()[0] for value in (np.float64(0), np.zeros(0))]
NUMPY: list[Any] = [
    *((maker, f"numpy.{core}.multiarray.{maker.__name__}") for maker in MAKERS for core in ("core", "_core")),
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLefd"),
]


def read_fold(folder: Path) -> dict[str, Any] | None:
    """Read a fold's newest readable checkpoint without its weights; None if the fold has none."""
    for name in CHECKPOINTS:
        try:
            return read_description(folder / name, (folder / name).stat().st_mtime_ns)
        except (OSError, InputError):  # missing, damaged or foreign: the next one may do
            continue
    return None


@cache
def read_description(path: Path, written_ns: int) -> dict[str, Any]:
    """Read a checkpoint without its weights, once for each time of writing."""
    content = read_plain(path, mapped=True)
    return {key: content[key] for key in KEPT if key in content}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of any trainer, also of nnU-Net's own. Nothing in the file can run code.

    Raises:
        InputError: as `read_plain`; or the file lacks the weights that nnU-Net's trainers write.
    """
    content = read_plain(path)
    if not content.get(WEIGHTS) or not isinstance(content[WEIGHTS], dict):
        raise InputError(
            f"{path} is no checkpoint of nnU-Net: it has no '{WEIGHTS}'. Another program may have written it. Restore "
            f"the checkpoint{TRAIN_AGAIN}"
        )
    return content


def read_plain(path: Path, mapped: bool = False) -> dict[str, Any]:
    """Read a dictionary of tensors and plain values that PyTorch wrote.

    Args:
        path: the file.
        mapped: leave the tensors in the file until they are used.

    Raises:
        InputError: as `check_checkpoint`; or the file holds more than tensors, NumPy arrays and plain values.
    """
    check_checkpoint(path)
    import torch  # seconds to import

    try:
        with torch.serialization.safe_globals(NUMPY):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} was not written by a trainer of this package or of nnU-Net: it holds Python objects, which may "
            "run code while they are loaded. If you trust the file, load it with torch.load(FILE, weights_only=False), "
            "save its {'network_weights': ...} with torch.save, and give the new file to -pretrained_weights"
        ) from error
    except Exception as error:  # torch raises anything for a damaged file
        raise InputError(f"{path} is damaged ({error}). Restore it{TRAIN_AGAIN}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds a {type(content).__name__}, not a checkpoint of a training. Restore it{TRAIN_AGAIN}"
        )
    return content


def check_checkpoint(path: Path) -> None:
    """Check that a file is a complete PyTorch archive, without reading its weights.

    Raises:
        InputError: the file is missing, unreadable, of another kind, or cut off.
    """
    if not path.exists() and not path.is_symlink():
        raise InputError(
            f"there is no checkpoint {path}. Without --c, nnUNetv2_train begins this fold. For -pretrained_weights, "
            "correct the path"
        )
    start = check_kind(path, "a checkpoint", TRAIN_AGAIN)
    if start.startswith(OLD_PYTORCH):
        raise InputError(
            f"{path} is in the form of PyTorch before 1.6, as the models of nnU-Net v1 are. nnU-Net v2 does not have "
            "their networks. Train anew, or give a checkpoint of nnU-Net v2"
        )
    if not start.startswith(PYTORCH):
        raise InputError(f"{path} is not a checkpoint of PyTorch, which is a zip archive. Restore it{TRAIN_AGAIN}")
    try:
        pickles = read_pickles(path)
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{path} is damaged or cut off ({error}): a copy or a download ended early, or the disk was full. Restore "
            f"it{TRAIN_AGAIN}"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read from its disk: {error.strerror or error}") from error
    if not pickles:
        raise InputError(
            f"{path} is a zip archive of other files, not a checkpoint. If it is an exported model, install it with "
            "nnUNetv2_install_pretrained_model_from_zip. Its checkpoints are then in nnUNet_results"
        )
    if pickles.startswith(TORCHSCRIPT):
        raise InputError(
            f"{path} is a network in TorchScript, as model.ts of a MONAI bundle is, not a checkpoint. Give a "
            "checkpoint of nnU-Net v2"
        )
