"""What a fold's checkpoint says of its training, read without running code of the file's and without its weights."""

from pathlib import Path
from typing import Any

import numpy as np

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
        return (read_fold(folder) or {})["init_args"]["plans"]["configurations"][name]
    except (KeyError, TypeError):
        return None
