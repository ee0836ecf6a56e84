"""Draw the power of a study against its number of patients."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from segan_nnunet.evaluation.presentation.figures.layout import finish
from segan_nnunet.evaluation.presentation.figures.style import METHOD_COLOURS, house_style

TITLES = {"difference": "to find a difference", "equivalence": "to show equivalence"}
# line styles for numbers of seeds, in points
LINES: Sequence[tuple[float, Sequence[float]]] = ((0, ()), (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
TICKS = (10, 20, 50, 100, 200, 500, 1000)
PANEL = (4.4, 3.2)  # inches


def power_figure(curves: pd.DataFrame, wanted: float, score: str) -> Figure:
    """Draw a panel for differences and one for equivalence, with a line per size and number of seeds.

    Args:
        curves: the result of `power_curves`.
        wanted: the power to mark.
        score: the score in whose units the sizes are.
    """
    kinds = [kind for kind in TITLES if kind in set(curves["to_show"])]
    sizes, seeds = (sorted(curves[column].unique()) for column in ("size", "seeds"))
    colours = {size: METHOD_COLOURS[place % len(METHOD_COLOURS)] for place, size in enumerate(sizes)}
    styles = {number: LINES[place % len(LINES)] for place, number in enumerate(seeds)}
    with house_style([score]):
        figure = Figure(figsize=(PANEL[0] * len(kinds), PANEL[1]), layout="constrained")
        for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
            of_kind = curves[curves["to_show"] == kind]
            for (size, number), curve in of_kind.groupby(["size", "seeds"]):
                axes.plot(
                    curve["patients"], curve["power"], linestyle=styles[number], color=colours[size], linewidth=1.4
                )
            axes.axhline(wanted, color="black", linewidth=0.8)
            set_axes(axes, TITLES[kind], list(curves["patients"]))
        handles = {f"{size:g} {score}": Line2D([], [], color=colour) for size, colour in colours.items()}
        handles |= {
            f"{number} seed{'s' if number > 1 else ''}": Line2D([], [], color="black", linestyle=styles[number])
            for number in seeds
        }
        return finish(figure, handles, [], [score])


def set_axes(axes: Axes, title: str, patients: list[int]) -> None:
    """Set the title, the axes and the ticks of a panel."""
    axes.set(title=title, xlabel="patients", ylabel="power", xscale="log", ylim=(0, 1.02))
    axes.set_xlim(min(patients), max(patients))
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid()
