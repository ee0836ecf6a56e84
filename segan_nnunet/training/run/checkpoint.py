"""Checkpoints that are either whole or not there, and that hold nothing but tensors and plain values."""

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

    Killed at any moment, the file `path` holds either the old checkpoint or the new one.

    Raises:
        InputError: the system refuses: the disk is full, for instance. The old checkpoint stays.
    """
    try:
        replace_atomically(checkpoint, path)
    except (OSError, RuntimeError) as error:  # torch turns a failed write into a RuntimeError about positions
        refusal = system_error(error)
        if refusal is None:
            raise
        remedy = REMEDIES.get(refusal.errno or 0, "put that right")
        raise InputError(
            f"{path} cannot be written: {refusal.strerror or refusal}. What was saved before is whole: {remedy}, and "
            "continue the training with --c, or with the same crossval"
        ) from error


def replace_atomically(checkpoint: dict[str, Any], path: Path) -> None:
    """Do what `save_atomically` says; nothing half-written stays behind."""
    for stale in path.parent.glob(".*.pth.*"):
        stale.unlink()  # of a process killed while writing; one training writes into a folder at a time
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            torch.save(plain(checkpoint), file)
            file.flush()
            os.fsync(file.fileno())
            apply_umask(Path(file.name))
            os.replace(file.name, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to be told
                os.unlink(file.name)
            raise


def plain(value: Any) -> Any:
    """Turn NumPy's scalars and arrays, at any depth, into numbers and tensors, which load with weights_only=True."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(np.int64) if value.dtype.kind == "u" else value.copy())
    if isinstance(value, dict):
        return type(value)((plain(key), plain(entry)) for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(plain(entry) for entry in value)
    return value


def read_buffer(buffer: io.BytesIO) -> dict[str, Any]:
    """Read back a checkpoint that nnU-Net has written into memory."""
    buffer.seek(0)
    # weights_only=False: this process wrote it a moment ago, and nnU-Net's log holds NumPy's scalars
    return torch.load(buffer, map_location="cpu", weights_only=False)


def check_same_weights(player: str, saved: Mapping[str, torch.Tensor] | None, module: nn.Module, path: Path) -> None:
    """Check that a player's weights in a checkpoint have the names and shapes of its network.

    Args:
        player: segmentor or critic.
        saved: its weights in the checkpoint; None where there are none.
        module: its network.
        path: of the checkpoint.

    Raises:
        InputError: they have not.
    """
    if saved is None:
        return
    then = {name.removeprefix("module."): list(value.shape) for name, value in saved.items()}
    now = {name: list(value.shape) for name, value in module.state_dict().items()}
    if differing := [name for name in {**now, **then} if then.get(name) != now.get(name)]:
        first = differing[0]
        raise InputError(
            f"{path} holds another {player} than its trainer builds now: {len(differing)} of its weights differ, the "
            f"first {first}, of shape {then.get(first, 'none')} there and {now.get(first, 'none')} now. Undo what was "
            "changed in the trainer, give the changed trainer a name of its own, or remove the fold to train it anew"
        )


def optimizer_of(checkpoint: dict[str, Any]) -> str | None:
    """The class of the segmentor's optimiser; for nnU-Net's own checkpoints, which do not say it, by its settings."""
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
    """Put all random generators back to the given states; CUDA's only on as many devices as there were."""
    random.setstate(states["python"])
    algorithm, keys, *rest = states["numpy"]
    np.random.set_state((algorithm, np.asarray(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    cuda = [state.cpu() for state in states["cuda"]]
    if cuda and torch.cuda.is_available() and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all(cuda)
