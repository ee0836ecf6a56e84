"""Read checkpoints without running code of theirs, and what they say of a training without their weights."""

import pickle
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_kind, read_pickles
from segan_nnunet.folds.state import CHECKPOINTS

PYTORCH = b"PK\x03\x04"  # a zip archive
OLD_PYTORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # a pickle of a magic number
TORCHSCRIPT = b"\x80\x02c__torch__"  # a pickle of a class of its own code
WEIGHTS = "network_weights"
TRAIN_AGAIN = "; or remove it and train that fold again"
KEPT = ("init_args", "logging", "trained_on", "current_epoch")
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


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of any trainer, nnU-Net's own too; nothing in the file can run code.

    Raises:
        InputError: as `read_plain`, or there are no weights where nnU-Net's trainers write them.
    """
    content = read_plain(path)
    if not content.get(WEIGHTS) or not isinstance(content[WEIGHTS], dict):
        raise InputError(
            f"{path} is no checkpoint of nnU-Net: it has no '{WEIGHTS}'. Another program may have written it; bring "
            f"the checkpoint back{TRAIN_AGAIN}"
        )
    return content


def read_plain(path: Path, mapped: bool = False) -> dict[str, Any]:
    """Read a dictionary of tensors and plain values that PyTorch has written.

    Args:
        path: of the file.
        mapped: leave the tensors in the file until they are asked for.

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
