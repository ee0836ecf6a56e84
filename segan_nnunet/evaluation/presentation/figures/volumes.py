"""Agreement of volumes: Bland and Altman's difference against mean, per method and region."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.style import MOST_MARKED, house_style, looks

LIMIT = 1.96  # standard deviations: 95 % of normal differences


def limits_of_agreement(differences: NDArray[np.float64]) -> tuple[float, float, float]:
    """Bland and Altman's lower limit, bias and upper limit: mean ∓ 1.96 sample standard deviations."""
    bias = float(np.mean(differences))
    spread = LIMIT * float(np.std(differences, ddof=1)) if len(differences) > 1 else float("nan")
    return bias - spread, bias, bias + spread


def volume_agreement(scores: pd.DataFrame, regions: Sequence[str]) -> Figure:
    """Draw predicted minus reference volume against their mean, in ml, one row per method, one column per region.

    Args:
        scores: one row per method, case and region, with prediction_ml and reference_ml.
        regions: columns of panels.
    """
    methods = list(scores["method"].unique())
    with house_style():
        size = (2.5 * len(regions) + 0.6, 2.0 * len(methods) + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(methods), len(regions), squeeze=False, sharex="col", sharey="col")
        for row, (method, (colour, _, marker)) in zip(panels, looks(methods).items(), strict=True):
            for axes, region in zip(row, regions, strict=True):
                cases = scores[(scores["method"] == method) & (scores["region"] == region)]
                difference = (cases["prediction_ml"] - cases["reference_ml"]).to_numpy(float)
                middle = (cases["prediction_ml"] + cases["reference_ml"]).to_numpy(float) / 2
                many = len(cases) > MOST_MARKED
                axes.scatter(
                    middle, difference, s=5 if many else 16, color=colour, marker=marker, alpha=0.7, linewidths=0,
                    rasterized=many,
                )  # fmt: skip
                low, bias, high = limits_of_agreement(difference)
                axes.axhline(0, color="#888888", linewidth=0.8)
                axes.axhline(bias, color="black", linewidth=1.2)
                for limit in (low, high):
                    axes.axhline(limit, color="black", linewidth=0.9, linestyle="--")
                axes.set_title(f"{region}\n{bias:+.1f} ml ({low:+.1f} to {high:+.1f})".replace("-", "−"), fontsize=8)
            row[0].set_ylabel(f"{method}\npredicted − reference (ml)", fontsize=7)
        for axes in panels[-1]:
            axes.set_xlabel("mean of both volumes (ml)", fontsize=8)
    return figure
