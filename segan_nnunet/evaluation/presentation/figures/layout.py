"""Lay out a picture: panels in rows, the legend above, the notes below, and a note on what does not fit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.style import LEGEND_SIZE, renderer_of
from segan_nnunet.evaluation.presentation.figures.text import escape_notes, measure_height, measure_width, wrap

# inches: the width is that of the report's page, and matplotlib cannot write pictures of 65,536 pixels
WIDEST, HIGHEST = 11.0, 40.0
MOST_METHODS = 40
NOTE_SIZE = 7  # points
FILES_WITH_ALL = "table1.csv and cases.csv have"


@dataclass(frozen=True)
class Rows:
    """The names of panels in rows.

    Attributes:
        names: the names that fit into the picture.
        across: number of panels side by side.
        notes: the note on names that are left out.
    """

    names: list[str]
    across: int
    notes: list[str]

    @property
    def rows(self) -> list[list[str]]:
        """The names by row; the last row may be shorter."""
        return [self.names[start : start + self.across] for start in range(0, len(self.names), self.across)]

    def panels(self, width: float, height: float, deep: int) -> tuple[Figure, NDArray]:
        """Return a figure of this size in inches and its panels, (rows * deep, across), without unnamed panels."""
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = figure.subplots(len(self.rows) * deep, self.across, squeeze=False)
        for axes in panels[-deep:, len(self.rows[-1]) :].flat:
            axes.remove()
        return figure, panels


def arrange(
    names: Sequence[str], width: float, height: float, axis: float, kind: str = "regions", where: str = FILES_WITH_ALL
) -> Rows:
    """Arrange as many panels in rows as fit into a picture.

    Args:
        names: names of the panels.
        width, height: smallest size of a panel in inches.
        axis: inches beside a row for the axis.
        kind, where: as for `choose_first`.
    """
    across = per_row(len(names), width, WIDEST - axis)
    chosen, notes = choose_first(names, across * int(HIGHEST // height), kind, where)
    return Rows(chosen, across, notes)


def wrap_titles(names: Sequence[str], inches: float, size: float) -> tuple[dict[str, str], float]:
    """Return the names, wrapped to this width in inches, and the height of the tallest."""
    titles = {name: wrap(name, inches, size) for name in names}
    return titles, tallest(titles.values(), size)


def tallest(texts: Iterable[str], size: float) -> float:
    """Return the height of the tallest text in inches."""
    return max(measure_height(text, size) for text in texts)


def finish(figure: Figure, handles: Mapping[str, Artist], notes: Sequence[str], names: Sequence[str]) -> Figure:
    """Add a legend above the panels and notes below, with a note on names that no font can write."""
    if handles:
        add_legend(figure, handles)
    add_notes(figure, [*notes, *escape_notes(names)])
    return figure


def add_legend(figure: Figure, handles: Mapping[str, Artist]) -> None:
    """Add a legend of wrapped names above the panels, in as many columns as fit. The figure grows by its height."""
    room = figure.get_figwidth() - 0.2
    names = [wrap(name, min(4.5, room - 0.6), LEGEND_SIZE) for name in handles]
    columns = int(room // (max(measure_width(name, LEGEND_SIZE) for name in names) + 0.65))
    # matplotlib leaves out labels that begin with _, so the names are set afterwards
    legend = figure.legend(
        list(handles.values()), [str(number) for number in range(len(names))], loc="outside upper center",
        ncols=min(max(columns, 1), len(names)), columnspacing=1.2,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, linespacing=1.0)
    figure.set_figheight(figure.get_figheight() + legend.get_window_extent(renderer_of(figure)).height / figure.dpi)


def add_notes(figure: Figure, notes: Sequence[str]) -> None:
    """Write notes below the picture. The figure grows by their height."""
    if notes:
        text = "\n".join(wrap(note, figure.get_figwidth() - 0.2, NOTE_SIZE) for note in notes)
        figure.supxlabel(text, x=0.01, ha="left", fontsize=NOTE_SIZE, color="#444444")
        figure.set_figheight(figure.get_figheight() + measure_height(text, NOTE_SIZE) + 0.1)


def choose_first(
    names: Sequence[str], most: int, kind: str, where: str = FILES_WITH_ALL
) -> tuple[list[str], list[str]]:
    """Return the first names that fit into a picture, and a note if names are left out.

    Args:
        names: all names.
        most: the largest number of names that fits.
        kind: the noun for the names, such as "methods".
        where: the files that list all names, with a verb, as in "tests.csv has".
    """
    most = max(most, 1)
    left_out = [f"The first {most} of {len(names)} {kind} are drawn; {where} all."] if len(names) > most else []
    return list(names[:most]), left_out


def per_row(number: int, least_width: float, room: float) -> int:
    """Return the number of panels side by side for the fewest rows of about equal length."""
    most = max(1, int(room // least_width))
    return ceil(number / ceil(number / most))
