"""Distances between the surfaces of two masks, and the scores that are made of them: HD95 and NSD.

Nearest neighbours between the surfaces are faster than distance maps of the whole box.
"""

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import KDTree

from segan_nnunet.evaluation.scores.definitions import Hd95, Measures

Box = tuple[slice, ...]
PERCENTILE = 95  # of the surface distances


def foreground_box(*volumes: NDArray) -> Box:
    """The smallest box that holds every voxel that is not 0 in one of the volumes; an empty one where all are 0."""
    foreground = np.logical_or.reduce([volume != 0 for volume in volumes])
    found = boxes(foreground.view(np.uint8))
    return found[0] if found else tuple(slice(0, 0) for _ in foreground.shape)


def boxes(numbers: NDArray[np.integer]) -> list[Box]:
    """The smallest box around each component, in the order of their numbers from 1; none in an array without voxels."""
    return find_objects(numbers) if numbers.size else []


def surface(mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """Positions in mm, (N, axes), of a mask's surface voxels: those with a face neighbour outside it."""
    return np.argwhere(mask & ~binary_erosion(mask)) * np.asarray(spacing_mm)


def nearest_mm(first: NDArray, second: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each position (N, axes) of a surface to the nearest one of the other, there and back."""
    return KDTree(second).query(first)[0], KDTree(first).query(second)[0]


def surface_scores(
    prediction: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing_mm: tuple[float, ...],
    measures: Measures,
) -> dict[str, float]:
    """HD95 and NSD of two masks, from one search of nearest neighbours.

    Args:
        prediction, reference: masks of one shape.
        spacing_mm: of the voxels along each axis of the arrays.
        measures: which HD95, and the tolerances.

    Returns:
        surface_distance_mm (HD95), and NSD_0.5mm or whatever the tolerances are; NaN where either mask is empty.
    """
    columns = ["surface_distance_mm", *map(nsd_column, measures.nsd_mm)]
    if not prediction.any() or not reference.any():
        return dict.fromkeys(columns, float("nan"))
    box = foreground_box(prediction, reference)
    masks = prediction[box], reference[box]
    forth, back = nearest_mm(*(surface(mask, spacing_mm) for mask in masks))
    if measures.hd95 is Hd95.SURFACE:
        distance = hd95_by_area(*masks, spacing_mm)
    elif measures.hd95 is Hd95.POOLED:
        distance = float(np.percentile(np.concatenate([forth, back]), PERCENTILE))
    else:
        distance = float(max(np.percentile(forth, PERCENTILE), np.percentile(back, PERCENTILE)))
    return dict(
        zip(
            columns,
            [distance, *(nsd(forth, back, tolerance, measures.nsd_by_mask) for tolerance in measures.nsd_mm)],
            strict=True,
        )
    )


def nsd_column(tolerance_mm: float) -> str:
    """Column of the normalised surface Dice at a tolerance, e.g. NSD_0.5mm."""
    return f"NSD_{tolerance_mm:g}mm"


def nsd(forth: NDArray, back: NDArray, tolerance_mm: float, by_mask: bool = False) -> float:
    """Normalised surface Dice: the share of both surfaces' voxels that lie within a tolerance of the other surface.

    Args:
        forth, back: distances in mm from each surface to the other.
        tolerance_mm: how far is near enough; >= 0.
        by_mask: take the mean of the two surfaces' shares, whatever their sizes.
    """
    near = np.count_nonzero(forth <= tolerance_mm), np.count_nonzero(back <= tolerance_mm)
    if by_mask:
        return (near[0] / len(forth) + near[1] / len(back)) / 2
    return sum(near) / (len(forth) + len(back))


def hd95_mm(
    prediction: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing_mm: tuple[float, ...],
    definition: Hd95 = Hd95.DIRECTED_MAX,
) -> float:
    """HD95 in mm, >= 0; NaN where either mask is empty.

    With ∂ the set of a mask's surface voxels and d the distance of a voxel's centre to the nearest of them,
    `directed-max` is max(P95 of d(p, ∂T), P95 of d(t, ∂P)), p in ∂P, t in ∂T; `pooled` is P95 of all these distances;
    `surface` is as `directed-max`, of surface elements weighted by their area.

    Args:
        prediction, reference: masks of one shape.
        spacing_mm: of the voxels along each axis of the arrays.
        definition: which HD95.
    """
    return surface_scores(prediction, reference, spacing_mm, Measures(definition, ()))["surface_distance_mm"]


def hd95_by_area(prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> float:
    """The larger of the two distances within which 95 % of a surface's area lies from the other one, in mm."""
    first, first_areas = surface_elements(prediction, spacing_mm)
    second, second_areas = surface_elements(reference, spacing_mm)
    forth, back = nearest_mm(first, second)
    return max(weighted_percentile(forth, first_areas), weighted_percentile(back, second_areas))


def weighted_percentile(values: NDArray, weights: NDArray) -> float:
    """The smallest value with which values of at least 95 % of the weight are reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    index = int(np.searchsorted(reached, PERCENTILE / 100))
    return float(values[order][min(index, len(values) - 1)])  # rounding may leave the last below


def surface_elements(mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> tuple[NDArray, NDArray]:
    """Positions in mm, (N, axes), and areas in mm² (lengths in mm in 2-D) of the elements of a mask's surface.

    An element lies between the centres of 2 voxels along each axis, where some are inside the mask and some are not.
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros([size - 1 for size in padded.shape], np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=mask.ndim)):
        view = tuple(slice(start, size - 1 + start) for start, size in zip(corner, padded.shape, strict=True))
        codes |= padded[view] << bit
    places = np.argwhere((codes > 0) & (codes < 2 ** (2**mask.ndim) - 1))
    return places * np.asarray(spacing_mm), element_areas(tuple(spacing_mm))[codes[tuple(places.T)]]


@lru_cache(maxsize=16)
def element_areas(spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """Area of the surface through a cell of 2 voxels along each axis, by the code of the voxels inside the mask."""
    from skimage.measure import find_contours, marching_cubes, mesh_surface_area  # slow to import, for `surface` alone

    shape = (2,) * len(spacing_mm)
    corners = 2 ** len(spacing_mm)
    areas = np.zeros(2**corners)
    for code in range(1, 2**corners - 1):
        inside = np.array([code >> bit & 1 for bit in range(corners)])
        # so that a mask and its complement have one surface, also where they touch at an edge or a corner alone
        cell = (inside if inside.sum() <= corners // 2 else 1 - inside).reshape(shape).astype(float)
        if len(shape) == 3:
            areas[code] = mesh_surface_area(*marching_cubes(cell, 0.5, spacing=spacing_mm, method="lorensen")[:2])
        else:
            lines = (line * spacing_mm for line in find_contours(cell, 0.5))
            areas[code] = sum(np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in lines)
    return areas
