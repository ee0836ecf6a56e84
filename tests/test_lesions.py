"""Lesion-wise scores of volumes made by hand. Every value follows from geometry."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import binary_dilation

from segan_nnunet.comparison import compare
from segan_nnunet.evaluation.methods.methods_on_cases import Folders
from segan_nnunet.evaluation.scores.definitions import (
    HD95_DEFINITIONS,
    LESION_RULES,
    Hd95,
    LesionRule,
    Lesions,
    Measures,
)
from segan_nnunet.evaluation.scores.lesions import components, lesion_scores
from segan_nnunet.evaluation.scores.surface_scores import MaskPair, Part, surface_scores
from segan_nnunet.evaluation.settings import Settings
from tests.hand_made_results import write_folder

pytestmark = pytest.mark.usefixtures("quick_correction")

GLIOMA, METASTASES = LESION_RULES[Lesions.BRATS_2023], LESION_RULES[Lesions.BRATS_2023_MET]
NEWEST = LESION_RULES[Lesions.BRATS_2026]


def cuboids(*places: tuple[slice, ...]) -> np.ndarray:
    mask = np.zeros((40, 40, 40), bool)
    for place in places:
        mask[place] = True
    return mask


def cube(corner: tuple[int, int, int], side: int) -> tuple[slice, ...]:
    return tuple(slice(start, start + side) for start in corner)


# 4 voxels of background between the first two: they merge where each grows by 2 or more
NEAR, NEXT, FAR, SMALL, ELSEWHERE = (
    cube((2, 2, 2), 5),
    cube((2, 2, 11), 5),
    cube((30, 30, 30), 5),
    cube((30, 2, 2), 3),
    cube((2, 30, 30), 4),
)


def scored(predicted: np.ndarray, true: np.ndarray, rule: LesionRule, spacing: tuple = (1, 1, 1)) -> dict[str, float]:
    return lesion_scores(MaskPair(predicted, true, spacing), rule, (1,))


def numbers(scores: dict[str, float]) -> list[float]:
    return [scores[f"Lesions{kind}"] for kind in ("Found", "Missed", "False")]


def test_lesions_that_meet_when_they_grow_merge() -> None:
    true, half = cuboids(NEAR, NEXT), cuboids(NEAR)
    merged = scored(half, true, GLIOMA)
    assert numbers(merged) == [1, 0, 0]
    assert merged["LesionDice"] == pytest.approx(2 * 125 / (250 + 125))
    apart = scored(half, true, METASTASES)
    assert numbers(apart) == [1, 1, 0]
    assert (apart["LesionDice"], apart["LesionHD95_mm"]) == (pytest.approx(1 / 2), pytest.approx(374 / 2))


def test_two_parts_that_find_one_lesion_have_one_score() -> None:
    parts = cuboids((slice(2, 7), slice(2, 7), slice(2, 4)), (slice(2, 7), slice(2, 7), slice(5, 7)))
    together = scored(parts, cuboids(NEAR), GLIOMA)
    assert numbers(together) == [1, 0, 0] and together["LesionDice"] == pytest.approx(2 * 100 / (100 + 125))
    # one to one: the other part is false, which enters no mean
    alone = scored(parts, cuboids(NEAR), NEWEST)
    assert numbers(alone) == [1, 0, 1] and alone["LesionDice"] == pytest.approx(2 * 50 / (50 + 125))


def test_a_part_beside_a_lesion_finds_it_only_within_its_reach() -> None:
    beside = cuboids((slice(2, 7), slice(2, 7), slice(9, 12)))  # 2 voxels of background between
    scores = scored(beside, cuboids(NEAR), GLIOMA)
    assert numbers(scores) == [1, 0, 0] and scores["LesionDice"] == 0 and scores["LesionHD95_mm"] < 10
    for rule in (METASTASES, NEWEST):
        missed = scored(beside, cuboids(NEAR), rule)
        assert numbers(missed) == [0, 1, 1] and missed["LesionHD95_mm"] == rule.penalty_mm


def test_small_lesions_are_excluded_and_missed_and_false_lesions_are_counted() -> None:
    true = cuboids(NEAR, FAR, SMALL)  # 125, 125 and 27 mm³
    predicted = cuboids(NEAR, ELSEWHERE)
    scores = scored(predicted, true, GLIOMA)
    assert numbers(scores) == [1, 1, 1], "27 mm³ are left out"
    assert scores["LesionDice"] == scores["LesionNSD_1mm"] == pytest.approx(1 / 3)
    assert scores["LesionHD95_mm"] == pytest.approx(2 * 374 / 3)
    assert numbers(scored(predicted, true, METASTASES)) == [1, 2, 1]
    newest = scored(predicted, true, NEWEST)
    assert numbers(newest) == [1, 2, 1], "all are counted, and none of the failures enters the means"
    assert (newest["LesionDice"], newest["LesionHD95_mm"], newest["LesionNSD_1mm"]) == (1, 0, 1)


def test_an_excluded_lesion_is_not_missed_and_its_prediction_is_not_false() -> None:
    for predicted in (cuboids(), cuboids(SMALL)):
        scores = scored(predicted, cuboids(SMALL), GLIOMA)
        assert numbers(scores) == [0, 0, 0]
        assert (scores["LesionDice"], scores["LesionHD95_mm"], scores["LesionNSD_1mm"]) == (1, 0, 1)


def test_the_size_threshold_is_a_volume_and_distances_are_in_mm() -> None:
    spacing = (3, 1, 2)  # the small lesion has 27 voxels of 6 mm³
    shifted = cuboids((slice(31, 34), slice(2, 5), slice(2, 5)))  # by one slice of 3 mm
    scores = scored(shifted, cuboids(SMALL), GLIOMA, spacing)
    assert numbers(scores) == [1, 0, 0]
    assert scores["LesionDice"] == pytest.approx(2 * 18 / 54)
    assert scores["LesionHD95_mm"] == pytest.approx(3)
    assert numbers(scored(shifted, cuboids(SMALL), GLIOMA, (1, 1, 1))) == [0, 0, 0]
    # lesions of exactly the threshold are left out
    assert numbers(scored(cuboids(), cuboids((slice(1), slice(1), slice(2))), METASTASES)) == [0, 0, 0]


def test_empty_masks_have_the_lesion_scores_of_their_rule() -> None:
    nothing, something = cuboids(), cuboids(NEAR)
    both = scored(nothing, nothing, GLIOMA)
    assert (both["LesionDice"], both["LesionHD95_mm"], both["LesionNSD_1mm"]) == (1, 0, 1)
    newest = scored(nothing, nothing, NEWEST)
    assert math.isnan(newest["LesionDice"]) and math.isnan(newest["LesionHD95_mm"]) and numbers(newest) == [0, 0, 0]
    box = np.zeros((0, 0, 0), bool)  # around the foreground of a case that has none, as `measure_case` cuts it
    assert (scored(box, box, GLIOMA), numbers(scored(box, box, NEWEST))) == (both, [0, 0, 0])
    for rule in (GLIOMA, NEWEST):
        for predicted, true, counts in ((nothing, something, [0, 1, 0]), (something, nothing, [0, 0, 1])):
            scores = scored(predicted, true, rule)
            assert numbers(scores) == counts
            assert (scores["LesionDice"], scores["LesionHD95_mm"]) == (0, rule.penalty_mm)


def test_one_to_one_matching_maximises_the_sum_of_dice() -> None:
    # the predicted bar overlaps both lesions, and the second has a component of its own beside the bar's end
    true = cuboids((slice(0, 4), slice(0, 4), slice(0, 10)), (slice(0, 4), slice(0, 4), slice(12, 20)))
    predicted = cuboids((slice(0, 4), slice(0, 4), slice(0, 13)), (slice(0, 4), slice(0, 4), slice(14, 20)))
    scores = scored(predicted, true, NEWEST)
    assert numbers(scores) == [2, 0, 0]
    assert scores["LesionDice"] == pytest.approx((2 * 10 / 23 + 2 * 6 / 14) / 2)


def test_lesion_nsd_is_symmetric_where_the_challenge_defines_it_so() -> None:
    # one voxel within a line of five: 1 of 1 and 3 of 5 lie within 1 mm of the other
    true, predicted = cuboids((slice(9, 10), slice(9, 10), slice(9, 14))), cuboids(cube((9, 9, 11), 1))
    assert scored(predicted, true, NEWEST)["LesionNSD_1mm"] == pytest.approx((1 + 3 / 5) / 2)
    assert scored(predicted, true, METASTASES)["LesionNSD_1mm"] == pytest.approx(4 / 6)


def test_parts_of_masks_are_scored_like_separate_masks() -> None:
    random = np.random.default_rng(0)
    for spacing, share in (((3, 0.8, 0.5), 0.04), ((1, 1, 1), 0.005)):
        predicted, true = (binary_dilation(random.random((24, 20, 18)) < share) for _ in range(2))
        whole = MaskPair(predicted, true, spacing)
        parts = components(whole.prediction, whole.reference, NEWEST)
        numbers = parts.predicted[tuple(whole.voxels[0].T)], parts.lesions[tuple(whole.voxels[1].T)]
        assert parts.lesions.max() > 5
        for lesion in range(1, 1 + parts.lesions.max()):
            members = list(random.choice(parts.predicted.max(), 3, replace=False) + 1)
            own = MaskPair(np.isin(parts.predicted, members), parts.lesions == lesion, spacing)
            part = Part(np.isin(numbers[0], members), numbers[1] == lesion)
            for definition in HD95_DEFINITIONS:
                measures = Measures(definition, (0.5, 2, 5))
                assert surface_scores(whole, measures, part) == pytest.approx(surface_scores(own, measures))


def test_lesions_of_single_slices_are_scored() -> None:
    true, predicted = np.zeros((2, 30, 30), bool)
    true[2:12, 2:12], predicted[2:12, 2:7] = True, True
    scores = lesion_scores(MaskPair(predicted, true, (1.0, 1.0)), GLIOMA)
    assert scores["LesionDice"] == pytest.approx(2 * 50 / 150) and scores["LesionsFound"] == 1


def test_the_release_of_a_dataset_selects_the_lesion_rules(tmp_path: Path) -> None:
    volumes = {"a": cuboids(NEAR, FAR).astype(np.uint8)}
    truth, other = write_folder(tmp_path / "truth", volumes), write_folder(tmp_path / "other", volumes)
    description = json.loads((other / "dataset.json").read_text())
    for release, expected in (("brats2023-met", "BraTS 2023 MET"), ("brats2013", "")):
        (other / "dataset.json").write_text(json.dumps({**description, "brats_release": release}))
        settings = Settings(measures=Measures(lesions=Lesions.AUTO))
        compare(output=tmp_path / release, folders=Folders({"Other": other}, truth), settings=settings)
        table = tmp_path / release / "lesion_scores.md"
        assert expected in table.read_text() if expected else not table.exists()


def test_compare_writes_the_lesion_table_and_names_the_definitions(tmp_path: Path) -> None:
    true = {"a": cuboids(NEAR, NEXT).astype(np.uint8), "b": cuboids(FAR).astype(np.uint8)}
    predicted = {"a": cuboids(NEAR).astype(np.uint8), "b": cuboids(FAR, ELSEWHERE).astype(np.uint8)}
    truth = write_folder(tmp_path / "truth", true)
    folders = Folders({"A": write_folder(tmp_path / "a", predicted), "B": truth}, truth)
    measures = Measures(Hd95.POOLED, (2,), Lesions.BRATS_2023)
    compare(output=tmp_path / "out", folders=folders, settings=Settings(measures=measures))
    text = (tmp_path / "out" / "lesion_scores.md").read_text()
    assert "BraTS 2023 (GLI, SSA, PED)" in text and "grown by 3 voxels" in text and "HD95 374 mm" in text
    assert "HD95 (pooled): " in (tmp_path / "out" / "further_scores.md").read_text()
    assert "NSD 2 mm whole tumor" in (tmp_path / "out" / "surface_scores.md").read_text()
    summary = pd.read_csv(tmp_path / "out" / "table1.csv").set_index(["method", "score", "region"])
    # case a finds its one lesion; b finds one and invents one
    assert summary.loc[("A", "LesionF1", "whole tumor"), "mean"] == pytest.approx((1 + 2 / 3) / 2)
    detection = (tmp_path / "out" / "detection_scores.md").read_text()
    assert "all cases together: A: whole tumor 0.800; B: whole tumor 1.000." in detection, "2 * 2 / (2 * 2 + 0 + 1)"
    of = {score: summary.loc[("A", score, "whole tumor"), "mean"] for score in ("LesionDice", "LesionsFalse")}
    assert of == {"LesionDice": pytest.approx((250 / 375 + 1 / 2) / 2), "LesionsFalse": 1 / 2}
    cases = pd.read_csv(tmp_path / "out" / "cases.csv")
    assert {"NSD_2mm", "LesionHD95_mm", "LesionsMissed"} <= set(cases)
    assert set(pd.read_csv(tmp_path / "out" / "tests.csv")["score"]) >= {"NSD_2mm", "LesionDice"}
