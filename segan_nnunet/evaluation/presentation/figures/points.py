"""Distributions: every case is a point, with the median and the quartiles beside it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.style import MOST_MARKED, house_style, looks
from segan_nnunet.evaluation.scores.scores import Score

SPREAD = 0.30  # half the width of a column of points
BINS = 40  # heights among which points are spread side by side


def distributions(scores: pd.DataFrame, regions: Sequence[str], shown: Sequence[Score]) -> Figure:
    """Draw each score's distribution over the cases, one panel per region, one column of points per method.

    Args:
        scores: one row per method, case and region.
        regions: columns of panels.
        shown: rows of panels.
    """
    methods = list(scores["method"].unique())
    with house_style():
        width = max(2.2, 0.5 + 0.42 * len(methods))
        figure = Figure(figsize=(width * len(regions) + 0.7, 2.3 * len(shown) + 0.6), layout="constrained")
        panels = figure.subplots(len(shown), len(regions), squeeze=False, sharey="row")
        for axes, region in zip(panels[0], regions, strict=True):
            axes.set_title(region)
        for row, score in zip(panels, shown, strict=True):
            for axes, region in zip(row, regions, strict=True):
                of_region = scores[scores["region"] == region]
                for place, (method, (colour, _, marker)) in enumerate(looks(methods).items()):
                    values = of_region.loc[of_region["method"] == method, score.column].dropna().to_numpy(float)
                    draw_column(axes, place, values, colour, marker, method if axes is panels[0, 0] else "_nolegend_")
                axes.set(xticks=[], xlim=(-0.6, len(methods) - 0.4))
                axes.grid(axis="y")
            row[0].set_ylabel(score.title)
        many = scores["case"].nunique() > MOST_MARKED
        figure.legend(loc="outside upper center", ncols=min(3, len(methods)), markerscale=3 if many else 1)
    return figure


def draw_column(axes: Axes, place: int, values: NDArray[np.float64], colour: str, marker: str, label: str) -> None:
    """Draw the cases of one method, their quartiles as a line and their median as a bar."""
    size, zorder = (14, 3) if len(values) <= MOST_MARKED else (3, 1)  # few points hide no bar, many would
    axes.scatter(
        place + sideways(values), values, s=size, color=colour, marker=marker, alpha=0.75, linewidths=0, label=label,
        zorder=zorder, rasterized=len(values) > MOST_MARKED,
    )  # fmt: skip
    if len(values):
        low, middle, high = np.percentile(values, (25, 50, 75))
        axes.plot([place, place], [low, high], color="black", linewidth=1)
        axes.plot([place - SPREAD * 0.8, place + SPREAD * 0.8], [middle, middle], color="black", linewidth=1.8)


def sideways(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread points of about the same height side by side, symmetrically: the fuller a height, the wider it is."""
    offsets = np.zeros(len(values))
    if len(values) < 2:
        return offsets
    edges = np.histogram_bin_edges(values, BINS)
    bins = np.digitize(values, edges[1:-1])
    most = max(np.bincount(bins).max(), 8)
    for index in np.unique(bins):
        members = np.flatnonzero(bins == index)
        members = members[np.argsort(values[members], kind="stable")]
        offsets[members] = np.arange(len(members)) - (len(members) - 1) / 2
    return offsets * 2 * SPREAD / most
