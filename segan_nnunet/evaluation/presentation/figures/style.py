"""How all pictures look: in print, on the screen, and to the colour-blind."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from segan_nnunet.evaluation.presentation.figures.text import (
    PRINT_DPI,
    choose_fonts,
    measure_height,
    measure_width,
    wrap,
)

# Okabe and Ito's palette, told apart by the colour-blind; the hatches tell bars apart in black and white
METHOD_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#000000")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "--", "oo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
REGION_COLOURS = (  # the paper's yellow, blue, red; then others
    "#FFE000", "#2F7BFF", "#FF2A2A", "#00C853", "#C86BFF", "#00E5E5", "#FF8C1A", "#FF9EC7", "#FFFFFF", "#A8703A",
)  # fmt: skip
FORMATS = (".png", ".pdf")
MOST_MARKED = 200  # points that a PDF keeps as shapes; more are drawn as one picture

# inches: the width fills the report's page; matplotlib cannot write pictures of 65,536 pixels, and nobody reads them
WIDEST, HIGHEST = 11.0, 40.0
MOST_METHODS = 40
NUMBERED = len(METHOD_COLOURS) + 1  # from so many methods on they have numbers, because their colours repeat
LEGEND_SIZE, NOTE_SIZE = 8, 7  # points

SCREEN_DPI = 96
SETTINGS: dict[Any, Any] = {  # any: matplotlib types the keys as the list of all its settings
    "font.size": 9,
    "text.parse_math": False,  # a $ in a method's name is a $
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": LEGEND_SIZE,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "figure.dpi": PRINT_DPI,
    "savefig.dpi": PRINT_DPI,
    "pdf.fonttype": 42,  # text stays text, which journals ask for
}


def region_colours(regions: Sequence[str]) -> dict[str, str]:
    """Colour of each region; they repeat after ten."""
    return {name: REGION_COLOURS[index % len(REGION_COLOURS)] for index, name in enumerate(regions)}


@contextmanager
def house_style(names: Iterable[str] = ()) -> Iterator[None]:
    """Draw and save in this style, in fonts for these names. Leave matplotlib's settings as they were.

    The style starts from matplotlib's defaults, because nnU-Net's picture of a training changes the settings of the
    whole process.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**SETTINGS, "font.family": choose_fonts(names)})
        yield


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as NAME.png and NAME.pdf. Returns the files."""
    files = [folder / f"{name}{ending}" for ending in FORMATS]
    with house_style():
        figure.draw_without_rendering()  # arranges it, once for both files
        figure.set_layout_engine("none")
        # a text that reaches out of the figure makes the picture larger: nothing is cut off at an edge
        drawn = figure.get_tightbbox(renderer_of(figure)).padded(0.04)
        whole = Bbox.union([drawn, figure.bbox_inches])
        for path in files:
            # without the date a PDF of the same data is the same file
            metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
            figure.savefig(path, metadata=metadata, bbox_inches=whole)
    return files


def renderer_of(figure: Figure) -> RendererAgg:
    """Return what measures a figure's texts."""
    return RendererAgg(1, 1, figure.dpi)


def looks(methods: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Colour, hatch and marker of each method. All three repeat after eight, their combination after 64."""
    return {
        method: tuple(
            options[(index + turn * (index // len(options))) % len(options)]
            for turn, options in enumerate((METHOD_COLOURS, HATCHES, MARKERS))
        )  # type: ignore[misc]
        for index, method in enumerate(methods)
    }


def numbered(methods: Sequence[str]) -> list[str]:
    """Names for the legend: with numbers where there are more methods than colours."""
    if len(methods) < NUMBERED:
        return list(methods)
    return [f"{number}: {method}" for number, method in enumerate(methods, start=1)]


def add_legend(figure: Figure, handles: Mapping[str, Artist]) -> None:
    """Add a legend above the panels: wrapped names, in as many columns as fit. The figure grows by its height."""
    room = figure.get_figwidth() - 0.2
    names = [wrap(name, min(4.5, room - 0.6), LEGEND_SIZE) for name in handles]
    columns = int(room // (max(measure_width(name, LEGEND_SIZE) for name in names) + 0.65))
    # a label that begins with _ would be left out of the legend, so the names come afterwards
    legend = figure.legend(
        list(handles.values()), [str(number) for number in range(len(names))], loc="outside upper center",
        ncols=min(max(columns, 1), len(names)), columnspacing=1.2,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, linespacing=1.0)
    figure.set_figheight(figure.get_figheight() + legend.get_window_extent(renderer_of(figure)).height / figure.dpi)


def add_notes(figure: Figure, notes: Sequence[str]) -> None:
    """Write what a reader must know of a picture below it. The figure grows by its height."""
    if notes:
        text = "\n".join(wrap(note, figure.get_figwidth() - 0.2, NOTE_SIZE) for note in notes)
        figure.supxlabel(text, x=0.01, ha="left", fontsize=NOTE_SIZE, color="#444444")
        figure.set_figheight(figure.get_figheight() + measure_height(text, NOTE_SIZE) + 0.1)


def choose_first(
    names: Sequence[str], most: int, kind: str, where: str = "table1.csv and cases.csv have"
) -> tuple[list[str], list[str]]:
    """Choose the names that a picture has room for, and say in a note what it leaves out."""
    most = max(most, 1)
    left_out = [f"The first {most} of {len(names)} {kind} are drawn; {where} all."] if len(names) > most else []
    return list(names[:most]), left_out


def per_row(number: int, least_width: float, room: float) -> int:
    """Return how many panels to put side by side: as few rows as possible, all about equally full."""
    most = max(1, int(room // least_width))
    return ceil(number / ceil(number / most))
