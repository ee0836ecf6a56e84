"""F1 of lesions and panoptic quality, for components with known overlaps."""

import math

import numpy as np
import pytest

from segan_nnunet.evaluation.scores.detection import lesion_f1, panoptic_quality
from tests.test_lesions import ELSEWHERE, FAR, GLIOMA, METASTASES, NEAR, NEWEST, NEXT, cuboids, scored


def test_lesion_f1_equals_values_computed_by_hand() -> None:
    assert lesion_f1(3, 1, 2, 1.0) == pytest.approx(6 / 9)
    assert lesion_f1(0, 1, 0, 1.0) == lesion_f1(0, 0, 1, 1.0) == 0
    assert lesion_f1(0, 0, 0, 1.0) == 1 and math.isnan(lesion_f1(0, 0, 0, math.nan))


def test_panoptic_quality_equals_values_computed_by_hand() -> None:
    shared = np.array(
        [
            [900, 2, 0, 0, 7],  # outside every component of the reference
            [0, 8, 0, 0, 0],  # IoU 8 / 10
            [4, 0, 6, 0, 0],  # IoU 6 / 10
            [3, 0, 0, 3, 0],  # IoU 3 / 6, which is no match
        ]
    )
    # 2 matches of 3 and 4 components
    expected = {"SQ": (0.8 + 0.6) / 2, "RQ": 4 / 7, "PQ": 0.7 * 4 / 7}
    assert panoptic_quality(shared, 1.0) == pytest.approx(expected)


def test_panoptic_quality_of_missed_or_absent_lesions_follows_the_policy() -> None:
    missed = panoptic_quality(np.array([[9], [5]]), 1.0)
    assert (missed["PQ"], missed["RQ"]) == (0, 0) and math.isnan(missed["SQ"])
    assert panoptic_quality(np.array([[9]]), 1.0) == {"PQ": 1, "SQ": 1, "RQ": 1}
    assert all(map(math.isnan, panoptic_quality(np.array([[9]]), math.nan).values()))


@pytest.mark.parametrize("rule", [GLIOMA, METASTASES, NEWEST])
def test_panoptic_quality_neither_grows_nor_merges_components(rule) -> None:  # type: ignore[no-untyped-def]
    """The glioma rule merges two of the lesions. PQ always matches 2 of 3 and 3 components."""
    scores = scored(cuboids(NEAR, FAR, ELSEWHERE), cuboids(NEAR, NEXT, FAR), rule)
    assert (scores["PQ"], scores["SQ"], scores["RQ"]) == pytest.approx((4 / 6, 1, 4 / 6))
    lesions = 2 if rule is GLIOMA else 3
    assert scores["LesionF1"] == pytest.approx(2 * 2 / (lesions + 3))


def test_many_parts_match_a_lesion_at_most_once() -> None:
    true = cuboids((slice(0, 2), slice(0, 2), slice(0, 10)))
    parts = cuboids((slice(0, 2), slice(0, 2), slice(0, 6)), (slice(0, 2), slice(0, 2), slice(7, 10)))
    scores = scored(parts, true, NEWEST)
    assert (scores["SQ"], scores["RQ"]) == pytest.approx((6 / 10, 2 / 3))
