"""Detection scores of lesions: F1 of the counts, and the panoptic quality of the components."""

import numpy as np
from numpy.typing import NDArray

LEAST_IOU = 0.5  # a match has a greater IoU, so no component can have two matches


def lesion_f1(found: int, missed: int, false: int, of_nothing: float) -> float:
    """Return F1 = 2 found / (2 found + missed + false), in [0, 1]; `of_nothing` if all three are 0."""
    lesions = 2 * found + missed + false
    return 2 * found / lesions if lesions else of_nothing


def panoptic_quality(shared: NDArray[np.int64], of_nothing: float) -> dict[str, float]:
    """Return the panoptic quality PQ = SQ · RQ of two masks' components (Kirillov et al. 2019), each in [0, 1].

    A component of the reference and one of the prediction match if their IoU is greater than 0.5. Each component then
    has at most one match. SQ is the mean IoU of the matches, and RQ = 2 matches / (components of both masks).

    Args:
        shared: number of voxels that each component of the reference (rows) shares with each component of the
            prediction (columns). Row and column 0 count the voxels outside of all components.
        of_nothing: the value of all three if neither mask has a component.

    Returns:
        PQ, SQ and RQ. If there are components but no match, PQ and RQ are 0 and SQ is NaN.
    """
    overlap = shared[1:, 1:]
    rows, columns = overlap.nonzero()
    inside = overlap[rows, columns]
    iou = inside / (shared.sum(axis=1)[1:][rows] + shared.sum(axis=0)[1:][columns] - inside)
    matched = iou[iou > LEAST_IOU]
    components = sum(overlap.shape)
    if not components:
        return {"PQ": of_nothing, "SQ": of_nothing, "RQ": of_nothing}
    if not len(matched):
        return {"PQ": 0.0, "SQ": float("nan"), "RQ": 0.0}
    segmentation, recognition = float(matched.mean()), 2 * len(matched) / components
    return {"PQ": segmentation * recognition, "SQ": segmentation, "RQ": recognition}
