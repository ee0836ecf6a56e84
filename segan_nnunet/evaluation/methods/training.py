"""What is known of a training whose predictions are compared: its cost, its course, nnU-Net's own counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class TrainingCost:
    """Cost of training one fold.

    Attributes:
        steps: of the optimiser.
        seconds: of its epochs, with their validation; a part that it shares with another training is in it.
    """

    steps: int
    seconds: float


@dataclass(frozen=True)
class TrainingLog:
    """The course of one fold's training, a value per epoch.

    Attributes:
        pseudo_dice: nnU-Net's estimate on validation patches, (epochs, regions).
        training_loss, validation_loss: (epochs,).
    """

    pseudo_dice: np.ndarray
    training_loss: np.ndarray
    validation_loss: np.ndarray


@dataclass(frozen=True)
class TrainedFold:
    """A fold that was trained and validated here.

    Attributes:
        number: of the fold.
        cases: that it validated.
        summary: nnU-Net's summary.json of its validation.
        counts: TP, FP, FN, TN in that summary, by case and region.
        cost, log: of its training; None where nnU-Net did not write them.
    """

    number: int
    cases: Sequence[str]
    summary: Path
    counts: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    cost: TrainingCost | None = None
    log: TrainingLog | None = None
