"""Define the style of all pictures, and save them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from segan_nnunet.evaluation.presentation.figures.text import PRINT_DPI, choose_fonts

# Okabe and Ito's palette for the colour-blind; the hatches distinguish bars in black and white
METHOD_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#000000")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "--", "oo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
REGION_COLOURS = (  # the paper's yellow, blue, red; then others
    "#FFE000", "#2F7BFF", "#FF2A2A", "#00C853", "#C86BFF", "#00E5E5", "#FF8C1A", "#FF9EC7", "#FFFFFF", "#A8703A",
)  # fmt: skip
FORMATS = (".png", ".pdf")
MOST_MARKED = 200  # points that a PDF keeps as shapes; more become one picture
NUMBERED = len(METHOD_COLOURS) + 1  # from this number of methods on, colours repeat, so methods have numbers
LEGEND_SIZE = 8  # points

SCREEN_DPI = 96
SETTINGS: dict[Any, Any] = {  # Any: matplotlib types the keys as a list of all its settings
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
    """Return the colour of each region. Colours repeat after ten."""
    return {name: REGION_COLOURS[index % len(REGION_COLOURS)] for index, name in enumerate(regions)}


@contextmanager
def house_style(names: Iterable[str] = ()) -> Iterator[None]:
    """Use this style, with fonts for these names. Restore matplotlib's settings at the end.

    The style starts from matplotlib's defaults, because nnU-Net's plot of a training changes the settings of the
    process.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**SETTINGS, "font.family": choose_fonts(names)})
        yield


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as NAME.png and NAME.pdf. Return the files."""
    files = [folder / f"{name}{ending}" for ending in FORMATS]
    with house_style():
        figure.draw_without_rendering()  # lay it out once for both files
        figure.set_layout_engine("none")
        # enlarge the picture if a text reaches beyond the figure, so that nothing is cut off
        drawn = figure.get_tightbbox(renderer_of(figure)).padded(0.04)
        whole = Bbox.union([drawn, figure.bbox_inches])
        for path in files:
            # without a date, the same data give the same PDF
            metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
            figure.savefig(path, metadata=metadata, bbox_inches=whole)
    return files


def renderer_of(figure: Figure) -> RendererAgg:
    """Return a renderer that measures the texts of a figure."""
    return RendererAgg(1, 1, figure.dpi)


def method_styles(methods: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Return colour, hatch and marker of each method. All three repeat after eight, their combination after 64."""
    return {
        method: tuple(
            options[(index + turn * (index // len(options))) % len(options)]
            for turn, options in enumerate((METHOD_COLOURS, HATCHES, MARKERS))
        )  # type: ignore[misc]
        for index, method in enumerate(methods)
    }


def numbered(methods: Sequence[str]) -> list[str]:
    """Return the names for the legend, with numbers if there are more methods than colours."""
    if len(methods) < NUMBERED:
        return list(methods)
    return [f"{number}: {method}" for number, method in enumerate(methods, start=1)]
