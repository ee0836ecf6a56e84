"""Figure 3 of the paper: a slice, its reference, and what each method outlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.style import (
    HIGHEST,
    REGION_COLOURS,
    WIDEST,
    add_legend,
    add_notes,
    choose_first,
    house_style,
    per_row,
    region_colours,
)
from segan_nnunet.evaluation.presentation.figures.text import escape_notes, measure_height, wrap
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase, largest_slice, shown_modalities, window

NARROWEST = 1.5  # inches, of one picture
TALLEST = 2.0  # times as high as it is wide
MOST_DICE = 5  # regions whose Dice is written above a picture


def brain_box(image: NDArray) -> tuple[slice, slice]:
    """Rows and columns that the brain takes up in a slice whose background has the value of its corner."""
    inside = image != image[0, 0]
    if not inside.any():
        return slice(None), slice(None)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return slice(max(0, rows[0] - 2), rows[-1] + 3), slice(max(0, columns[0] - 2), columns[-1] + 3)


def outline(axes: Axes, labels: NDArray, regions: Mapping[str, Sequence[int]], width: float) -> None:
    """Draw the border of every region of one slice, along the voxels' edges."""
    colours = region_colours(list(regions))
    for name, region in regions.items():
        edges = borders(np.isin(labels, region))
        if len(edges):
            colour = colours[name]
            axes.add_collection(LineCollection(list(edges), colors=colour, linewidths=width, capstyle="projecting"))


def borders(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Edges between voxels inside and outside a mask, (N, 2 ends, x and y); voxel i reaches from i - 1/2 to i + 1/2."""
    padded = np.pad(mask, 1)
    below, right = np.argwhere(padded[1:] != padded[:-1]), np.argwhere(padded[:, 1:] != padded[:, :-1])
    # an edge between the padded rows r and r + 1 lies at y = r - 1/2, and that of columns likewise
    horizontal = [[(column - 1.5, row - 0.5), (column - 0.5, row - 0.5)] for row, column in below]
    vertical = [[(column - 0.5, row - 1.5), (column - 0.5, row - 0.5)] for row, column in right]
    return np.array(horizontal + vertical).reshape(-1, 2, 2)


@dataclass(frozen=True)
class View:
    """What is shown of a case: modalities, a slice, and the part of it that the brain takes up."""

    modalities: list[str]
    index: int
    box: tuple[slice, slice]

    def picture(self, image: NDArray) -> NDArray:
        """The part of an image that is shown."""
        return image[self.index][self.box]


def chosen_view(case: ShownCase, outermost: Sequence[int]) -> View:
    """The slice with the largest reference, in T1c and T2 where there are both; what is outlined is the last one."""
    modalities = shown_modalities(case.images)
    index = largest_slice(np.isin(case.reference, outermost))
    return View(modalities, index, brain_box(case.images[modalities[-1]][index]))


def figure3(cases: Sequence[ShownCase], regions: Mapping[str, Sequence[int]]) -> Figure:
    """Draw every case: modalities, reference, and every method, at the slice with the largest reference.

    A case has one row of pictures, or several where there are many methods.

    Args:
        cases: from above to below.
        regions: label values of each region, the outermost first.
    """
    views = [chosen_view(case, next(iter(regions.values()))) for case in cases]
    bare = max(len(view.modalities) for view in views)
    everything = bare + 1 + len(cases[0].predictions)
    across = per_row(everything, NARROWEST, WIDEST)
    wide = min(2.6, WIDEST / across)
    shapes = [view.picture(case.reference).shape for case, view in zip(cases, views, strict=True)]
    heights = [wide * min(rows / columns, TALLEST) for rows, columns in shapes]
    most_rows = max(1, int(HIGHEST // (sum(heights) + 0.6 * len(cases))))
    methods, notes = choose_first(list(cases[0].predictions), across * most_rows - bare - 1, "methods")
    outlined, left_out = choose_first(list(regions), len(REGION_COLOURS), "regions")
    lines = ceil((bare + 1 + len(methods)) / across)  # rows of pictures of one case
    size = 8 if wide > 2 else 7
    texts = [*methods, *outlined, *(text for case in cases for text in (case.case_id, *case.images))]
    with house_style(texts):
        titles = [
            [
                "\n".join(wrap(line, wide - 0.1, size) for line in text)
                for text in picture_titles(case, view, bare, methods)
            ]
            for case, view in zip(cases, views, strict=True)
        ]
        above = [max(measure_height(title, size) for title in of_case) + 0.15 for of_case in titles]
        rows = [height + title for height, title in zip(heights, above, strict=True) for _ in range(lines)]
        figure = Figure(figsize=(wide * across, sum(rows) + 0.1), layout="constrained")
        grid = figure.subplots(len(rows), across, squeeze=False, height_ratios=rows)
        for number, (case, view) in enumerate(zip(cases, views, strict=True)):
            pictures = grid[number * lines : (number + 1) * lines].flatten()
            for axes in pictures[bare + 1 + len(methods) :]:
                axes.remove()
            # a case of fewer modalities than another repeats its own
            names = [view.modalities[min(at, len(view.modalities) - 1)] for at in range(bare)]
            drawn = [None] * bare + [case.reference, *(case.predictions[method] for method in methods)]
            shown = names + names[-1:] * (1 + len(methods))
            for axes, name, labels, title in zip(pictures, shown, drawn, titles[number], strict=False):
                low, high = window(case.images[name])
                axes.imshow(view.picture(case.images[name]), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
                axes.autoscale(False)  # an outline must not widen its picture
                if labels is not None:
                    of_region = {region: regions[region] for region in outlined}
                    outline(axes, labels[view.index][view.box], of_region, width=1.4 if wide > 2 else 1.0)
                if labels is None and case.sides:  # of the patient, as radiologists look at them
                    for x, side, where in ((0.02, "R", "left"), (0.98, "L", "right")):
                        axes.text(x, 0.98, side, color="white", ha=where, va="top", transform=axes.transAxes)
                axes.set_title(title, fontsize=size)
                axes.set(xticks=[], yticks=[])  # not set_axis_off: the layout would make no room for the title
                axes.spines[:].set_visible(False)
        add_legend(figure, {name: Line2D([], [], color=colour) for name, colour in region_colours(outlined).items()})
        add_notes(figure, [*notes, *left_out, *escape_notes(texts)])
    return figure


def picture_titles(case: ShownCase, view: View, bare: int, methods: Sequence[str]) -> list[list[str]]:
    """Return the lines above each picture of a case: its rank and name, the modalities, the methods with their Dice."""
    names = [view.modalities[min(at, len(view.modalities) - 1)] for at in range(bare)]
    titles = [[f"{name}, slice {view.index + 1}"] for name in names] + [["reference"]]
    titles[0].insert(0, f"{case.rank}: {case.case_id}")
    return titles + [[method, dice_text(list(case.dice[method].values()))] for method in methods]


def dice_text(values: Sequence[float]) -> str:
    """Return the Dice scores of few regions, or the mean of many."""
    if len(values) <= MOST_DICE:
        return f"Dice {' '.join(map(two_digits, values))}"
    defined = [value for value in values if not np.isnan(value)]
    return f"mean Dice {two_digits(float(np.mean(defined)) if defined else float('nan'))}"


def two_digits(value: float) -> str:
    """A Dice score as short as it can be."""
    return "–" if np.isnan(value) else f"{value:.2f}"
