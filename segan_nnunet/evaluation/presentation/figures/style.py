"""How all pictures look: in print, on the screen, and to the colour-blind."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by the colour-blind; the hatches tell bars apart in black and white
METHOD_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#000000")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "--", "oo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
REGION_COLOURS = ("#FFE000", "#2F7BFF", "#FF2A2A", "#00C853", "#C86BFF")  # the paper's yellow, blue, red; then others
FORMATS = (".png", ".pdf")
MOST_MARKED = 200  # points that a PDF keeps as shapes; more are drawn as one picture

SCREEN_DPI, PRINT_DPI = 96, 200
SETTINGS: dict[Any, Any] = {  # any: matplotlib types the keys as the list of all its settings
    "font.size": 9,
    "text.parse_math": False,  # a $ in a method's name is a $
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "savefig.dpi": PRINT_DPI,
    "pdf.fonttype": 42,  # text stays text, which journals ask for
}


def region_colours(regions: Sequence[str]) -> dict[str, str]:
    """Colour of each region; they repeat after five."""
    return {name: REGION_COLOURS[index % len(REGION_COLOURS)] for index, name in enumerate(regions)}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in this style, and leave matplotlib's settings as they were."""
    with matplotlib.rc_context(SETTINGS):
        yield


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as NAME.png and NAME.pdf. Returns the files."""
    files = [folder / f"{name}{ending}" for ending in FORMATS]
    with house_style():
        figure.draw_without_rendering()  # arranges it, once for both files
        figure.set_layout_engine("none")
        for path in files:
            # without the date a PDF of the same data is the same file
            figure.savefig(path, metadata={"CreationDate": None} if path.suffix == ".pdf" else None)
    return files


def looks(methods: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Colour, hatch and marker of each method; they repeat after eight."""
    return {
        method: tuple(options[index % len(options)] for options in (METHOD_COLOURS, HATCHES, MARKERS))  # type: ignore[misc]
        for index, method in enumerate(methods)
    }
