"""Training curves of all methods side by side, from the log that nnU-Net keeps in its checkpoints."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from segan_nnunet.evaluation.methods.training import TrainingLog
from segan_nnunet.evaluation.presentation.figures.style import (
    HIGHEST,
    MOST_METHODS,
    REGION_COLOURS,
    WIDEST,
    add_legend,
    add_notes,
    choose_first,
    house_style,
    per_row,
)
from segan_nnunet.evaluation.presentation.figures.text import escape_notes, measure_height, wrap

# thin lines of the paper's yellow, and of white, cannot be seen on white
DARKER = [{"#FFE000": "#B8A000", "#FFFFFF": "#777777"}.get(colour, colour) for colour in REGION_COLOURS]
PANEL, NARROWEST, HEIGHT, AXIS = 2.9, 2.5, 4.0, 0.6  # inches, the height for both panels of a method
TITLE_SIZE = 9  # points


def training_curves(logs: Mapping[str, Sequence[TrainingLog]], regions: Sequence[str]) -> Figure:
    """Draw pseudo Dice by region (above) and losses (below), one column per method, one line per fold.

    Losses of different objectives are of different kinds: only their course can be compared.

    Args:
        logs: of each method's folds.
        regions: in nnU-Net's order.
    """
    across = per_row(min(len(logs), MOST_METHODS), NARROWEST, WIDEST - AXIS)
    methods, notes = choose_first(list(logs), across * int(HIGHEST // HEIGHT), "methods", "the checkpoints have")
    coloured, left_out = choose_first(regions, len(DARKER), "regions", "the checkpoints have")
    blocks = [methods[start : start + across] for start in range(0, len(methods), across)]
    with house_style([*methods, *coloured]):
        width = min(PANEL, (WIDEST - AXIS) / across)
        titles = {method: wrap(method, width - 0.3, TITLE_SIZE) for method in methods}
        tallest = max(measure_height(title, TITLE_SIZE) for title in titles.values())
        figure = Figure(figsize=(width * across + AXIS, (HEIGHT + tallest) * len(blocks)), layout="constrained")
        panels = figure.subplots(2 * len(blocks), across, squeeze=False)
        for start, block in enumerate(blocks):
            above, below = panels[2 * start : 2 * start + 2]
            for upper, lower, method in zip(above, below, block, strict=False):
                draw_training(upper, lower, logs[method], len(coloured))
                upper.set_title(titles[method])
            above[0].set_ylabel("pseudo Dice")
            below[0].set_ylabel("loss")
        for axes in panels[-2:, len(blocks[-1]) :].flat:
            axes.remove()
        handles = {name: Line2D([], [], color=colour) for name, colour in zip(coloured, DARKER, strict=False)}
        handles["training loss"] = Line2D([], [], color="black", linestyle="-")
        handles["validation loss"] = Line2D([], [], color="black", linestyle="--")
        add_legend(figure, handles)
        add_notes(figure, [*notes, *left_out, *escape_notes([*methods, *coloured])])
    return figure


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
