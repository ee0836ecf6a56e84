"""Figure 2 of the paper: Dice by region, one bar per method, with the interval of the mean."""

import pandas as pd
from matplotlib.figure import Figure

from segan_nnunet.evaluation.presentation.figures.style import house_style, looks
from segan_nnunet.evaluation.statistics.summary import ALL_CASES

GROUP_WIDTH = 0.8  # of the distance between two regions


def figure2(summary: pd.DataFrame, regions: list[str], score: str = "Dice", stratum: str = ALL_CASES) -> Figure:
    """Draw the mean of a score by region and method, with its 95 % bootstrap interval.

    Args:
        summary: as `statistics.summarise` returns it.
        regions: the groups of bars.
        score: a column of Table 1.
        stratum: all cases, or a grade.
    """
    rows = summary[(summary["score"] == score) & (summary["stratum"] == stratum)].set_index(["method", "region"])
    methods = list(rows.index.unique("method"))
    width = GROUP_WIDTH / len(methods)
    with house_style():
        figure = Figure(figsize=(max(4.5, 1.6 + len(regions) * (0.6 + 0.35 * len(methods))), 3.6), layout="constrained")
        axes = figure.subplots()
        for index, (method, (colour, hatch, _)) in enumerate(looks(methods).items()):
            of_method = rows.loc[method].reindex(regions)
            positions = [place + (index - (len(methods) - 1) / 2) * width for place in range(len(regions))]
            axes.bar(
                positions, of_method["mean"], width * 0.92, label=method, color=colour, hatch=hatch, edgecolor="white",
                linewidth=0.5,
            )  # fmt: skip
            below, above = of_method["mean"] - of_method["mean_low"], of_method["mean_high"] - of_method["mean"]
            axes.errorbar(
                positions, of_method["mean"], [below.clip(lower=0), above.clip(lower=0)], fmt="none", ecolor="black",
                elinewidth=1, capsize=2.5,
            )  # fmt: skip
            for position, mean, top in zip(positions, of_method["mean"], of_method["mean_high"], strict=True):
                if len(methods) <= 4 and not pd.isna(mean):
                    height = mean if pd.isna(top) else top
                    axes.text(position, height + 0.015, f"{mean:.2f}", ha="center", va="bottom", fontsize=7)
        axes.set_xticks(range(len(regions)), regions)
        axes.set(ylabel=f"{score}, mean and 95 % interval", ylim=(0, 1.08), yticks=[0, 0.2, 0.4, 0.6, 0.8, 1.0])
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)
        figure.legend(loc="outside upper center", ncols=min(3, len(methods)))
    return figure
