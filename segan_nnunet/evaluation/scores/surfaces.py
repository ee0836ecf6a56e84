"""The surfaces of masks as voxels and as elements with areas, and the box around masks."""

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion


class Elements(NamedTuple):
    """The elements of a surface.

    An element is the cell between neighbouring voxel centres, 2 along each axis. Some of them are inside the mask, and
    some are not.

    Attributes:
        places: the index of the last voxel of each element, (N, axes).
        areas: the area of each element in mm² (its length in mm in 2-D), (N,).
        voxels: the row of a surface voxel that each element touches, (N,).
    """

    places: NDArray[np.intp]
    areas: NDArray[np.float64]
    voxels: NDArray[np.intp]


def foreground_box(*volumes: NDArray) -> tuple[slice, ...]:
    """Return the smallest box around all voxels that are not 0 in some volume; an empty box if all are 0."""
    foreground = volumes[0] != 0
    for volume in volumes[1:]:
        foreground |= volume != 0
    if not foreground.any():
        return tuple(slice(0, 0) for _ in foreground.shape)
    box = []
    for axis in range(foreground.ndim):
        inside = np.flatnonzero(foreground.any(axis=tuple({*range(foreground.ndim)} - {axis})))
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return tuple(box)


def surface_voxels(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the indices of a mask's surface voxels, which have a face neighbour outside the mask, (N, axes)."""
    return np.argwhere(mask & ~binary_erosion(mask))


def surface_elements(mask: NDArray[np.bool_], voxels: NDArray[np.intp], spacing_mm: tuple[float, ...]) -> Elements:
    """Return the elements of a mask's surface.

    Args:
        mask: a mask of at least one axis.
        voxels: the result of `surface_voxels` for this mask.
        spacing_mm: spacing of the voxels along each axis of the array.
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros([size - 1 for size in padded.shape], np.uint8)
    corners = np.array(list(product((0, 1), repeat=mask.ndim)))
    for bit, corner in enumerate(corners):
        view = tuple(slice(start, size - 1 + start) for start, size in zip(corner, padded.shape, strict=True))
        codes |= padded[view] << bit
    places = np.argwhere((codes > 0) & (codes < 2 ** len(corners) - 1))
    crossed = codes[tuple(places.T)]
    touched = places - 1 + corners[surface_corner(mask.ndim)[crossed]]
    rows = np.searchsorted(*(np.ravel_multi_index(tuple(indices.T), mask.shape) for indices in (voxels, touched)))
    return Elements(places, element_areas(tuple(spacing_mm))[crossed], rows)


@lru_cache
def surface_corner(axes: int) -> NDArray[np.intp]:
    """Return for each code of a cell the corner inside the mask that has a face neighbour outside, within the cell."""
    corners = 2**axes
    codes = np.arange(2**corners)[:, None] >> np.arange(corners) & 1 > 0
    beside_outside = [~codes[:, np.arange(corners) ^ 1 << axis] for axis in range(axes)]
    return (codes & np.logical_or.reduce(beside_outside)).argmax(axis=1)


@lru_cache(maxsize=16)
def element_areas(spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """Return for each code of a cell of 2 voxels along each axis the area of the surface through it."""
    from skimage.measure import find_contours, marching_cubes, mesh_surface_area  # slow, only for `surface`

    shape = (2,) * len(spacing_mm)
    corners = 2 ** len(spacing_mm)
    areas = np.zeros(2**corners)
    for code in range(1, 2**corners - 1):
        inside = np.array([code >> bit & 1 for bit in range(corners)])
        # a mask and its complement get the same surface, even if they touch only at an edge or a corner
        cell = (inside if inside.sum() <= corners // 2 else 1 - inside).reshape(shape).astype(float)
        if len(shape) == 3:
            areas[code] = mesh_surface_area(*marching_cubes(cell, 0.5, spacing=spacing_mm, method="lorensen")[:2])
        else:
            lines = (line * spacing_mm for line in find_contours(cell, 0.5))
            areas[code] = sum(np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in lines)
    return areas
