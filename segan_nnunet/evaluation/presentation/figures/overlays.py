"""Draw Figure 3 of the paper: a slice with its reference and the outlines of each method."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.layout import HIGHEST, WIDEST, choose_first, finish, per_row, tallest
from segan_nnunet.evaluation.presentation.figures.style import REGION_COLOURS, house_style, region_colours
from segan_nnunet.evaluation.presentation.figures.text import wrap
from segan_nnunet.evaluation.presentation.shown_cases import (
    NO_IMAGE,
    ShownCase,
    largest_slice,
    shown_modalities,
    window,
)

NARROWEST = 1.5  # inches, of one picture
TALLEST = 2.0  # times as high as it is wide
MOST_DICE = 5  # regions whose Dice is written above a picture


def brain_box(image: NDArray) -> tuple[slice, slice]:
    """Return the rows and columns of the brain in a slice whose background has the value of its corner."""
    inside = image != image[0, 0]
    if not inside.any():
        return slice(None), slice(None)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return slice(max(0, rows[0] - 2), rows[-1] + 3), slice(max(0, columns[0] - 2), columns[-1] + 3)


def outline(axes: Axes, labels: NDArray, regions: Mapping[str, Sequence[int]], width: float) -> None:
    """Draw the border of every region of one slice along the edges of the voxels."""
    colours = region_colours(list(regions))
    for name, region in regions.items():
        edges = borders(np.isin(labels, region))
        if len(edges):
            colour = colours[name]
            axes.add_collection(LineCollection(list(edges), colors=colour, linewidths=width, capstyle="projecting"))


def borders(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the edges between voxels inside and outside a mask, (N, 2 ends, x and y).

    Voxel i reaches from i - 1/2 to i + 1/2.
    """
    padded = np.pad(mask, 1)
    below, right = np.argwhere(padded[1:] != padded[:-1]), np.argwhere(padded[:, 1:] != padded[:, :-1])
    # an edge between the padded rows r and r + 1 lies at y = r - 1/2; the same holds for columns
    horizontal = [[(column - 1.5, row - 0.5), (column - 0.5, row - 0.5)] for row, column in below]
    vertical = [[(column - 0.5, row - 1.5), (column - 0.5, row - 0.5)] for row, column in right]
    return np.array(horizontal + vertical).reshape(-1, 2, 2)


class Panel(NamedTuple):
    """A picture of a case: the lines of its title, the background image with its window, and the outlined labels."""

    title: list[str]
    image: NDArray
    window: tuple[float, float]
    labels: NDArray | None


def case_panels(case: ShownCase, outermost: Sequence[int]) -> list[Panel]:
    """Return one panel for each modality with an image, the reference, and every method, all of the same slice.

    The modalities are T1c and T2 if both exist. Outlines are drawn on the last one. The slice is the one with the
    largest reference, cut to the brain.
    """
    images = {name: case.images[name] for name in shown_modalities(case.images)}
    *_, back = images
    index = largest_slice(np.isin(case.reference, outermost))
    box = (index, *brain_box(images[back][index]))
    windows = {name: window(image) for name, image in images.items()}
    number = f", slice {index + 1}"
    panels = [Panel([name + number], images[name][box], windows[name], None) for name in images if name != NO_IMAGE]
    outlined = {("reference" if panels else "reference" + number,): case.reference} | {
        (method, dice_text(list(case.dice[method].values()))): labels for method, labels in case.predictions.items()
    }
    panels += [Panel([*title], images[back][box], windows[back], labels[box]) for title, labels in outlined.items()]
    panels[0].title.insert(0, f"{case.rank}: {case.case_id}")
    return panels


def figure3(cases: Sequence[ShownCase], regions: Mapping[str, Sequence[int]]) -> Figure:
    """Draw every case: modalities, reference, and every method, at the slice with the largest reference.

    A case has one row of pictures, or several for many methods. Cases with fewer modalities than others start further
    to the right.

    Args:
        cases: the cases from top to bottom.
        regions: label values of each region, the outermost first.
    """
    panels = [case_panels(case, next(iter(regions.values()))) for case in cases]
    most_panels = max(map(len, panels))
    others = most_panels - len(cases[0].predictions)  # panels that are not methods
    across = per_row(most_panels, NARROWEST, WIDEST)
    wide = min(2.6, WIDEST / across)
    shapes = [of_case[0].image.shape for of_case in panels]
    heights = [wide * min(rows / columns, TALLEST) for rows, columns in shapes]
    most_rows = max(1, int(HIGHEST // (sum(heights) + 0.6 * len(cases))))
    methods, notes = choose_first(list(cases[0].predictions), across * most_rows - others, "methods")
    outlined, left_out = choose_first(list(regions), len(REGION_COLOURS), "regions")
    of_regions = {region: regions[region] for region in outlined}
    lines = ceil((others + len(methods)) / across)  # rows of pictures of one case
    size = 8 if wide > 2 else 7
    texts = [*methods, *outlined, *(text for case in cases for text in (case.case_id, *case.images))]
    with house_style(texts):
        titles = [
            ["\n".join(wrap(line, wide - 0.1, size) for line in panel.title) for panel in of_case] for of_case in panels
        ]
        above = [tallest(of_case, size) + 0.15 for of_case in titles]
        rows = [height + title for height, title in zip(heights, above, strict=True) for _ in range(lines)]
        figure = Figure(figsize=(wide * across, sum(rows) + 0.1), layout="constrained")
        grid = figure.subplots(len(rows), across, squeeze=False, height_ratios=rows).reshape(len(cases), -1)
        for case, of_case, of_title, pictures in zip(cases, panels, titles, grid, strict=True):
            first = most_panels - len(of_case)
            for axes in (*pictures[:first], *pictures[others + len(methods) :]):
                axes.remove()
            for axes, panel, title in zip(pictures[first : others + len(methods)], of_case, of_title, strict=False):
                draw_picture(axes, panel, of_regions, case.sides, 1.4 if wide > 2 else 1.0)
                axes.set_title(title, fontsize=size)
        legend = {name: Line2D([], [], color=colour) for name, colour in region_colours(outlined).items()}
        return finish(figure, legend, [*notes, *left_out], texts)


def draw_picture(axes: Axes, panel: Panel, regions: Mapping[str, Sequence[int]], sides: bool, width: float) -> None:
    """Draw an image: with outlines of `width` points if it has labels, else with the patient's sides if known."""
    low, high = panel.window
    axes.imshow(panel.image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axes.autoscale(False)  # outlines must not change the limits of the axes
    if panel.labels is not None:
        outline(axes, panel.labels, regions, width)
    elif sides:  # in radiological orientation
        for x, side, where in ((0.02, "R", "left"), (0.98, "L", "right")):
            axes.text(x, 0.98, side, color="white", ha=where, va="top", transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])  # set_axis_off would leave no room for the title
    axes.spines[:].set_visible(False)


def dice_text(values: Sequence[float]) -> str:
    """Return the Dice scores of few regions, or their mean for many."""
    if len(values) <= MOST_DICE:
        return f"Dice {' '.join(map(two_digits, values))}"
    defined = [value for value in values if not np.isnan(value)]
    return f"mean Dice {two_digits(float(np.mean(defined)) if defined else float('nan'))}"


def two_digits(value: float) -> str:
    """Return a Dice score with two digits."""
    return "–" if np.isnan(value) else f"{value:.2f}"
