"""Lesion-wise scores: which lesions of the reference a prediction finds, and how well it outlines each."""

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure, label
from scipy.optimize import linear_sum_assignment

from segan_nnunet.evaluation.scores.definitions import LesionRule, Measures
from segan_nnunet.evaluation.scores.detection import lesion_f1, panoptic_quality
from segan_nnunet.evaluation.scores.regions import Region, region_values
from segan_nnunet.evaluation.scores.surface_scores import MaskPair, Part, nsd_column, surface_scores


class Components(NamedTuple):
    """The numbered components of two masks.

    Attributes:
        lesions, predicted: numbers of the components from 1, by voxel.
        shared: number of voxels that each pair shares, (1 + lesions, 1 + predicted). Row and column 0 count the voxels
            outside of all components.
        touching: whether each grown lesion touches each predicted component, (lesions, predicted).
    """

    lesions: NDArray[np.int32]
    predicted: NDArray[np.int32]
    shared: NDArray[np.int64]
    touching: NDArray[np.bool_]


class Neighbour(NamedTuple):
    """The numbered components of a region that unites lesions of another region, in the uncut arrays of a `MaskPair`.

    The numbers follow the order of the first voxels along x, then y, then z, as in the challenges' packages.
    """

    predicted: NDArray[np.int32]
    true: NDArray[np.int32]


def lesion_scores(
    masks: MaskPair,
    rule: LesionRule,
    nsd_mm: tuple[float, ...] = (),
    neighbours: Sequence[Neighbour] = (),
    shape: Sequence[int] = (),
) -> dict[str, float]:
    """Return Dice, HD95 and NSD as means over lesions, and the numbers of found, missed and false lesions.

    Args:
        masks: the prediction and its reference.
        rule: defines the lesions of this region and their means.
        nsd_mm: tolerances of NSD.
        neighbours: the regions of `rule.united_by`, in this order.
        shape: shape of the volume, whose diagonal can be the penalty.

    Returns:
        LesionDice and one LesionNSD per tolerance, such as LesionNSD_0.5mm, in [0, 1]; LesionHD95_mm; LesionsFound;
        LesionsMissed (lesions of the reference that are not left out); LesionsFalse (predicted components); LesionF1 of
        these counts; PQ, SQ and RQ of the components, none of which is grown or left out.
    """
    voxel_mm3 = float(np.prod(masks.spacing_mm))
    inside = [cut_neighbour(neighbour, masks) for neighbour in neighbours]
    pair = components(masks.prediction, masks.reference, rule, voxel_mm3, inside)
    matches = match_one_to_one(pair.shared) if rule.one_to_one else match_all_touching(pair.touching)
    volumes = pair.shared.sum(axis=1)[1:] * voxel_mm3
    large = set(np.flatnonzero(volumes > rule.smallest_mm3) + 1)
    measures = Measures(rule.hd95, nsd_mm, nsd_by_mask=rule.nsd_by_mask)
    scores = scores_of_lesions(
        masks, pair, {lesion: members for lesion, members in matches.items() if lesion in large}, measures
    )
    missed = len(large - set(matches))
    false = pair.shared.shape[1] - 1 - len({member for members in matches.values() for member in members})
    failures = missed + false * rule.averages_false_lesions if rule.averages_failures or not scores else 0
    penalty_mm = rule.penalty_of(shape)
    means = {}
    for column in ("LesionDice", "LesionHD95_mm", *(f"Lesion{nsd_column(tolerance)}" for tolerance in nsd_mm)):
        perfect, failed = (0.0, penalty_mm) if column == "LesionHD95_mm" else (1.0, 0.0)
        if scores or failures:
            total = sum(score[column] for score in scores) + failures * failed
            means[column] = total / (len(scores) + failures)
        else:
            means[column] = perfect if rule.nothing_is_perfect else float("nan")
    of_nothing = 1.0 if rule.nothing_is_perfect else float("nan")
    return {
        **means,
        "LesionsFound": len(scores),
        "LesionsMissed": missed,
        "LesionsFalse": false,
        "LesionF1": lesion_f1(len(scores), missed, false, of_nothing),
        **panoptic_quality(shared_by_components(masks, pair, rule), of_nothing),
    }


def components(
    prediction: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    rule: LesionRule,
    voxel_mm3: float = 1.0,
    neighbours: Sequence[Neighbour] = (),
) -> Components:
    """Label the lesions of the reference and the components of the prediction.

    Args:
        prediction, reference: masks of one shape.
        rule: defines the lesions.
        voxel_mm3: volume of a voxel.
        neighbours: as in `lesion_scores`, with one more voxel on each side than the masks.
    """
    reach = grown_components(reference, rule.dilation)
    predicted = predicted_components(prediction, rule, voxel_mm3)
    for neighbour in neighbours:
        reach = merged_numbers(reach * reference, neighbour.true)[reach]
        predicted = merged_numbers(predicted, neighbour.predicted)[predicted]
    lesions = reach * reference  # the voxels inside one grown component are one lesion
    shape = 1 + int(reach.max(initial=0)), 1 + int(predicted.max(initial=0))
    touching = shared_voxels(reach, predicted, shape)[1:, 1:] > 0
    return Components(lesions, predicted, shared_voxels(lesions, predicted, shape), touching)


def shared_by_components(masks: MaskPair, pair: Components, rule: LesionRule) -> NDArray[np.int64]:
    """Count the voxels that each component of the reference shares with each predicted one.

    No component is grown, united or dropped here. The function reuses the components of `pair` if they are the same.
    """
    is_united = bool(rule.united_by)
    true = grown_components(masks.reference, 0) if rule.dilation or is_united else pair.lesions
    changed = rule.predictions_alike or is_united
    predicted = grown_components(masks.prediction, 0) if changed else pair.predicted
    return shared_voxels(true, predicted, (1 + int(true.max(initial=0)), 1 + int(predicted.max(initial=0))))


