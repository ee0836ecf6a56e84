"""Draw differences of the primary endpoint with their 90 % intervals, against the margin of equivalence."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segan_nnunet.evaluation.presentation.figures.layout import HIGHEST, choose_first, finish, tallest
from segan_nnunet.evaluation.presentation.figures.style import METHOD_COLOURS, house_style
from segan_nnunet.evaluation.presentation.figures.text import measure_width, wrap
from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.statistics.equivalence import AS_GOOD, NOT_WORSE
from segan_nnunet.evaluation.statistics.paired import PRIMARY

LABEL, PANEL, ROW, AXIS = 3.4, 5.0, 0.3, 0.9  # inches
LABEL_SIZE = 8  # points
FACES = {AS_GOOD: METHOD_COLOURS[0], NOT_WORSE: METHOD_COLOURS[4]}  # by verdict; white if neither is shown


def equivalence_figure(tests: pd.DataFrame, scores: Sequence[Score]) -> Figure | None:
    """Draw each comparison of the primary endpoint as a row, a panel per score; the band is the margin.

    Args:
        tests: the result of `add_equivalence`.
        scores: all scores in `tests`, for their titles.

    Returns:
        None if no comparison has a margin and an interval.
    """
    chosen = tests[tests["difference_low90"].notna() & (tests["family"] == PRIMARY)]
    chosen = chosen.assign(name=chosen["method"] + " - " + chosen["baseline"] + ", " + chosen["region"])
    titles = {score.column: score.title for score in scores}
    number = chosen["score"].nunique()
    if not number:
        return None
    names, notes = choose_first(
        list(chosen["name"].unique()), int(HIGHEST / number / ROW) - 4, "comparisons", "tests.csv has"
    )
    places = {name: place for place, name in enumerate(names)}
    with house_style(names):
        labels = [wrap(name, LABEL, LABEL_SIZE) for name in names]
        row = max(ROW, tallest(labels, LABEL_SIZE) + 0.1)
        width = PANEL + max(measure_width(label, LABEL_SIZE) for label in labels)
        figure = Figure(figsize=(width, (row * len(names) + AXIS) * number), layout="constrained")
        panels = figure.subplots(number, squeeze=False)[:, 0]
        for axes, (column, part) in zip(panels, chosen.groupby("score", sort=False), strict=True):
            draw_rows(axes, part[part["name"].isin(names)], places)
            axes.set_yticks(range(len(names)), labels, fontsize=LABEL_SIZE)
            axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=f"{titles[column]}, difference of means, 90 % interval")
        return finish(figure, {}, notes, names)


def draw_rows(axes: Axes, part: pd.DataFrame, places: Mapping[str, int]) -> None:
    """Draw the margin as a band, and each comparison as a point with its interval in the row of its name."""
    margin = part["margin"].max()
    axes.axvspan(-margin, margin, color="#DDEBF5", linewidth=0)
    axes.axvline(0, color="#777777", linewidth=0.8)
    for row in part.itertuples():
        place = places[row.name]
        axes.plot([row.difference_low90, row.difference_high90], [place, place], color="black", linewidth=1.4)
        axes.plot(row.difference, place, "o", color="black", markerfacecolor=FACES.get(row.equivalence, "white"))
    axes.grid(axis="x")
