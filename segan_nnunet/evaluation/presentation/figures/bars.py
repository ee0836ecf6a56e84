"""Draw Figure 2 of the paper: Dice by region, one bar per method, with the interval of the mean."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from segan_nnunet.evaluation.presentation.figures.layout import (
    MOST_METHODS,
    WIDEST,
    arrange,
    choose_first,
    finish,
    tallest,
)
from segan_nnunet.evaluation.presentation.figures.style import NUMBERED, house_style, method_styles, numbered
from segan_nnunet.evaluation.presentation.figures.text import wrap
from segan_nnunet.evaluation.scores.scores import DICE
from segan_nnunet.evaluation.statistics.summary import ALL_CASES

GROUP_WIDTH = 0.8  # of the distance between two regions
BAR, NARROWEST_BAR, GAP = 0.35, 0.12, 0.4  # inches
AXIS = 0.9  # inches beside the bars
NAME_SIZE, VALUE_SIZE = 9, 7  # points


def figure2(summary: pd.DataFrame, regions: list[str]) -> Figure:
    """Draw the mean Dice of all cases by region and method, with its 95 % interval.

    Many regions take several rows.

    Args:
        summary: as `summarise` returns it.
        regions: the groups of bars.
    """
    of_dice = (summary["score"] == DICE.column) & (summary["stratum"] == ALL_CASES)
    rows = summary[of_dice].set_index(["method", "region"])
    methods, notes = choose_first(list(rows.index.unique("method")), MOST_METHODS, "methods")
    shown = arrange(regions, GAP + NARROWEST_BAR * len(methods), 2.0, AXIS)
    height = 2.6 if len(shown.rows) == 1 else 2.0
    group = min(1.5 * GAP + BAR * len(methods), (WIDEST - AXIS) / shown.across)  # inches from region to region
    with house_style(drawn := [*methods, *shown.names]):
        group = max(group, (4.5 - AXIS) / shown.across)
        names = {region: wrap(region, group * 0.95, NAME_SIZE) for region in shown.names}
        heights = [height + tallest([names[region] for region in row], NAME_SIZE) for row in shown.rows]
        figure = Figure(figsize=(AXIS + group * shown.across, sum(heights) + 0.2), layout="constrained")
        panels = figure.subplots(len(heights), squeeze=False, height_ratios=heights)[:, 0]
        for axes, row in zip(panels, shown.rows, strict=True):
            draw_groups(axes, rows, methods, row, group)
            axes.set_xticks(range(len(row)), [names[region] for region in row])
            axes.set(xlim=(-0.5, shown.across - 0.5), ylabel=f"{DICE.title}, mean and\n95 % interval")
        bars = [
            Patch(facecolor=colour, hatch=hatch, edgecolor="white")
            for colour, hatch, _ in method_styles(methods).values()
        ]
        return finish(figure, dict(zip(numbered(methods), bars, strict=True)), [*notes, *shown.notes], drawn)


def draw_groups(axes: Axes, rows: pd.DataFrame, methods: list[str], regions: list[str], group: float) -> None:
    """Draw the bars of some regions side by side. `group` is the distance between two regions in inches."""
    width = GROUP_WIDTH / len(methods)
    ticks: list[float] = []
    for index, (method, (colour, hatch, _)) in enumerate(method_styles(methods).items()):
        of_method = rows.loc[method].reindex(regions)
        positions = [place + (index - (len(methods) - 1) / 2) * width for place in range(len(regions))]
        ticks += positions
        means = of_method["mean"].to_numpy(float)
        axes.bar(positions, means, width * 0.92, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5)
        # the score lies in [0, 1], so a whisker must too
        low, high = (of_method[f"mean_{end}"].to_numpy(float).clip(0, 1) for end in ("low", "high"))
        whiskers = np.array([means - low, high - means]).clip(min=0)
        axes.errorbar(
            positions, means, whiskers, fmt="none", ecolor="black", elinewidth=1, capsize=min(2.5, 12 * width * group)
        )
        for position, mean, top in zip(positions, means, high, strict=True):
            if np.isnan(mean):
                axes.text(position, 0.015, "–", ha="center", va="bottom", fontsize=VALUE_SIZE)
            elif width * group >= 0.25:
                height = mean if np.isnan(top) else max(mean, top)
                axes.text(position, height + 0.015, f"{mean:.2f}", ha="center", va="bottom", fontsize=VALUE_SIZE)
    axes.set(ylim=(0, 1.08), yticks=[0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.grid(axis="y")
    axes.tick_params(axis="x", length=0)
    if len(methods) >= NUMBERED:
        numbers = [str(number) for number in range(1, len(methods) + 1) for _ in regions]
        axes.xaxis.remove_overlapping_locs = False  # keep the number of the bar in the middle
        axes.set_xticks(ticks, numbers, minor=True, fontsize=5)
        axes.tick_params(axis="x", which="minor", length=0, pad=2)
        axes.tick_params(axis="x", which="major", pad=10)
