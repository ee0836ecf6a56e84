"""Figure 3 of the paper: a slice, its reference, and what each method outlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

REGION_COLOURS = ("#FFE000", "#2F7BFF", "#FF2A2A", "#00C853", "#C86BFF")  # the paper's yellow, blue, red; then others


@dataclass(frozen=True)
class Panel:
    """One case of the figure.

    Attributes:
        title: of the row.
        image: a modality, (D, H, W).
        reference: labels, (D, H, W).
        predictions: labels of each method, (D, H, W).
        captions: what to write above each method's picture.
    """

    title: str
    image: NDArray
    reference: NDArray
    predictions: Mapping[str, NDArray]
    captions: Mapping[str, str]


def region_mask(labels: NDArray, region: Sequence[int]) -> NDArray[np.bool_]:
    """Voxels whose label belongs to a region."""
    return np.isin(labels, region)


def largest_slice(mask: NDArray[np.bool_]) -> int:
    """Index of the slice, along the first axis, in which a mask has most voxels; the middle one if it has none."""
    areas = mask.sum(axis=tuple(range(1, mask.ndim)))
    return int(areas.argmax()) if areas.any() else mask.shape[0] // 2


def brain_box(image: NDArray) -> tuple[slice, slice]:
    """Rows and columns that the brain takes up in a slice whose background has the value of its corner."""
    inside = image != image[0, 0]
    if not inside.any():
        return slice(None), slice(None)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return slice(max(0, rows[0] - 2), rows[-1] + 3), slice(max(0, columns[0] - 2), columns[-1] + 3)


def outline(axes: Axes, labels: NDArray, regions: Mapping[str, Sequence[int]]) -> None:
    """Draw the border of every region of one slice, along the voxels' edges."""
    for colour, region in zip(REGION_COLOURS, regions.values(), strict=False):
        mask = region_mask(labels, region)
        if mask.any():
            fine = np.kron(np.pad(mask, 1), np.ones((8, 8)))  # so that the contour follows the edges of the voxels
            extent = (-1.5, mask.shape[1] + 0.5, -1.5, mask.shape[0] + 0.5)
            axes.contour(fine, levels=[0.5], colors=[colour], linewidths=1.4, extent=extent, origin="lower")


def figure3(panels: Sequence[Panel], regions: Mapping[str, Sequence[int]], modality: str) -> Figure:
    """Draw one row per case: modality, reference, and every method, at the slice with the largest reference.

    Args:
        panels: the cases.
        regions: label values of each region, the outermost first.
        modality: name of the images' modality.
    """
    methods = list(panels[0].predictions)
    columns = 2 + len(methods)
    figure = Figure(figsize=(2.6 * columns, 3.5 * len(panels) + 0.5), layout="constrained", facecolor="white")
    grid = figure.subplots(len(panels), columns, squeeze=False)
    for row, panel in zip(grid, panels, strict=True):
        index = largest_slice(region_mask(panel.reference, next(iter(regions.values()))))
        box = brain_box(panel.image[index])
        picture = panel.image[index][box]
        low, high = np.percentile(picture, (1, 99.5))
        labels: list[NDArray | None] = [None, panel.reference, *(panel.predictions[method] for method in methods)]
        titles = [f"{panel.title}\n{modality}, slice {index}", "reference", *(panel.captions[m] for m in methods)]
        for axes, volume, title in zip(row, labels, titles, strict=True):
            axes.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            axes.autoscale(False)  # an outline must not widen its picture
            if volume is not None:
                outline(axes, volume[index][box], regions)
            axes.set_title(title, fontsize=8)
            axes.set(xticks=[], yticks=[])  # not set_axis_off: the layout would make no room for the title
            axes.spines[:].set_visible(False)
    handles = [Line2D([], [], color=colour, label=name) for colour, name in zip(REGION_COLOURS, regions, strict=False)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9, frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure in a resolution fit for print."""
    figure.savefig(path, dpi=150)
