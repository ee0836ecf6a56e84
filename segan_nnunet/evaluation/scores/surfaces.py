"""The surfaces of masks, as their voxels and as elements with areas, and the box around masks."""

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion


class Elements(NamedTuple):
    """Elements of a surface, each between the centres of 2 voxels along each axis, some inside the mask and some not.

    Attributes:
        places: (N, axes), in voxels: of the last voxel that each touches.
        areas: (N,), in mm² (lengths in mm in 2-D).
        voxels: (N,), a surface voxel that each touches: its row.
    """

    places: NDArray[np.intp]
    areas: NDArray[np.float64]
    voxels: NDArray[np.intp]


def foreground_box(*volumes: NDArray) -> tuple[slice, ...]:
    """Return the smallest box around every voxel that is not 0 in one of the volumes; an empty one where all are 0."""
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
    """Return the indices, (N, axes), of a mask's surface voxels: those with a face neighbour outside it."""
    return np.argwhere(mask & ~binary_erosion(mask))


def surface_elements(mask: NDArray[np.bool_], voxels: NDArray[np.intp], spacing_mm: tuple[float, ...]) -> Elements:
    """Return the elements of a mask's surface.

    Args:
        mask: any, of at least one axis.
        voxels: its surface voxels, as `surface_voxels` returns them.
        spacing_mm: of the voxels along each axis of the array.
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
    """Return, by the code of the voxels inside the mask, one that has a face neighbour outside among the cell's."""
    corners = 2**axes
    codes = np.arange(2**corners)[:, None] >> np.arange(corners) & 1 > 0
    beside_outside = [~codes[:, np.arange(corners) ^ 1 << axis] for axis in range(axes)]
    return (codes & np.logical_or.reduce(beside_outside)).argmax(axis=1)


@lru_cache(maxsize=16)
def element_areas(spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the area of the surface through a cell of 2 voxels along each axis, by the code of the voxels inside."""
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
