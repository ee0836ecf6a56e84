"""Lesion-wise scores: which lesions of the truth a prediction finds, and how well it outlines each."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure, label
from scipy.optimize import linear_sum_assignment

from segan_nnunet.evaluation.scores.definitions import LesionRule, Measures
from segan_nnunet.evaluation.scores.detection import lesion_f1, panoptic_quality
from segan_nnunet.evaluation.scores.surface_scores import MaskPair, Part, nsd_column, surface_scores


class Components(NamedTuple):
    """Components of two masks, numbered from 1, and the voxels that each pair shares.

    `shared` is (1 + lesions, 1 + predicted), where row and column 0 are the voxels in no component.
    """

    lesions: NDArray[np.int32]
    predicted: NDArray[np.int32]
    shared: NDArray[np.int64]
    touching: NDArray[np.bool_]  # (lesions, predicted)


def lesion_scores(masks: MaskPair, rule: LesionRule, nsd_mm: tuple[float, ...] = ()) -> dict[str, float]:
    """Return Dice, HD95 and NSD as means over lesions, and how many lesions are found, missed, and false.

    Args:
        masks: the prediction and its reference.
        rule: what a lesion is, and what enters the means.
        nsd_mm: tolerances of NSD.

    Returns:
        LesionDice and LesionNSD_0.5mm (or whatever the tolerances are) in [0, 1], LesionHD95_mm, LesionsFound,
        LesionsMissed (of the reference's lesions that are not left out), LesionsFalse (predicted components);
        LesionF1 of these counts; PQ, SQ and RQ of the components as they are, none grown or left out.
    """
    pair = components(masks.prediction, masks.reference, rule)
    matches = one_to_one(pair.shared) if rule.one_to_one else together(pair.touching)
    volumes = pair.shared.sum(axis=1)[1:] * np.prod(masks.spacing_mm)
    counted = set(np.flatnonzero(volumes > rule.smallest_mm3) + 1)
    measures = Measures(rule.hd95, nsd_mm, nsd_by_mask=rule.nsd_by_mask)
    scores = scores_of_lesions(
        masks, pair, {lesion: members for lesion, members in matches.items() if lesion in counted}, measures
    )
    missed = len(counted - set(matches))
    false = pair.shared.shape[1] - 1 - len({member for members in matches.values() for member in members})
    failures = missed + false if rule.failures_count or not scores else 0
    means = {}
    for column in ("LesionDice", "LesionHD95_mm", *(f"Lesion{nsd_column(tolerance)}" for tolerance in nsd_mm)):
        perfect, failed = (0.0, rule.penalty_mm) if column == "LesionHD95_mm" else (1.0, 0.0)
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
        **panoptic_quality(shared_by_components(masks.reference, pair, rule), of_nothing),
    }


def components(prediction: NDArray[np.bool_], reference: NDArray[np.bool_], rule: LesionRule) -> Components:
    """Number the lesions of the reference and the components of the prediction."""
    touching_voxels = np.ones((3,) * reference.ndim)
    grown = np.pad(reference, rule.dilation)
    if rule.dilation:
        faces_and_edges = generate_binary_structure(reference.ndim, 2)
        grown = binary_dilation(grown, faces_and_edges, iterations=rule.dilation)
    reach, number = label(grown, touching_voxels)
    reach = reach[tuple(slice(rule.dilation, rule.dilation + size) for size in reference.shape)]
    predicted, predicted_number = label(prediction, touching_voxels)
    shape = 1 + number, 1 + predicted_number
    lesions = reach * reference  # voxels of one grown component are one lesion
    touching = shared_voxels(reach, predicted, shape)[1:, 1:] > 0
    return Components(lesions, predicted, shared_voxels(lesions, predicted, shape), touching)


def shared_by_components(reference: NDArray[np.bool_], pair: Components, rule: LesionRule) -> NDArray[np.int64]:
    """Count the voxels that each component of the reference, not grown, shares with each predicted one."""
    if not rule.dilation:  # the lesions are these components
        return pair.shared
    plain, number = label(reference, np.ones((3,) * reference.ndim))
    return shared_voxels(plain, pair.predicted, (1 + number, pair.shared.shape[1]))


def shared_voxels(first: NDArray, second: NDArray, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Count the voxels of each pair of numbers, as a matrix of a shape."""
    pairs = first.ravel().astype(np.intp) * shape[1] + second.ravel()
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


def together(touching: NDArray[np.bool_]) -> dict[int, list[int]]:
    """Return the predicted components that find each lesion: all that touch it, also those that touch another."""
    return {lesion: list(np.flatnonzero(row) + 1) for lesion, row in enumerate(touching, start=1) if row.any()}


def one_to_one(shared: NDArray[np.int64]) -> dict[int, list[int]]:
    """Return the predicted component that finds each lesion: pairs that overlap, with the greatest sum of Dice."""
    sizes = np.add.outer(shared.sum(axis=1), shared.sum(axis=0))[1:, 1:]
    dice = 2 * shared[1:, 1:] / sizes
    rows, columns = linear_sum_assignment(dice, maximize=True)
    return {int(row) + 1: [int(column) + 1] for row, column in zip(rows, columns, strict=True) if dice[row, column] > 0}


def scores_of_lesions(
    masks: MaskPair, pair: Components, matches: dict[int, list[int]], measures: Measures
) -> list[dict[str, float]]:
    """Return Dice, HD95 and NSD of each lesion and the whole predicted components that find it."""
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
