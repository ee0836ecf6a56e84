"""The surfaces of masks, as their voxels and as elements with areas, and the box around masks."""

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, find_objects

Box = tuple[slice, ...]


class Surface(NamedTuple):
    """Places on the surface of a mask: voxels, or elements that lie between voxels.

    Attributes:
        places: (N, axes), in voxels.
        areas: (N,), in mm² (lengths in mm in 2-D); 1 of each voxel.
        corners: steps from a place to the voxels that it touches, (corners, axes).
    """

    places: NDArray[np.intp]
    areas: NDArray[np.float64]
    corners: NDArray[np.intp]

    def numbers(self, components: NDArray[np.integer]) -> NDArray[np.integer]:
        """The number of the component on which each place lies, (N,).

        An element has one at most: all of its corners are neighbours, and neighbours are of one component.
        """
        padded = np.pad(components, 1)
        corners = (padded[tuple((self.places + 1 + corner).T)] for corner in self.corners)
        return np.maximum.reduce(list(corners))


def foreground_box(*volumes: NDArray) -> Box:
    """The smallest box that holds every voxel that is not 0 in one of the volumes; an empty one where all are 0."""
    foreground = np.logical_or.reduce([volume != 0 for volume in volumes])
    found = find_objects(foreground.view(np.uint8)) if foreground.size else []
    return found[0] if found else tuple(slice(0, 0) for _ in foreground.shape)


def surface_voxels(mask: NDArray[np.bool_]) -> Surface:
    """The voxels of a mask that have a face neighbour outside it."""
    places = np.argwhere(mask & ~binary_erosion(mask))
    return Surface(places, np.ones(len(places)), np.zeros((1, mask.ndim), np.intp))


def surface_elements(mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> Surface:
    """The elements of a mask's surface.

    An element lies between the centres of 2 voxels along each axis, where some are inside the mask and some are not;
    its place is that of the last of them.
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros([size - 1 for size in padded.shape], np.uint8)
    steps = np.array(list(product((0, 1), repeat=mask.ndim)))
    for bit, corner in enumerate(steps):
        view = tuple(slice(start, size - 1 + start) for start, size in zip(corner, padded.shape, strict=True))
        codes |= padded[view] << bit
    places = np.argwhere((codes > 0) & (codes < 2 ** (2**mask.ndim) - 1))
    return Surface(places, element_areas(tuple(spacing_mm))[codes[tuple(places.T)]], steps - 1)


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
