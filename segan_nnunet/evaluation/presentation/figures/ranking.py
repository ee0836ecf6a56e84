"""Draw the ranking: how often each method takes each place, and which pairs differ."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.layout import (
    MOST_METHODS,
    WIDEST,
    choose_first,
    finish,
    tallest,
    wrap_titles,
)
from segan_nnunet.evaluation.presentation.figures.style import METHOD_COLOURS, house_style
from segan_nnunet.evaluation.presentation.figures.text import measure_width, wrap
from segan_nnunet.evaluation.presentation.table import pair_texts
from segan_nnunet.evaluation.statistics.paired import ALPHA
from segan_nnunet.evaluation.statistics.ranking import Ranking

SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", METHOD_COLOURS[0]])
DARK = 0.55  # text on darker shades is white
LABEL, WIDEST_CELL, NARROWEST, AXIS = 2.6, 0.7, 0.34, 0.6  # inches
LABEL_SIZE, TITLE_SIZE = 8, 9  # points
PLACES, PAIRS = "share of resamples that take each place", "p of each pair after Holm"


def ranking_figure(ranking: Ranking) -> Figure:
    """Draw the places under the bootstrap, and p of every pair after Holm's correction, significant ones dark.

    The two matrices are side by side, or one below the other for many methods.
    """
    methods, notes = choose_first(ranking.methods, MOST_METHODS, "methods, the best,", "ranking.csv has")
    number = len(methods)
    places, p_holm = ranking.places[:number, :number], ranking.p_holm[:number, :number]
    ranks = [f"  {mean:.2f}" for mean in ranking.mean_ranks[:number]]
    with house_style(methods):
        labels = [wrap(method, LABEL, LABEL_SIZE) + rank for method, rank in zip(methods, ranks, strict=True)]
        beside = max(measure_width(label, LABEL_SIZE) for label in labels) + 0.2
        cell = (WIDEST - beside - AXIS) / (2 * number)
        stacked = cell < NARROWEST
        cell = min(WIDEST_CELL, cell * 2 if stacked else cell)
        wide, high = cell * number, max(0.36, tallest(labels, LABEL_SIZE) + 0.1) * number
        matrices = (2, 1) if stacked else (1, 2)
        titles, above = wrap_titles((PLACES, PAIRS), wide, TITLE_SIZE)
        inches = beside + matrices[1] * wide + AXIS, matrices[0] * (high + above + 0.7)
        figure = Figure(figsize=inches, layout="constrained")
        left, right = figure.subplots(*matrices)
        size = min(7, cell * 72 / 3.9)  # points, so that "<.001§" fits into its cell
        draw_cells(left, places, [[f"{share:.0%}" if share else "" for share in row] for row in places], size)
        left.set(title=titles[PLACES], xlabel="place")
        left.set_yticks(np.arange(number) + 0.5, labels, fontsize=LABEL_SIZE)
        significant = np.where(np.isnan(p_holm), 0.0, np.where(p_holm < ALPHA, 0.8, 0.1))
        texts = [row[:number] for row in pair_texts(ranking)[:number]]
        draw_cells(right, significant, texts, size)
        right.set(title=titles[PAIRS], xlabel=wrap("in the order of the mean ranks", wide, TITLE_SIZE))
        right.set_yticks(np.arange(number) + 0.5, [str(place + 1) for place in range(number)])
        return finish(figure, {}, notes, methods)


def draw_cells(axes: Axes, shades: NDArray[np.float64], texts: list[list[str]], size: float) -> None:
    """Draw a matrix of shaded cells with their text."""
    number = len(shades)
    axes.pcolormesh(shades, cmap=SHADES, vmin=0, vmax=1, edgecolors="#DDDDDD", linewidth=0.5)
    axes.set(xlim=(0, number), ylim=(number, 0))
    for (row, column), shade in np.ndenumerate(shades):
        colour = "white" if shade > DARK else "black"
        axes.text(column + 0.5, row + 0.5, texts[row][column], ha="center", va="center", fontsize=size, color=colour)
    axes.set_xticks(np.arange(number) + 0.5, [str(place + 1) for place in range(number)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
