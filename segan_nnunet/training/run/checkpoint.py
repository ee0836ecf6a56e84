"""Write checkpoints atomically, with tensors and plain Python values only; restore the random states."""

import contextlib
import io
import os
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from segan_nnunet.data.environment import apply_umask
from segan_nnunet.errors import REMEDIES, InputError, system_error


def save_atomically(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint under a temporary name, flush it to the disk, and rename it.

    If the process is killed at any moment, the file `path` holds either the old checkpoint or the new one.

    Raises:
        InputError: the system cannot write, for example because the disk is full. The old checkpoint stays.
    """
    try:
        replace_atomically(checkpoint, path)
    except (OSError, RuntimeError) as error:  # torch turns a failed write into a RuntimeError about positions
        refusal = system_error(error)
        if refusal is None:
            raise
        remedy = REMEDIES.get(refusal.errno or 0, "correct that")
        raise InputError(
            f"{path} cannot be written: {refusal.strerror or refusal}. The previous checkpoint is intact: {remedy}, "
            "and continue the training with --c, or with the same crossval"
        ) from error


def replace_atomically(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint under a temporary name and rename it. On an error, delete the temporary file."""
    for stale in path.parent.glob(".*.pth.*"):
        stale.unlink()  # left by a process killed while writing; only one training writes into a folder at a time
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            torch.save(without_numpy(checkpoint), file)
            file.flush()
            os.fsync(file.fileno())
            apply_umask(Path(file.name))
            os.replace(file.name, path)
        except BaseException:
            with contextlib.suppress(OSError):  # report the first error, not this one
                os.unlink(file.name)
            raise


def without_numpy(value: Any) -> Any:
    """Replace NumPy scalars and arrays, at any depth, by numbers and tensors, which load with weights_only=True."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(np.int64) if value.dtype.kind == "u" else value.copy())
    if isinstance(value, dict):
        return type(value)((without_numpy(key), without_numpy(entry)) for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(without_numpy(entry) for entry in value)
    return value


def read_buffer(buffer: io.BytesIO) -> dict[str, Any]:
    """Read a checkpoint that nnU-Net has written into memory."""
    buffer.seek(0)
    # weights_only=False: this process wrote it a moment ago, and nnU-Net's log holds NumPy's scalars
    return torch.load(buffer, map_location="cpu", weights_only=False)


def check_same_weights(player: str, saved: Mapping[str, torch.Tensor] | None, module: nn.Module, path: Path) -> None:
    """Check that a player's weights in a checkpoint have the names and shapes of its network.

    Args:
        player: segmentor or critic.
        saved: its weights in the checkpoint, or None if the checkpoint has none.
        module: its network.
        path: of the checkpoint.

    Raises:
        InputError: a name or a shape differs.
    """
    if saved is None:
        return
    then = {name.removeprefix("module."): list(value.shape) for name, value in saved.items()}
    now = {name: list(value.shape) for name, value in module.state_dict().items()}
    if differing := [name for name in {**now, **then} if then.get(name) != now.get(name)]:
        first = differing[0]
        raise InputError(
            f"{path} holds another {player} than its trainer builds now: {len(differing)} of its weights differ. The "
            f"first is {first}, of shape {then.get(first, 'none')} there and {now.get(first, 'none')} now. Undo the "
            "change to the trainer, give the changed trainer a name of its own, or delete the fold to retrain it"
        )


def optimizer_of(checkpoint: dict[str, Any]) -> str | None:
    """Return the class of the segmentor's optimiser, inferred from its settings in nnU-Net's own checkpoints."""
    settings = checkpoint["optimizer_state"]["param_groups"][0]
    return checkpoint.get("optimizer_class") or ("SGD" if {"momentum", "nesterov"} <= set(settings) else None)


def random_states() -> dict[str, Any]:
    """Return the states of all random generators of this process."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Restore the states of all random generators. Restore CUDA's only if the number of devices is the same."""
    random.setstate(states["python"])
    algorithm, keys, *rest = states["numpy"]
    np.random.set_state((algorithm, np.asarray(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    cuda = [state.cpu() for state in states["cuda"]]
    if cuda and torch.cuda.is_available() and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all(cuda)
