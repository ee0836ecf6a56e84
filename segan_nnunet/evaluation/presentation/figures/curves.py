"""Training curves of all methods side by side, from the log that nnU-Net keeps in its checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from segan_nnunet.evaluation.presentation.figures.style import REGION_COLOURS, house_style
from segan_nnunet.fold_checkpoint import read_fold

DARKER = ("#B8A000", *REGION_COLOURS[1:])  # a thin line of the paper's yellow cannot be seen on white


@dataclass(frozen=True)
class TrainingLog:
    """One fold's training, a value per epoch.

    Attributes:
        pseudo_dice: nnU-Net's estimate on validation patches, (epochs, regions).
        training_loss, validation_loss: (epochs,).
    """

    pseudo_dice: np.ndarray
    training_loss: np.ndarray
    validation_loss: np.ndarray


def read_training_log(fold_folder: Path) -> TrainingLog | None:
    """Read the log of a fold's newest checkpoint; None where there is none, or no such log in it."""
    try:
        log = (read_fold(fold_folder) or {})["logging"]
        pseudo_dice = np.asarray(log["dice_per_class_or_region"], dtype=float)
        losses = (np.asarray(log[key], dtype=float) for key in ("train_losses", "val_losses"))
        return TrainingLog(np.atleast_2d(pseudo_dice), *losses)
    except (KeyError, TypeError, ValueError):  # a foreign one; a picture may lack a curve
        return None


def training_curves(logs: Mapping[str, Sequence[TrainingLog]], regions: Sequence[str]) -> Figure:
    """Draw pseudo Dice by region (above) and losses (below), one column per method, one line per fold.

    Losses of different objectives are of different kinds: only their course can be compared.

    Args:
        logs: of each method's folds.
        regions: in nnU-Net's order.
    """
    with house_style():
        figure = Figure(figsize=(2.9 * len(logs) + 0.6, 4.6), layout="constrained")
        panels = figure.subplots(2, len(logs), squeeze=False, sharex="col")
        for above, below, (method, folds) in zip(panels[0], panels[1], logs.items(), strict=True):
            for log in folds:
                epochs = np.arange(1, len(log.pseudo_dice) + 1)
                for values, colour in zip(log.pseudo_dice.T, cycle(DARKER), strict=False):  # for ever
                    above.plot(epochs, values, color=colour, linewidth=1.2)
                for losses, style in ((log.training_loss, "-"), (log.validation_loss, "--")):
                    below.plot(np.arange(1, len(losses) + 1), losses, style, color="black", linewidth=1)
            above.set(title=method, ylim=(0, 1))
            below.set(xlabel="epoch")
            below.xaxis.set_major_locator(MaxNLocator(integer=True))
            for axes in (above, below):
                axes.grid(axis="y")
        panels[0, 0].set_ylabel("pseudo Dice")
        panels[1, 0].set_ylabel("loss")
        handles = [
            Line2D([], [], color=colour, label=name) for colour, name in zip(cycle(DARKER), regions, strict=False)
        ]
        handles += [
            Line2D([], [], color="black", linestyle="-", label="training loss"),
            Line2D([], [], color="black", linestyle="--", label="validation loss"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure
