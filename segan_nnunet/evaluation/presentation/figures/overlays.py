"""Figure 3 of the paper: a slice, its reference, and what each method outlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from segan_nnunet.evaluation.presentation.figures.style import house_style, region_colours
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase, largest_slice, shown_modalities, window

WIDEST = 16.0  # inches, of the whole figure


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
    """Draw one row per case: modalities, reference, and every method, at the slice with the largest reference.

    Args:
        cases: the rows.
        regions: label values of each region, the outermost first.
    """
    methods = list(cases[0].predictions)
    views = [chosen_view(case, next(iter(regions.values()))) for case in cases]
    bare = max(len(view.modalities) for view in views)
    columns = bare + 1 + len(methods)
    across = min(2.6, WIDEST / columns)
    pictures = [view.picture(case.reference).shape for case, view in zip(cases, views, strict=True)]
    with house_style():
        heights = [across * rows / wide for rows, wide in pictures]
        figure = Figure(figsize=(across * columns, sum(heights) + 0.5 * len(cases) + 0.4), layout="constrained")
        grid = figure.subplots(len(cases), columns, squeeze=False, height_ratios=heights)
        for row, case, view in zip(grid, cases, views, strict=True):
            # a case of fewer modalities than another repeats its own
            names = [view.modalities[min(at, len(view.modalities) - 1)] for at in range(bare)]
            drawn = [None] * bare + [case.reference, *(case.predictions[method] for method in methods)]
            titles = [f"{name}, slice {view.index + 1}" for name in names] + ["reference"]
            titles[0] = f"{case.rank}: {case.case_id}\n{titles[0]}"
            titles += [f"{method}\nDice {' '.join(map(two_digits, case.dice[method].values()))}" for method in methods]
            shown = names + names[-1:] * (columns - bare)
            for axes, name, labels, title in zip(row, shown, drawn, titles, strict=True):
                low, high = window(case.images[name])
                picture = view.picture(case.images[name])
                axes.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
                axes.autoscale(False)  # an outline must not widen its picture
                if labels is not None:
                    outline(axes, labels[view.index][view.box], regions, width=1.4 if across > 2 else 1.0)
                if labels is None and case.sides:  # of the patient, as radiologists look at them
                    for x, side, where in ((0.02, "R", "left"), (0.98, "L", "right")):
                        axes.text(x, 0.98, side, color="white", ha=where, va="top", transform=axes.transAxes)
                axes.set_title(title, fontsize=8 if across > 2 else 6)
                axes.set(xticks=[], yticks=[])  # not set_axis_off: the layout would make no room for the title
                axes.spines[:].set_visible(False)
        handles = [Line2D([], [], color=c, label=name) for name, c in region_colours(list(regions)).items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    return figure


def two_digits(value: float) -> str:
    """A Dice score as short as it can be."""
    return "–" if np.isnan(value) else f"{value:.2f}"
