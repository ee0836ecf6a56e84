"""Distances between the surfaces of two masks, and the scores that are made of them: HD95 and NSD.

Nearest neighbours between the surfaces are faster than distance maps of the whole box.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from segan_nnunet.evaluation.scores.definitions import Hd95, Measures
from segan_nnunet.evaluation.scores.surfaces import Surface, foreground_box, surface_elements, surface_voxels

PERCENTILE = 95  # of the surface distances


class Distances(NamedTuple):
    """From places of one surface to the nearest of the other, in mm, (N,), and the areas of those places."""

    mm: NDArray[np.float64]
    areas: NDArray[np.float64]


class Surfaces:
    """The surfaces of a prediction and its reference, neither empty, and which places are nearest to which."""

    def __init__(self, prediction: Surface, reference: Surface, spacing_mm: tuple[float, ...]) -> None:
        self.prediction, self.reference = prediction, reference
        self.spacing_mm = np.asarray(spacing_mm)

    @cached_property
    def nearest(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """For each place of the prediction the row of the nearest one of the reference, and back."""
        pair = self.prediction.places, self.reference.places
        return self.search(*pair), self.search(*pair[::-1])

    def search(self, places: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.intp]:
        """The row of the nearest of the others, (M, axes), for each place, (N, axes)."""
        tree = KDTree(others * self.spacing_mm, balanced_tree=False, compact_nodes=False)  # quicker to build
        return tree.query(places * self.spacing_mm)[1]

    def distances(
        self, predicted: NDArray[np.bool_] | None = None, true: NDArray[np.bool_] | None = None
    ) -> tuple[Distances, Distances]:
        """There and back, between some places of the prediction and some of the reference, or all of them."""
        if predicted is None:
            predicted = np.ones(len(self.prediction.places), bool)
        if true is None:
            true = np.ones(len(self.reference.places), bool)
        forth, back = self.nearest
        return (
            self.directed(self.prediction, predicted, self.reference, true, forth),
            self.directed(self.reference, true, self.prediction, predicted, back),
        )

    def directed(
        self, first: Surface, of: NDArray[np.bool_], second: Surface, to: NDArray[np.bool_], nearest: NDArray[np.intp]
    ) -> Distances:
        """From chosen places to chosen others, searched again only where the nearest of all is none of these."""
        places, rows = first.places[of], nearest[of]
        if (elsewhere := ~to[rows]).any():
            rows[elsewhere] = np.flatnonzero(to)[self.search(places[elsewhere], second.places[to])]
        return Distances(np.linalg.norm((places - second.places[rows]) * self.spacing_mm, axis=1), first.areas[of])


class MaskPair:
    """A prediction and its reference, whose surfaces are compared once for all scores that are made of them.

    Attributes:
        prediction, reference: masks of one shape, cut to the box around both.
        spacing_mm: of the voxels along each axis of the arrays.
    """

    def __init__(
        self, prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: tuple[float, ...]
    ) -> None:
        box = foreground_box(prediction, reference)
        self.prediction, self.reference = prediction[box], reference[box]
        self.spacing_mm = tuple(spacing_mm)

    @cached_property
    def voxels(self) -> Surfaces:
        """The voxels of both surfaces."""
        return Surfaces(surface_voxels(self.prediction), surface_voxels(self.reference), self.spacing_mm)

    @cached_property
    def elements(self) -> Surfaces:
        """The elements of both surfaces, which have areas."""
        predicted, true = (surface_elements(mask, self.spacing_mm) for mask in (self.prediction, self.reference))
        return Surfaces(predicted, true, self.spacing_mm)

    def surfaces(self, definition: Hd95) -> Surfaces:
        """What a definition of HD95 takes for the surfaces."""
        return self.elements if definition is Hd95.SURFACE else self.voxels


def surface_scores(masks: MaskPair, measures: Measures) -> dict[str, float]:
    """HD95 and NSD of two masks.

    Returns:
        HD95_mm, and NSD_0.5mm or whatever the tolerances are; NaN where either mask is empty.
    """
    if not masks.prediction.any() or not masks.reference.any():
        return dict.fromkeys(["HD95_mm", *map(nsd_column, measures.nsd_mm)], float("nan"))
    return scores_of(masks.voxels.distances(), masks.surfaces(measures.hd95).distances(), measures)


def scores_of(
    voxels: tuple[Distances, Distances], surfaces: tuple[Distances, Distances], measures: Measures
) -> dict[str, float]:
    """NSD of the distances between voxels and HD95 of those between surfaces of its definition, there and back."""
    forth, back = (distances.mm for distances in voxels)
    shares = {nsd_column(tolerance): nsd(forth, back, tolerance, measures.nsd_by_mask) for tolerance in measures.nsd_mm}
    return {"HD95_mm": hd95(*surfaces, measures.hd95), **shares}


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
    return surface_scores(MaskPair(prediction, reference, spacing_mm), Measures(definition, ()))["HD95_mm"]


def hd95(forth: Distances, back: Distances, definition: Hd95) -> float:
    """HD95 in mm of the distances from each surface to the other."""
    if definition is Hd95.SURFACE:
        return max(weighted_percentile(*forth), weighted_percentile(*back))
    if definition is Hd95.POOLED:
        return float(np.percentile(np.concatenate([forth.mm, back.mm]), PERCENTILE))
    return float(max(np.percentile(forth.mm, PERCENTILE), np.percentile(back.mm, PERCENTILE)))


def weighted_percentile(values: NDArray, weights: NDArray) -> float:
    """The smallest value with which values of at least 95 % of the weight are reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    index = int(np.searchsorted(reached, PERCENTILE / 100))
    return float(values[order][min(index, len(values) - 1)])  # rounding may leave the last below
