"""Distances between the surfaces of two masks, and their scores: HD95, ASSD and NSD.

A search for nearest neighbours between the surfaces is faster than distance maps of the whole box.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from segan_nnunet.evaluation.scores.definitions import Hd95, Measures
from segan_nnunet.evaluation.scores.surfaces import Elements, foreground_box, surface_elements, surface_voxels

# two thirds of the time of the defaults, for surfaces of 15,000 voxels that are 1 to 25 mm apart
TREE_OPTIONS = {"leafsize": 32, "balanced_tree": False, "compact_nodes": False}
PERCENTILE = 95  # of the surface distances
DIRECTIONS = ((0, 1), (1, 0))  # from the prediction to the reference, and back


class MaskPair:
    """A prediction and its reference. Their surfaces are compared once for all scores.

    Attributes:
        box: the smallest box around both masks, in the uncut arrays.
        prediction, reference: masks of the same shape, cut to the box.
        spacing_mm: spacing of the voxels along each axis of the arrays.
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
        """The surface elements of the prediction and of the reference."""
        predicted, true = self.voxels
        return (
            surface_elements(self.prediction, predicted, self.spacing_mm),
            surface_elements(self.reference, true, self.spacing_mm),
        )

    @cached_property
    def nearest(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The row of the nearest surface voxel of the other mask, for each surface voxel of both masks."""
        predicted, true = self.voxels
        return self.search(predicted, true), self.search(true, predicted)

    def search(self, places: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return for each of `places`, (N, axes), the row of the nearest one of `others`, (M, axes)."""
        spacing = np.asarray(self.spacing_mm)
        return KDTree(others * spacing, **TREE_OPTIONS).query(places * spacing)[1]

    def apart_mm(self, places: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the distance between the two places of each row."""
        return np.linalg.norm((places - others) * np.asarray(self.spacing_mm), axis=1)


class Part(NamedTuple):
    """The surface voxels that count in a pair of masks: those of a lesion and its predicted components, or all.

    Attributes:
        predicted, true: one boolean per surface voxel. Each has at least one True.
    """

    predicted: NDArray[np.bool_]
    true: NDArray[np.bool_]


def surface_scores(masks: MaskPair, measures: Measures, part: Part | None = None) -> dict[str, float]:
    """Return HD95, ASSD and NSD of two masks, or of parts of them as if these were separate masks.

    Let ∂P and ∂T be the surface voxels of prediction and reference, and d the distance of a voxel to the nearest voxel
    of a surface. `directed-max` is max(P95 of d(p, ∂T), P95 of d(t, ∂P)) with p in ∂P and t in ∂T. `pooled` is P95 of
    all these distances. `surface` is like `directed-max`, but for surface elements weighted by their area.

    Args:
        masks: the prediction and its reference.
        measures: the definition of HD95, and the tolerances of NSD.
        part: the surface voxels that count; all by default.

    Returns:
        HD95_mm, ASSD_mm (the mean distance of all surface voxels of both masks from the other surface), and one NSD per
        tolerance, such as NSD_0.5mm. All are NaN if either mask is empty.
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
    """Return the distance of each surface voxel of one mask's part to the nearest one of the other mask's part.

    A new search is needed only where the nearest surface voxel of the whole mask is outside of the part.
    """
    voxels, others = masks.voxels[first][part[first]], masks.voxels[second]
    rows = masks.nearest[first][part[first]]
    if (elsewhere := ~part[second][rows]).any():
        of_part = np.flatnonzero(part[second])
        rows[elsewhere] = of_part[masks.search(voxels[elsewhere], others[of_part])]
    return masks.apart_mm(voxels, others[rows])


def nsd_column(tolerance_mm: float) -> str:
    """Return the column of the normalised surface Dice at a tolerance, such as NSD_0.5mm."""
    return f"NSD_{tolerance_mm:g}mm"


def nsd(forth: NDArray, back: NDArray, tolerance_mm: float, by_mask: bool = False) -> float:
    """Return the normalised surface Dice: the share of both surfaces' voxels within a tolerance of the other.

    Args:
        forth, back: distances in mm from each surface to the other.
        tolerance_mm: the largest distance that counts as near; >= 0.
        by_mask: return the mean of the shares of the two surfaces.
    """
    near = np.count_nonzero(forth <= tolerance_mm), np.count_nonzero(back <= tolerance_mm)
    if by_mask:
        return (near[0] / len(forth) + near[1] / len(back)) / 2
    return sum(near) / (len(forth) + len(back))


def hd95_by_area(masks: MaskPair, part: Part, distances: NDArray[np.float64], first: int, second: int) -> float:
    """Return the distance in mm from the other surface within which 95 % of a surface's area lies.

    Each element touches a surface voxel, and each surface voxel touches elements, half a voxel's diagonal apart. So
    the distance of an element differs by at most one diagonal from that of the voxel that it touches. Only elements
    that may be among the farthest 5 % are searched.

    Args:
        masks, part: the masks, and the surface voxels that count.
        distances: the result of `distances_mm`.
        first, second: the indices of the mask with this surface and of the other mask.
    """
    own, other = masks.elements[first], masks.elements[second]
    near = np.zeros(len(part[first]))
    near[part[first]] = distances
    chosen = part[first][own.voxels]
    places, areas, near = own.places[chosen], own.areas[chosen], near[own.voxels[chosen]]
    diagonal = float(np.linalg.norm(masks.spacing_mm))
    # a limit one per cent lower makes rounding errors of sums harmless
    far = near >= weighted_percentile(near, areas, PERCENTILE - 1) - 2 * diagonal
    others = other.places[part[second][other.voxels]]
    distances_mm = np.zeros(len(places))
    distances_mm[far] = masks.apart_mm(places[far], others[masks.search(places[far], others)])
    return weighted_percentile(distances_mm, areas, PERCENTILE)


def weighted_percentile(values: NDArray, weights: NDArray, percentile: float) -> float:
    """Return the smallest value at which the sorted values reach a percentage of the total weight."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    index = int(np.searchsorted(reached, percentile / 100))
    return float(values[order][min(index, len(values) - 1)])  # rounding may leave the last sum below 1
