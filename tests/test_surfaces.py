"""HD95 in its three definitions, NSD, and the rules for empty masks, for masks whose values follow by hand."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from segan_nnunet.evaluation.scores.definitions import HD95_DEFINITIONS, Hd95, Measures
from segan_nnunet.evaluation.scores.empty_masks import DIAGONAL, LEFT_OUT, RULES, VOXEL_DIAGONAL, EmptyPolicy, rules_of
from segan_nnunet.evaluation.scores.scores import add_scores
from segan_nnunet.evaluation.scores.surface_scores import MaskPair, surface_scores
from segan_nnunet.evaluation.scores.surfaces import element_areas, surface_elements, surface_voxels
from tests.hand_made_scores import hd95_mm

# ten pairs of simulated masks, each with the spacing of its voxels
PAIRS = [(seed, spacing) for seed in range(5) for spacing in ((1.0, 1.0, 1.0), (3.0, 0.8, 0.5))]


def line(length: int) -> np.ndarray:
    mask = np.zeros((3, 3, 50), bool)
    mask[1, 1, :length] = True
    return mask


def boxes(seed: int) -> np.ndarray:
    """Return a mask of a few overlapping boxes."""
    random = np.random.default_rng(seed)
    mask = np.zeros((20, 24, 22), bool)
    for _ in range(4):
        low = random.integers(1, 12, 3)
        mask[tuple(slice(a, a + b) for a, b in zip(low, random.integers(2, 8, 3), strict=True))] = True
    return mask


@pytest.mark.parametrize(
    ("length", "missing", "directed", "pooled", "surface"),
    [
        # of a line of 41 the last 5 are 1 ... 5 from the shorter one. Directed: the 39th of 41. Pooled: 72 zeros,
        # then 1 and 2, at position 72.2. By area: the end holds 0.2165 per edge, each voxel before it 0.7071, of 28.72
        (41, 5, 3, 1.2, 3),
        (41, 10, 8, 6.45, 8),
        # between 0 and 1, at position 18.05 of 0 ... 19; the end of the line holds less than 5 % of the area
        (20, 1, 0.05, 0, 0),
    ],
)
def test_three_definitions_of_hd95_equal_values_computed_by_hand(
    length: int, missing: int, directed: float, pooled: float, surface: float
) -> None:
    for definition, expected in zip(HD95_DEFINITIONS, (directed, pooled, surface), strict=True):
        for spacing in ((1, 1, 1), (7, 4, 2.5)):
            distance = hd95_mm(line(length), line(length - missing), spacing, definition)
            assert distance == pytest.approx(expected * spacing[2]), definition
            assert hd95_mm(line(length - missing), line(length), spacing, definition) == pytest.approx(distance)


def test_areas_of_surface_elements_equal_values_from_geometry() -> None:
    a, b, c = 3.0, 0.8, 0.5
    areas = element_areas((a, b, c))
    corner = math.sqrt((b * c) ** 2 + (a * c) ** 2 + (a * b) ** 2) / 8  # the triangle between the edges' midpoints
    for bit in range(8):
        assert areas[1 << bit] == areas[255 - (1 << bit)] == pytest.approx(corner, rel=1e-5)
    assert areas[0b00001111] == pytest.approx(b * c), "the half of the first axis"
    assert areas[0b00000011] == pytest.approx(math.hypot(a, b) / 2 * c), "a bevel along the last axis"
    assert areas[0b10000001] == pytest.approx(2 * corner, rel=1e-5), "opposite corners"
    flat = element_areas((a, b))
    assert flat[0b0001] == pytest.approx(math.hypot(a, b) / 2) and flat[0b0011] == pytest.approx(b)
    assert flat[0b1001] == flat[0b0110] == pytest.approx(math.hypot(a, b))
    one = np.ones((1, 1, 1), bool)
    voxel = surface_elements(one, surface_voxels(one), (a, b, c))
    assert len(voxel.places) == 8 and voxel.areas.sum() == pytest.approx(8 * corner, rel=1e-5)


def test_pooled_hd95_equals_that_of_distance_maps() -> None:
    from scipy.ndimage import binary_erosion, distance_transform_edt

    for spacing in ((1.0, 1.0, 1.0), (3.0, 0.8, 0.5)):
        first, second = boxes(1), boxes(2)
        edges = [mask ^ binary_erosion(mask) for mask in (first, second)]
        maps = [distance_transform_edt(~edge, sampling=spacing) for edge in edges]
        expected = np.percentile(np.hstack([maps[1][edges[0]], maps[0][edges[1]]]), 95)
        assert hd95_mm(first, second, spacing, Hd95.POOLED) == pytest.approx(expected)


def test_hd95_by_area_agrees_with_surface_distance() -> None:
    package = pytest.importorskip("surface_distance", reason="not needed by anything else")
    for seed, spacing in PAIRS:
        masks = boxes(seed), boxes(seed + 5)
        distances = package.compute_surface_distances(*masks, spacing)
        expected = package.compute_robust_hausdorff(distances, 95)
        assert hd95_mm(*masks, spacing, Hd95.SURFACE) == pytest.approx(expected)


def test_hd95_by_area_equals_that_of_an_exhaustive_search() -> None:
    for seed, spacing in PAIRS:
        masks = MaskPair(boxes(seed), boxes(seed + 5), spacing)
        expected = 0.0
        for first, second in (masks.elements, masks.elements[::-1]):
            steps = (first.places[:, None] - second.places) * np.array(spacing)
            nearest = np.linalg.norm(steps, axis=2).min(axis=1)
            of_area = [first.areas[nearest <= distance].sum() for distance in np.unique(nearest)]
            enough = np.array(of_area) >= 0.95 * first.areas.sum()
            expected = max(expected, np.unique(nearest)[enough.argmax()])
        assert hd95_mm(masks.prediction, masks.reference, spacing, Hd95.SURFACE) == pytest.approx(expected)


def test_an_element_touches_the_surface_voxel_that_it_names() -> None:
    for mask in (boxes(0), boxes(3)[:, :, 9]):
        voxels = surface_voxels(mask)
        elements = surface_elements(mask, voxels, (1.0,) * mask.ndim)
        steps = elements.places - voxels[elements.voxels]
        assert steps.min() == 0 and steps.max() == 1


def test_assd_pools_the_distances_of_both_surfaces() -> None:
    # 5 of 41 voxels lie 1 ... 5 steps from the shorter line, all others of 41 + 36 on the other line
    for spacing in ((1, 1, 1), (7, 4, 2.5)):
        for masks in ((line(41), line(36)), (line(36), line(41))):
            assd = surface_scores(MaskPair(*masks, spacing), Measures())["ASSD_mm"]
            assert assd == pytest.approx(15 * spacing[2] / 77)
    assert math.isnan(surface_scores(MaskPair(line(0), line(9), (1, 1, 1)), Measures())["ASSD_mm"])


def test_assd_agrees_with_monai() -> None:
    metrics = pytest.importorskip("monai.metrics", reason="MONAI is installed with the `test` extra")
    import torch

    for seed, spacing in PAIRS:
        masks = boxes(seed), boxes(seed + 5)
        tensors = [torch.from_numpy(mask)[None, None].float() for mask in masks]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MONAI about itself
            theirs = metrics.compute_average_surface_distance(
                *tensors, include_background=True, symmetric=True, spacing=list(spacing)
            )
        ours = surface_scores(MaskPair(*masks, spacing), Measures())["ASSD_mm"]
        assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_nsd_is_the_share_of_both_surfaces_within_the_tolerance() -> None:
    # all voxels of a line are surface: 36 of 41 and 36 of 36 lie on the other, the next is 2.5 mm away
    scores = surface_scores(MaskPair(line(41), line(36), (7, 4, 2.5)), Measures(nsd_mm=(0, 2.5, 100)))
    expected = {"NSD_0mm": 72 / 77, "NSD_2.5mm": 73 / 77, "NSD_100mm": 1}
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_nsd_agrees_with_monai() -> None:
    metrics = pytest.importorskip("monai.metrics", reason="MONAI is installed with the `test` extra")
    import torch

    for seed, spacing in PAIRS:
        masks = boxes(seed), boxes(seed + 5)
        ours = surface_scores(MaskPair(*masks, spacing), Measures(nsd_mm=(0.5, 1, 4)))
        tensors = [torch.from_numpy(mask)[None, None].float() for mask in masks]
        for tolerance in (0.5, 1, 4):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of MONAI about itself
                theirs = metrics.compute_surface_dice(
                    *tensors, [tolerance], include_background=True, spacing=list(spacing)
                )
            assert ours[f"NSD_{tolerance:g}mm"] == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize("policy", RULES)
def test_every_policy_scores_empty_masks_as_in_its_table(policy: EmptyPolicy) -> None:
    rows = [
        {"TP": 0, "FP": predicted, "FN": true, "TN": 9} | dict.fromkeys(("HD95_mm", "ASSD_mm", "NSD_1mm"), math.nan)
        for true, predicted in ((0, 0), (0, 3), (5, 0))  # both empty, only the reference, only the prediction
    ]
    scores = add_scores(pd.DataFrame(rows).assign(voxel_ml=1e-3, diagonal_mm=42.0, diagonal_voxels=7.0), policy)
    for name, column in (("HD95", "HD95_mm"), ("NSD", "NSD_1mm"), *((name, name) for name in ("Dice", "Precision"))):
        diagonals = {DIAGONAL: 42, VOXEL_DIAGONAL: 7}
        expected = [diagonals[value] if isinstance(value, str) else value for value in RULES[policy][name]]
        np.testing.assert_array_equal(scores[column], expected)
    np.testing.assert_array_equal(scores["ASSD_mm"], scores["HD95_mm"])
    assert f"policy {policy}:" in policy.describe()


@pytest.mark.parametrize("policy", RULES)
def test_every_surface_score_has_a_rule_for_empty_masks(policy: EmptyPolicy) -> None:
    """Without a rule, a missed region would have no score and would not count as a failure."""
    scores = surface_scores(MaskPair(np.zeros((2, 2), bool), np.ones((2, 2), bool), (1, 1)), Measures(nsd_mm=(1,)))
    assert {column.partition("_")[0] for column in scores} <= set(rules_of(policy))


def test_the_challenges_use_their_documented_policies() -> None:
    assert RULES[EmptyPolicy.BRATS_2023]["HD95"] == (0, 374, 374) and RULES[EmptyPolicy.BRATS_2023]["Dice"] == (1, 0, 0)
    assert RULES[EmptyPolicy.BRATS_2024_GLI] == {**RULES[EmptyPolicy.BRATS_2023], "HD95": (0, 337, 337)}
    assert "HD95 and ASSD are the diagonal of the volume in voxels" in EmptyPolicy.BRATS_2024_MEN_RT.describe()
    newest = RULES[EmptyPolicy.BRATS_2026]
    assert newest["Dice"] == (LEFT_OUT, 0, 0) and newest["HD95"] == (LEFT_OUT, 373, 373)
    assert EmptyPolicy.BRATS_2023.describe() == (
        "Empty masks, policy brats2023: where both masks are empty, Dice, Precision, Sensitivity and NSD are 1, HD95 "
        "and ASSD are 0 mm; where only the reference is empty and where only the prediction is empty, Dice, Precision, "
        "Sensitivity and NSD are 0, HD95 and ASSD are 374 mm."
    )
