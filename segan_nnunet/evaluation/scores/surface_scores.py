"""Distances between the surfaces of two masks, and the scores that are made of them: HD95, ASSD and NSD.

Nearest neighbours between the surfaces are faster than distance maps of the whole box.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from segan_nnunet.evaluation.scores.definitions import Hd95, Measures
from segan_nnunet.evaluation.scores.surfaces import Elements, foreground_box, surface_elements, surface_voxels

# of surfaces of 15,000 places, searched 1 to 25 mm apart: built and searched in two thirds of the time of the defaults
TREE = {"leafsize": 32, "balanced_tree": False, "compact_nodes": False}
PERCENTILE = 95  # of the surface distances
DIRECTIONS = ((0, 1), (1, 0))  # from the prediction to the reference, and from this to that


class MaskPair:
    """A prediction and its reference, whose surfaces are compared once for all scores that are made of them.

    Attributes:
        box: around both masks, in the arrays that they were given as.
        prediction, reference: masks of one shape, cut to the box.
        spacing_mm: of the voxels along each axis of the arrays.
    """

    def __init__(
        self, prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: tuple[float, ...]
    ) -> None:
        self.box = foreground_box(prediction, reference)
        self.prediction, self.reference = prediction[self.box], reference[self.box]
        self.spacing_mm = tuple(spacing_mm)

    @cached_property
    def voxels(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Surface voxels of the prediction and of the reference, each (N, axes)."""
        return surface_voxels(self.prediction), surface_voxels(self.reference)

    @cached_property
    def elements(self) -> tuple[Elements, Elements]:
        """Elements of both surfaces."""
        predicted, true = self.voxels
        return (
            surface_elements(self.prediction, predicted, self.spacing_mm),
            surface_elements(self.reference, true, self.spacing_mm),
        )

    @cached_property
    def nearest(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """For each surface voxel of the prediction the row of the nearest one of the reference, and back."""
        predicted, true = self.voxels
        return self.search(predicted, true), self.search(true, predicted)

    def search(self, places: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the row of the nearest of the others, (M, axes), for each place, (N, axes)."""
        return KDTree(others * np.asarray(self.spacing_mm), **TREE).query(places * np.asarray(self.spacing_mm))[1]

    def apart_mm(self, places: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the distance of each place from the other in its row."""
        return np.linalg.norm((places - others) * np.asarray(self.spacing_mm), axis=1)


class Part(NamedTuple):
    """Which surface voxels of a pair of masks count: the whole components of a lesion, or all.

    Attributes:
        predicted, true: booleans, one per surface voxel; some of each are true.
    """

    predicted: NDArray[np.bool_]
    true: NDArray[np.bool_]


def surface_scores(masks: MaskPair, measures: Measures, part: Part | None = None) -> dict[str, float]:
    """Return HD95, ASSD and NSD of two masks, or of parts of them as if these were masks of their own.

    Args:
        masks: the prediction and its reference.
        measures: which HD95, and the tolerances of NSD.
        part: of the masks; all of them by default.

    Returns:
        HD95_mm, ASSD_mm (the mean distance of all surface voxels of both masks from the other's surface), and NSD_0.5mm
        or whatever the tolerances are; NaN where either mask is empty.
    """
    if not all(len(voxels) for voxels in masks.voxels):
        return dict.fromkeys(["HD95_mm", "ASSD_mm", *map(nsd_column, measures.nsd_mm)], float("nan"))
    part = part or Part(*(np.ones(len(voxels), bool) for voxels in masks.voxels))
    forth, back = directed = [distances_mm(masks, part, *direction) for direction in DIRECTIONS]
    if measures.hd95 is Hd95.SURFACE:
        distance = max(
            hd95_by_area(masks, part, distances, *direction)
            for distances, direction in zip(directed, DIRECTIONS, strict=True)
        )
    elif measures.hd95 is Hd95.POOLED:
        distance = float(np.percentile(np.concatenate([forth, back]), PERCENTILE))
    else:
        distance = float(max(np.percentile(forth, PERCENTILE), np.percentile(back, PERCENTILE)))
    shares = {nsd_column(tolerance): nsd(forth, back, tolerance, measures.nsd_by_mask) for tolerance in measures.nsd_mm}
    return {"HD95_mm": distance, "ASSD_mm": float(np.concatenate([forth, back]).mean()), **shares}


def distances_mm(masks: MaskPair, part: Part, first: int, second: int) -> NDArray[np.float64]:
    """Return the distances of one mask's surface voxels in a part to the nearest one of the other mask's.

    They are searched again only where the nearest of all is not of the part.
    """
    voxels, others = masks.voxels[first][part[first]], masks.voxels[second]
    rows = masks.nearest[first][part[first]]
    if (elsewhere := ~part[second][rows]).any():
        of_part = np.flatnonzero(part[second])
        rows[elsewhere] = of_part[masks.search(voxels[elsewhere], others[of_part])]
    return masks.apart_mm(voxels, others[rows])


def nsd_column(tolerance_mm: float) -> str:
    """Return the column of the normalised surface Dice at a tolerance, e.g. NSD_0.5mm."""
    return f"NSD_{tolerance_mm:g}mm"


def nsd(forth: NDArray, back: NDArray, tolerance_mm: float, by_mask: bool = False) -> float:
    """Return the normalised surface Dice: the share of both surfaces' voxels within a tolerance of the other.

    Args:
        forth, back: distances in mm from each surface to the other.
        tolerance_mm: how far is near enough; >= 0.
        by_mask: take the mean of the two surfaces' shares, whatever their sizes.
    """
    near = np.count_nonzero(forth <= tolerance_mm), np.count_nonzero(back <= tolerance_mm)
    if by_mask:
        return (near[0] / len(forth) + near[1] / len(back)) / 2
    return sum(near) / (len(forth) + len(back))


def hd95_by_area(masks: MaskPair, part: Part, distances: NDArray[np.float64], first: int, second: int) -> float:
    """Return within how many mm of the other surface 95 % of a surface's area lies.

    A surface voxel touches elements, and an element a surface voxel, half a voxel's diagonal apart. So distances
    of elements differ by a diagonal at most from those of the voxels that they touch, and only elements that may be
    among the farthest 5 % are searched.

    Args:
        masks, part: whose elements.
        distances: as `distances_mm` returns them.
        first, second: the mask whose elements these are, and the other.
    """
    own, other = masks.elements[first], masks.elements[second]
    near = np.zeros(len(part[first]))
    near[part[first]] = distances
    chosen = part[first][own.voxels]
    places, areas, near = own.places[chosen], own.areas[chosen], near[own.voxels[chosen]]
    diagonal = float(np.linalg.norm(masks.spacing_mm))
    # one per cent below, so that roundings of sums do not matter
    far = near >= weighted_percentile(near, areas, PERCENTILE - 1) - 2 * diagonal
    others = other.places[part[second][other.voxels]]
    distances_mm = np.zeros(len(places))
    distances_mm[far] = masks.apart_mm(places[far], others[masks.search(places[far], others)])
    return weighted_percentile(distances_mm, areas, PERCENTILE)


def weighted_percentile(values: NDArray, weights: NDArray, percentile: float) -> float:
    """Return the smallest value with which values of at least a percentage of the weight are reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    index = int(np.searchsorted(reached, percentile / 100))
    return float(values[order][min(index, len(values) - 1)])  # rounding may leave the last below
