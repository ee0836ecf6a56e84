"""Draw the agreement of volumes: Bland and Altman's difference against mean, per method and region."""

from collections.abc import Sequence
from math import floor, log10

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.layout import (
    HIGHEST,
    WIDEST,
    arrange,
    choose_first,
    finish,
    wrap_titles,
)
from segan_nnunet.evaluation.presentation.figures.style import MOST_MARKED, house_style, method_styles

LIMIT = 1.96  # standard deviations: 95 % of normal differences
HEIGHT, NARROWEST, AXIS = 1.9, 2.0, 0.5  # inches
TITLE_SIZE, NAME_SIZE = 8, 7  # points


def limits_of_agreement(differences: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return Bland and Altman's lower limit, bias and upper limit: mean ∓ 1.96 sample standard deviations."""
    bias = float(np.mean(differences))
    spread = LIMIT * float(np.std(differences, ddof=1)) if len(differences) > 1 else float("nan")
    return bias - spread, bias, bias + spread


def volume_agreement(scores: pd.DataFrame, regions: Sequence[str]) -> Figure:
    """Draw predicted minus reference volume against their mean, in ml, one row per method, one column per region.

    Many regions take several blocks of rows.

    Args:
        scores: one row per method, case and region, with prediction_ml and reference_ml.
        regions: columns of panels.
    """
    methods, notes = choose_first(list(scores["method"].unique()), int(HIGHEST // HEIGHT), "methods")
    columns = arrange(regions, NARROWEST, HEIGHT * len(methods), AXIS)
    with house_style(drawn := [*methods, *columns.names]):
        width = min(2.5, (WIDEST - AXIS) / columns.across)
        titles, above = wrap_titles(columns.names, width - 0.2, TITLE_SIZE)
        names, beside = wrap_titles(methods, HEIGHT - 0.3, NAME_SIZE)  # rotated
        height = (HEIGHT + above) * len(columns.rows) * len(methods) + 0.3
        figure, panels = columns.panels(width * columns.across + AXIS + beside, height, len(methods))
        for number, region in enumerate(columns.names):
            row, column = divmod(number, columns.across)
            of_region = scores[scores["region"] == region]
            below = panels[row * len(methods) : (row + 1) * len(methods), column]
            for axes, (method, (colour, _, marker)) in zip(below, method_styles(methods).items(), strict=True):
                if axes is not below[0]:
                    axes.sharex(below[0])
                    axes.sharey(below[0])
                draw_panel(axes, of_region[of_region["method"] == method], colour, marker, titles[region])
                axes.tick_params(labelbottom=axes is below[-1])
                if column == 0:
                    axes.set_ylabel(f"{names[method]}\npredicted − reference (ml)", fontsize=NAME_SIZE)
            below[-1].set_xlabel("mean of both volumes (ml)", fontsize=8)
        return finish(figure, {}, [*notes, *columns.notes], drawn)


def draw_panel(axes: Axes, cases: pd.DataFrame, colour: str, marker: str, title: str) -> None:
    """Draw the cases of one method and region, with the limits of agreement as lines and in the title."""
    # volumes are numbers of voxels times a constant, so smaller differences are rounding errors
    difference = (cases["prediction_ml"] - cases["reference_ml"]).to_numpy(float).round(9)
    middle = (cases["prediction_ml"] + cases["reference_ml"]).to_numpy(float) / 2
    many = len(cases) > MOST_MARKED
    axes.scatter(
        middle, difference, s=5 if many else 16, color=colour, marker=marker, alpha=0.7, linewidths=0, rasterized=many
    )
    low, bias, high = limits_of_agreement(difference)
    axes.axhline(0, color="#888888", linewidth=0.8)
    axes.axhline(bias, color="black", linewidth=1.2)
    for limit in (low, high):
        axes.axhline(limit, color="black", linewidth=0.9, linestyle="--")
    axes.set_title(f"{title}\n{agreement_text(low, bias, high)}", fontsize=TITLE_SIZE)


def agreement_text(low: float, bias: float, high: float) -> str:
    """Return the bias and its limits in ml, with at least two digits of the largest; no limits for a single case."""
    largest = np.nanmax(np.abs([low, bias, high]))
    decimals = 1 if largest >= 1 or largest < 1e-9 else 1 - floor(log10(largest))
    numbers = [f"{round(value, decimals) + 0.0:+.{decimals}f}" for value in (bias, low, high)]  # + 0.0: no -0.0
    text = f"{numbers[0]} ml" + ("" if np.isnan(low) else f" ({numbers[1]} to {numbers[2]})")
    return text.replace("-", "−")
