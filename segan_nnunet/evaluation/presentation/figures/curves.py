"""Draw the training curves of all methods side by side, from the logs in nnU-Net's checkpoints."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from segan_nnunet.evaluation.methods.training import TrainingLog
from segan_nnunet.evaluation.presentation.figures.layout import (
    WIDEST,
    arrange,
    choose_first,
    finish,
    wrap_titles,
)
from segan_nnunet.evaluation.presentation.figures.style import REGION_COLOURS, house_style

# thin yellow or white lines are invisible on white
DARKER = [{"#FFE000": "#B8A000", "#FFFFFF": "#777777"}.get(colour, colour) for colour in REGION_COLOURS]
PANEL, NARROWEST, HEIGHT, AXIS = 2.9, 2.5, 4.0, 0.6  # inches, the height for both panels of a method
TITLE_SIZE = 9  # points


def training_curves(logs: Mapping[str, Sequence[TrainingLog]], regions: Sequence[str]) -> Figure:
    """Draw pseudo Dice by region (above) and losses (below), one column per method, one line per fold.

    Losses of different objectives have different scales: only compare their shapes.

    Args:
        logs: the logs of each method's folds.
        regions: the regions in nnU-Net's order.
    """
    columns = arrange(list(logs), NARROWEST, HEIGHT, AXIS, "methods", "the checkpoints have")
    coloured, left_out = choose_first(regions, len(DARKER), "regions", "the checkpoints have")
    with house_style(names := [*columns.names, *coloured]):
        width = min(PANEL, (WIDEST - AXIS) / columns.across)
        titles, above = wrap_titles(columns.names, width - 0.3, TITLE_SIZE)
        height = (HEIGHT + above) * len(columns.rows)
        figure, panels = columns.panels(width * columns.across + AXIS, height, 2)
        for upper, lower, method in zip(panels[::2].flat, panels[1::2].flat, columns.names, strict=False):
            draw_training(upper, lower, logs[method], len(coloured))
            upper.set_title(titles[method])
        for kind, label in enumerate(("pseudo Dice", "loss")):
            for axes in panels[kind::2, 0]:
                axes.set_ylabel(label)
        handles = {name: Line2D([], [], color=colour) for name, colour in zip(coloured, DARKER, strict=False)}
        handles["training loss"] = Line2D([], [], color="black", linestyle="-")
        handles["validation loss"] = Line2D([], [], color="black", linestyle="--")
        return finish(figure, handles, [*columns.notes, *left_out], names)


def draw_training(above: Axes, below: Axes, folds: Sequence[TrainingLog], regions: int) -> None:
    """Draw the folds of one method: pseudo Dice of the first regions above, losses below."""
    for log in folds:
        epochs = np.arange(1, len(log.pseudo_dice) + 1)
        for values, colour in zip(log.pseudo_dice.T[:regions], DARKER, strict=False):
            above.plot(epochs, values, color=colour, linewidth=1.2)
        for losses, style in ((log.training_loss, "-"), (log.validation_loss, "--")):
            below.plot(np.arange(1, len(losses) + 1), losses, style, color="black", linewidth=1)
    above.sharex(below)
    above.set_ylim(0, 1)
    above.tick_params(labelbottom=False)
    below.set_xlabel("epoch")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (above, below):
        axes.grid(axis="y")
