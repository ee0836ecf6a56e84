"""Checkpoints that are either whole or not there."""

import io
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch


def save_atomically(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint under a temporary name, flush it to the disk, and rename it.

    Killed at any moment, the file `path` holds either the old checkpoint or the new one.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def read_buffer(buffer: io.BytesIO) -> dict[str, Any]:
    """Read back a checkpoint that nnU-Net has written into memory."""
    buffer.seek(0)
    # weights_only=False: nnU-Net keeps its initialisation arguments and log in there, which are not tensors
    return torch.load(buffer, map_location="cpu", weights_only=False)


def random_states() -> dict[str, Any]:
    """Return the states of all random generators of this process."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Put all random generators back to the given states; CUDA's only on as many devices as there were."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"].cpu())
    cuda = [state.cpu() for state in states["cuda"]]
    if cuda and torch.cuda.is_available() and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all(cuda)
