"""The records of a training whose predictions are compared: its cost, its log, and nnU-Net's own counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class TrainingCost:
    """The cost of training one fold.

    Attributes:
        steps: number of optimiser steps.
        seconds: duration of the epochs with their validation, including any part shared with another training.
    """

    steps: int
    seconds: float


@dataclass(frozen=True)
class TrainingLog:
    """The log of one fold's training, with one value per epoch.

    Attributes:
        pseudo_dice: nnU-Net's estimate on validation patches, (epochs, regions).
        training_loss, validation_loss: the losses, (epochs,).
    """

    pseudo_dice: np.ndarray
    training_loss: np.ndarray
    validation_loss: np.ndarray


@dataclass(frozen=True)
class TrainedFold:
    """A fold that was trained and validated here.

    Attributes:
        number: number of the fold.
        cases: the cases that it validated.
        summary: nnU-Net's summary.json of its validation.
        counts: TP, FP, FN and TN in the summary, by case and region.
        cost, log: cost and log of its training; None if nnU-Net did not write them.
    """

    number: int
    cases: Sequence[str]
    summary: Path
    counts: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    cost: TrainingCost | None = None
    log: TrainingLog | None = None
