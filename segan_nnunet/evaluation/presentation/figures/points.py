"""Draw distributions: a point per case, with the median and the quartiles."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.layout import (
    MOST_METHODS,
    WIDEST,
    arrange,
    choose_first,
    finish,
    tallest,
    wrap_titles,
)
from segan_nnunet.evaluation.presentation.figures.style import (
    MOST_MARKED,
    NUMBERED,
    house_style,
    method_styles,
    numbered,
)
from segan_nnunet.evaluation.scores.scores import Score

SPREAD = 0.30  # half the width of a column of points
BINS = 40  # points in the same bin of the axis are spread side by side
COLUMN, NARROWEST_COLUMN, HEIGHT, AXIS = 0.42, 0.22, 2.3, 0.7  # inches
TITLE_SIZE = 9  # points
# a distance axis is logarithmic if its largest value exceeds the lower quartile, or 1 mm, by this factor; if one of two
# methods fails, the median and the upper quartile are large themselves
FAR_OUT = 4
LOGARITHMIC = "\nlogarithmic above 1 mm"
TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def distributions(scores: pd.DataFrame, regions: Sequence[str], shown: Sequence[Score]) -> Figure:
    """Draw each score's distribution over the cases, one panel per region, one column of points per method.

    A point is hollow if the method missed the region, or predicted a region that does not exist. Many regions take
    several rows per score. The panels of one score share their axis.

    Args:
        scores: one row per method, case and region, with prediction_ml and reference_ml.
        regions: the panels of a score.
        shown: the scores, one below the other.
    """
    methods, notes = choose_first(list(scores["method"].unique()), MOST_METHODS, "methods")
    columns = arrange(regions, max(1.6, 0.5 + NARROWEST_COLUMN * len(methods)), HEIGHT * len(shown), AXIS)
    drawn = scores[scores["method"].isin(methods) & scores["region"].isin(columns.names)]
    with house_style(names := [*methods, *columns.names]):
        width = min(max(2.2, 0.5 + COLUMN * len(methods)), (WIDEST - AXIS) / columns.across)
        titles, _ = wrap_titles(columns.names, width - 0.2, TITLE_SIZE)
        above = [tallest([titles[region] for region in row], TITLE_SIZE) for row in columns.rows]
        height = HEIGHT * len(shown) * len(columns.rows) + sum(above) + 0.1
        figure, panels = columns.panels(width * columns.across + AXIS, height, len(shown))
        for row, score in enumerate(shown):
            of_score = panels[row :: len(shown)]
            share_axis(of_score, drawn[score.column].to_numpy(float), score)
            for axes, region in zip(of_score.flat, columns.names, strict=False):
                if row == 0:
                    axes.set_title(titles[region])
                draw_panel(axes, drawn[drawn["region"] == region], methods, score.column)
        handles = {
            name: Line2D([], [], color=colour, marker=marker, linestyle="", markersize=4.5)
            for name, (colour, _, marker) in zip(numbered(methods), method_styles(methods).values(), strict=True)
        }
        return finish(figure, handles, [*notes, *columns.notes], names)


def share_axis(panels: NDArray, values: NDArray[np.float64], score: Score) -> None:
    """Give all panels of a score the same axis. For distances it is logarithmic if few values are far out."""
    defined = values[np.isfinite(values)]
    logarithmic = (
        is_distance(score) and defined.size > 0 and defined.max() > FAR_OUT * max(np.percentile(defined, 25), 1)
    )
    for axes in panels.flat:
        if axes is not panels[0, 0]:
            axes.sharey(panels[0, 0])
    for line in panels:
        line[0].set_ylabel(score.title + (LOGARITHMIC if logarithmic else ""))
        for axes in line[1:]:
            axes.tick_params(labelleft=False)
    if logarithmic:
        panels[0, 0].set_yscale("asinh", linear_width=1)  # unlike a logarithm, it can show 0
        top = next((tick for tick in TICKS if tick >= defined.max()), defined.max())
        panels[0, 0].set_ylim(-0.15, top * 1.1)
        for axes in panels[:, 0]:
            axes.yaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= top]))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def is_distance(score: Score) -> bool:
    """Return whether a score is a distance, which has no upper limit."""
    return score.column.endswith("_mm")


def draw_panel(axes: Axes, of_region: pd.DataFrame, methods: Sequence[str], column: str) -> None:
    """Draw the cases of one region as a column of points per method."""
    defined = False
    for place, (method, (colour, _, marker)) in enumerate(method_styles(methods).items()):
        rows = of_region[(of_region["method"] == method) & np.isfinite(of_region[column])]
        failed = (rows["prediction_ml"] == 0) != (rows["reference_ml"] == 0)
        draw_column(axes, place, rows[column].to_numpy(float), failed.to_numpy(), colour, marker)
        defined |= len(rows) > 0
    if not defined:
        axes.text(0.5, 0.5, "defined in no case", ha="center", va="center", transform=axes.transAxes, fontsize=8)
    places = list(range(len(methods))) if len(methods) >= NUMBERED else []
    axes.set_xticks(places, [str(place + 1) for place in places], fontsize=6)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(methods) - 0.4)
    axes.grid(axis="y")


def draw_column(
    axes: Axes, place: int, values: NDArray[np.float64], failed: NDArray[np.bool_], colour: str, marker: str
) -> None:
    """Draw the cases of one method, failed ones hollow, their quartiles as a line and their median as a bar."""
    size, zorder = (14, 3) if len(values) <= MOST_MARKED else (3, 1)  # many points would hide the bar
    heights = axes.yaxis.get_transform().transform(values)  # heights on paper
    axes.scatter(
        place + sideways(heights), values, s=size, marker=marker, alpha=0.75, c=np.where(failed, "white", colour),
        edgecolors=colour, linewidths=failed.astype(float).tolist(), zorder=zorder,
        rasterized=len(values) > MOST_MARKED,
    )  # fmt: skip
    if len(values):
        low, middle, high = np.percentile(values, (25, 50, 75))
        axes.plot([place, place], [low, high], color="black", linewidth=1)
        axes.plot([place - SPREAD * 0.8, place + SPREAD * 0.8], [middle, middle], color="black", linewidth=1.8)


def sideways(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return offsets that spread points of similar height side by side; the more points, the wider."""
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
