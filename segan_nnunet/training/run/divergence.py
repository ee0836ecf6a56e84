"""Stop a diverged training before it overwrites its last good checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

LOSSES = {"loss": "segmentor", "critic_loss": "critic"}  # key of a step's output: the player who minimises this loss


class TrainingDivergedError(RuntimeError):
    """A loss or a weight of one player is no longer a finite number."""


def check_losses(outputs: Sequence[Mapping[str, Any]], epoch: int, phase: str) -> None:
    """Check that the losses of an epoch's steps are finite.

    Args:
        outputs: dictionaries from `train_step` or `validation_step`. `cases`, if present, holds the ids of the batch.
        epoch: number of the epoch, from 0.
        phase: training or validation.

    Raises:
        TrainingDivergedError: a loss is not finite. The message names the player, epoch, step, cases and remedy.
    """
    for step, output in enumerate(outputs):
        for key, player in LOSSES.items():
            if key in output and not np.isfinite(output[key]).all():
                cases = ", ".join(dict.fromkeys(map(str, output.get("cases", ())))) or "unknown"
                raise TrainingDivergedError(
                    f"the {player}'s {phase} loss became {float(output[key])} in epoch {epoch}, step {step}, on a "
                    f"batch of cases {cases}. The last good checkpoint was kept. If these images hold NaN or infinity, "
                    "convert and preprocess them again. Otherwise lower the learning rate (initial_lr of a subclass), "
                    "and continue with --c."
                )


def check_weights(weights: Mapping[str, Mapping[str, Any]], epoch: int) -> None:
    """Check that the weights of a checkpoint are finite before it is written.

    Args:
        weights: state dict by player.
        epoch: number of the epoch, from 0.

    Raises:
        TrainingDivergedError: a weight is not finite. The message names the player and the epoch.
    """
    for player, state in weights.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and not torch.isfinite(value).all():
                raise TrainingDivergedError(
                    f"the {player}'s weights ({name}) are no longer finite at the end of epoch {epoch}. The last good "
                    "checkpoint was kept. Lower the learning rate (initial_lr of a subclass), and continue with --c."
                )