def grown_components(mask: NDArray[np.bool_], dilation: int) -> NDArray[np.int32]:
    """Grow a mask over faces and edges, and number the components of the grown mask."""
    grown = np.pad(mask, dilation)
    if dilation:
        grown = binary_dilation(grown, generate_binary_structure(mask.ndim, 2), iterations=dilation)
    numbers, _ = label(grown, np.ones((3,) * mask.ndim))
    return numbers[tuple(slice(dilation, dilation + size) for size in mask.shape)]


def predicted_components(prediction: NDArray[np.bool_], rule: LesionRule, voxel_mm3: float) -> NDArray[np.int32]:
    """Label the components of a prediction. If the rule says so, merge them by growth and drop small ones."""
    if not rule.predictions_alike:
        return grown_components(prediction, 0)
    numbers = grown_components(prediction, rule.dilation) * prediction
    sizes = np.bincount(numbers.ravel(), minlength=1)
    kept = sizes * (1 if rule.smallest_in_voxels else voxel_mm3) > rule.smallest_mm3
    kept[0] = False
    return (np.cumsum(kept) * kept).astype(np.int32)[numbers]


def merged_numbers(numbers: NDArray[np.int32], neighbour: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the new number of each component. Components with the same first neighbour get the same number.

    Args:
        numbers: components from 1, 0 elsewhere.
        neighbour: components of another region, with one more voxel on each side. A component's first neighbour is
            the one with the smallest number among those that touch it over faces or edges.
    """
    none = int(neighbour.max(initial=0)) + 1
    first = np.full(int(numbers.max(initial=0)) + 1, none)
    places = np.argwhere(numbers) + 1
    own = numbers[numbers > 0]
    for offset in product((-1, 0, 1), repeat=numbers.ndim):
        if np.count_nonzero(offset) < 3:  # faces and edges
            others = neighbour[tuple((places + offset).T)]
            np.minimum.at(first, own[others > 0], others[others > 0])
    groups = np.where(first < none, first, none + np.arange(len(first)))  # a component without a neighbour stays alone
    table = np.zeros(len(first), np.int32)
    table[1:] = np.unique(groups[1:], return_inverse=True)[1].ravel() + 1
    return table


def neighbours_of(
    regions: Mapping[str, tuple[int, ...]],
    rule: LesionRule,
    uniting: Collection[Region],
    labels: tuple[NDArray, NDArray],
    counted: NDArray[np.bool_],
    voxel_mm3: float,
) -> dict[Region, Neighbour]:
    """Label the components of every region that unites lesions of the dataset's regions.

    Args:
        regions: label values of the dataset's regions, by name.
        rule: the rule of all regions.
        uniting: the regions that unite lesions.
        labels: predicted and true labels of the same shape.
        counted: whether each voxel counts.
        voxel_mm3: volume of a voxel.
    """
    neighbours = {}
    for region in uniting:
        own, values = rule.of_region(region), region_values(regions, region)
        predicted, true = ((np.isin(part, values) & counted).T for part in labels)  # transposed to number along x first
        numbers = grown_components(true, own.dilation) * true
        neighbours[region] = Neighbour(predicted_components(predicted, own, voxel_mm3).T, numbers.T)
    return neighbours


def cut_neighbour(neighbour: Neighbour, masks: MaskPair) -> Neighbour:
    """Cut a neighbour to the box of a pair of masks, with one more voxel on each side."""
    box = tuple(slice(side.start, side.stop + 2) for side in masks.box)
    predicted, true = (np.pad(numbers, 1)[box] for numbers in neighbour)
    return Neighbour(predicted, true)


def shared_voxels(first: NDArray, second: NDArray, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Count the voxels of each pair of numbers. Return a matrix of this shape."""
    pairs = first.ravel().astype(np.intp) * shape[1] + second.ravel()
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


def match_all_touching(touching: NDArray[np.bool_]) -> dict[int, list[int]]:
    """Return the predicted components that find each lesion: all that touch it, even if they touch others too."""
    return {lesion: list(np.flatnonzero(row) + 1) for lesion, row in enumerate(touching, start=1) if row.any()}


def match_one_to_one(shared: NDArray[np.int64]) -> dict[int, list[int]]:
    """Return the predicted component that finds each lesion: overlapping pairs with the greatest sum of Dice."""
    sizes = np.add.outer(shared.sum(axis=1), shared.sum(axis=0))[1:, 1:]
    dice = 2 * shared[1:, 1:] / sizes
    rows, columns = linear_sum_assignment(dice, maximize=True)
    return {int(row) + 1: [int(column) + 1] for row, column in zip(rows, columns, strict=True) if dice[row, column] > 0}


def scores_of_lesions(
    masks: MaskPair, pair: Components, matches: dict[int, list[int]], measures: Measures
) -> list[dict[str, float]]:
    """Return Dice, HD95 and NSD of each lesion against the whole predicted components that find it."""
    predicted, true = masks.voxels
    numbers, lesions = pair.predicted[tuple(predicted.T)], pair.lesions[tuple(true.T)]
    scores = []
    for lesion, members in matches.items():
        sizes = pair.shared[lesion].sum() + pair.shared[:, members].sum()
        dice = 2 * pair.shared[lesion, members].sum() / sizes
        part = Part(np.isin(numbers, members), lesions == lesion)
        values = {"Dice": dice, **surface_scores(masks, measures, part)}
        scores.append({f"Lesion{name}": value for name, value in values.items()})
    return scores
