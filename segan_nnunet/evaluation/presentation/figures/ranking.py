"""The ranking: how often each method takes each place, and which pairs differ."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.style import METHOD_COLOURS, house_style
from segan_nnunet.evaluation.presentation.ranking_table import p_text
from segan_nnunet.evaluation.statistics.paired import ALPHA
from segan_nnunet.evaluation.statistics.ranking import Ranking

SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", METHOD_COLOURS[0]])
DARK = 0.55  # of the shades, from where on text is white


def ranking_figure(ranking: Ranking) -> Figure:
    """Draw the places under the bootstrap, and p of every pair after Holm's correction, significant ones dark."""
    methods, number = list(ranking.methods), len(ranking.methods)
    labels = [f"{method}  {mean:.2f}" for method, mean in zip(methods, ranking.mean_ranks, strict=True)]
    with house_style():
        figure = Figure(figsize=(2.4 + 1.1 * number, 1.5 + 0.36 * number), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_cells(left, ranking.places, [[f"{share:.0%}" if share else "" for share in row] for row in ranking.places])
        left.set(title="share of resamples that take each place", xlabel="place")
        left.set_xticks(np.arange(number) + 0.5, [str(place + 1) for place in range(number)])
        left.set_yticks(np.arange(number) + 0.5, labels)
        significant = np.where(np.isnan(ranking.p_holm), 0.0, np.where(ranking.p_holm < ALPHA, 0.8, 0.1))
        texts = [["" if np.isnan(p) else p_text(p) for p in row] for row in ranking.p_holm]
        draw_cells(right, significant, texts)
        right.set(title="p of each pair after Holm", xlabel="in the order of the mean ranks")
        right.set_xticks(np.arange(number) + 0.5, [str(place + 1) for place in range(number)])
        right.set_yticks(np.arange(number) + 0.5, [str(place + 1) for place in range(number)])
    return figure


def draw_cells(axes: Axes, shades: NDArray[np.float64], texts: list[list[str]]) -> None:
    """Draw a matrix of shaded cells with their text."""
    axes.pcolormesh(shades, cmap=SHADES, vmin=0, vmax=1, edgecolors="#DDDDDD", linewidth=0.5)
    axes.set(xlim=(0, len(shades)), ylim=(len(shades), 0))
    for (row, column), shade in np.ndenumerate(shades):
        colour = "white" if shade > DARK else "black"
        axes.text(column + 0.5, row + 0.5, texts[row][column], ha="center", va="center", fontsize=7, color=colour)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
