"""Scores of one region for counts and volumes. Expected values come from hand calculation or geometry."""

import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segan_nnunet.data.labelling import Labelling
from segan_nnunet.data.volumes import read_labels
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.measurement import Case, measure, measure_case
from segan_nnunet.evaluation.scores.scores import (
    FURTHER,
    VOLUMES,
    add_scores,
    confusion_matrix,
    dice,
    precision,
    region_counts,
    sensitivity,
    specificity,
)
from segan_nnunet.evaluation.scores.surfaces import surface_voxels
from tests.hand_made_results import cubes, write_volume
from tests.hand_made_scores import hd95_mm

LABELLING = Labelling({"whole": (1, 2), "core": (2,)}, (0, 1, 2), None, ("T2",), ".mha")


def test_overlap_scores_equal_values_computed_by_hand() -> None:
    # |P| = 8, |T| = 10, |P ∩ T| = 6; then an empty prediction, an empty reference, and both empty
    tp, fp, fn = pd.Series([6, 0, 0, 0]), pd.Series([2, 0, 3, 0]), pd.Series([4, 5, 0, 0])
    np.testing.assert_allclose(dice(tp, fp, fn), [12 / 18, 0, 0, math.nan])
    np.testing.assert_allclose(precision(tp, fp), [6 / 8, math.nan, 0, math.nan])
    np.testing.assert_allclose(sensitivity(tp, fn), [6 / 10, 0, math.nan, math.nan])
    # of 20 voxels outside the reference 2 are predicted; then a reference that fills the volume
    np.testing.assert_allclose(specificity(pd.Series([18, 0]), pd.Series([2, 0])), [0.9, math.nan])


def test_region_counts_are_sums_of_the_confusion_matrix() -> None:
    reference = np.array([0, 0, 1, 1, 2, 2, 2, 3])
    prediction = np.array([0, 1, 1, 2, 2, 0, 1, 2])
    values = (0, 1, 2, 3)
    confusion = confusion_matrix(reference, prediction, values)
    assert confusion.sum() == 8 and confusion[2, 1] == 1 and confusion[1, 2] == 1
    assert region_counts(confusion, values, (1, 2, 3)) == {"TP": 5, "FP": 1, "FN": 1, "TN": 1}
    assert region_counts(confusion, values, (2,)) == {"TP": 1, "FP": 2, "FN": 2, "TN": 3}
    # with 3 ignored the last voxel is nowhere
    assert region_counts(confusion, values, (1, 2), ignore_value=3) == {"TP": 4, "FP": 1, "FN": 1, "TN": 1}


def test_the_surface_has_the_voxels_with_a_neighbour_outside() -> None:
    cube = cubes(4) > 0
    assert len(surface_voxels(cube)) == 4**3 - 2**3
    one = np.zeros((3, 3), bool)
    one[1, 2] = True
    np.testing.assert_array_equal(surface_voxels(one), [[1, 2]])
    assert len(surface_voxels(np.ones((3, 3, 3), bool))) == 26, "the volume's border is a border"


@pytest.mark.parametrize(
    ("offset", "spacing_mm", "distance"),
    [
        ((0, 3, 4), (1, 1, 1), 5),  # 3-4-5
        ((2, 3, 0), (6, 3, 1), 15),  # 2 slices of 6 mm, 3 rows of 3 mm: 12-9-15
        ((0, 3, 0), (6, 3, 1), 9),
        ((0, 0, 0), (6, 3, 1), 0),
    ],
)
def test_hd95_of_two_voxels_is_their_distance(
    offset: tuple[int, ...], spacing_mm: tuple[float, ...], distance: float
) -> None:
    first, second = np.zeros((8, 8, 8), bool), np.zeros((8, 8, 8), bool)
    first[1, 1, 1] = second[1 + offset[0], 1 + offset[1], 1 + offset[2]] = True
    assert hd95_mm(first, second, spacing_mm) == pytest.approx(distance)


def test_hd95_of_a_shifted_slab_is_the_shift() -> None:
    # every voxel of a slab one slice thick has its nearest twin straight above it
    first, second = np.zeros((9, 12, 12), bool), np.zeros((9, 12, 12), bool)
    first[2], second[5] = True, True
    assert hd95_mm(first, second, (2.5, 1, 1)) == pytest.approx(3 * 2.5)


def test_hd95_excludes_the_farthest_twentieth_and_uses_the_worse_direction() -> None:
    # 41 voxels in a row; the reference lacks the last k: these lie 1 ... k from its end, all others at 0
    line, shorter = np.zeros((1, 1, 50), bool), np.zeros((1, 1, 50), bool)
    line[..., :41] = True
    for missing, expected in ((2, 0), (10, 8)):  # the 95th percentile of 41 values is the 39th: the third from the end
        shorter[:] = False
        shorter[..., : 41 - missing] = True
        assert hd95_mm(line, shorter, (1, 1, 1)) == pytest.approx(expected)
        assert hd95_mm(shorter, line, (1, 1, 1)) == pytest.approx(expected), "symmetric"


def test_hd95_agrees_with_monai() -> None:
    metrics = pytest.importorskip("monai.metrics", reason="MONAI is installed with the `test` extra")
    import torch

    random = np.random.default_rng(0)
    for spacing_mm in ((1.0, 1.0, 1.0), (3.0, 0.8, 0.5)):
        masks = [np.zeros((20, 24, 22), bool) for _ in range(2)]
        for mask in masks:
            for _ in range(4):  # a few overlapping boxes
                low = random.integers(1, 12, 3)
                mask[tuple(slice(a, a + b) for a, b in zip(low, random.integers(2, 8, 3), strict=True))] = True
        tensors = [torch.from_numpy(mask)[None, None] for mask in masks]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MONAI about itself
            theirs = metrics.compute_hausdorff_distance(
                *tensors, include_background=True, percentile=95, spacing=list(spacing_mm)
            )
        assert hd95_mm(masks[0], masks[1], spacing_mm) == pytest.approx(float(theirs), rel=1e-5)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Write voxels of 2 x 1 x 3 mm. Whole: a cube of 4 against 2. Core: both masks or one mask empty, per method."""
    spacing_xyz = (3, 1, 2)
    write_volume(tmp_path / "reference.mha", cubes(4), spacing_xyz)
    write_volume(tmp_path / "small.mha", cubes(2), spacing_xyz)
    write_volume(tmp_path / "with_core.mha", cubes(4, 1), spacing_xyz)
    write_volume(tmp_path / "nothing.mha", cubes(), spacing_xyz)
    predictions = {name: tmp_path / f"{name}.mha" for name in ("small", "with_core", "nothing")}
    return Case("a", tmp_path / "reference.mha", predictions)


def test_all_scores_of_a_case_equal_values_from_geometry(case: Case) -> None:
    scores = add_scores(measure([case], LABELLING), EmptyPolicy.NNUNET).set_index(["method", "region"])
    small = scores.loc[("small", "whole")]
    assert (small["TP"], small["FP"], small["FN"], small["TN"]) == (8, 0, 56, 936)
    assert small["Dice"] == pytest.approx(16 / 72)
    assert small["Precision"] == 1 and small["Specificity"] == 1
    assert small["Sensitivity"] == pytest.approx(1 / 8)
    assert small["prediction_ml"] == pytest.approx(8 * 6 / 1000)  # voxels of 6 mm³
    assert small["reference_ml"] == pytest.approx(64 * 6 / 1000)
    assert small["VolumeDifference_ml"] == pytest.approx(56 * 6 / 1000)
    assert small["SignedVolumeDifference_ml"] == pytest.approx(-56 * 6 / 1000)
    assert small["RelativeVolumeDifference"] == pytest.approx((8 - 64) / 64)
    # the cube of 4 has 56 surface voxels; from its far corner the nearest voxel of the cube of 2 is 2 steps along each
    # axis away, sqrt(4² + 2² + 6²); 3 of 56 voxels may be left out, and more than those share the farthest x and z
    assert math.hypot(4, 6) <= small["HD95_mm"] <= math.hypot(4, 2, 6)
    perfect = scores.loc[("with_core", "whole")]
    assert (perfect["Dice"], perfect["HD95_mm"], perfect["VolumeDifference_ml"]) == (1, 0, 0)


def test_both_policies_score_empty_masks_as_documented(case: Case) -> None:
    measured = measure([case], LABELLING)
    policies = (EmptyPolicy.NNUNET, EmptyPolicy.BRATS)
    left_out, brats = (add_scores(measured, policy).set_index(["method", "region"]) for policy in policies)
    overlaps = ["Dice", "Precision", "Sensitivity"]
    both, one_reference, one_prediction = ("small", "core"), ("with_core", "core"), ("nothing", "whole")
    assert left_out.loc[both, [*overlaps, "HD95_mm"]].isna().all()
    assert left_out.loc[one_reference, overlaps].isna().tolist() == [False, False, True]
    assert left_out.loc[one_prediction, overlaps].tolist() == [0, 0, 0], "a miss fails in every score"
    assert math.isnan(left_out.loc[one_reference, "HD95_mm"])
    assert left_out.loc[one_prediction, "HD95_mm"] == pytest.approx(10 * math.hypot(3, 1, 2))
    assert brats.loc[both, overlaps].tolist() == [1, 1, 1] and brats.loc[both, "HD95_mm"] == 0
    diagonal = 10 * math.hypot(3, 1, 2)
    for row in (one_reference, one_prediction):
        assert brats.loc[row, overlaps].tolist() == [0, 0, 0]
        assert brats.loc[row, "HD95_mm"] == pytest.approx(diagonal)
    # what is not empty is the same under both, and so are specificity and volumes everywhere
    assert brats.loc[("small", "whole"), overlaps].tolist() == left_out.loc[("small", "whole"), overlaps].tolist()
    for column in ("Specificity", *(score.column for score in (FURTHER[-1], *VOLUMES))):
        np.testing.assert_array_equal(brats[column], left_out[column])
    assert brats["RelativeVolumeDifference"].isna().tolist() == [region == "core" for _, region in brats.index]
    assert brats.loc[one_prediction, "RelativeVolumeDifference"] == -1
    assert brats.loc[one_reference, "SignedVolumeDifference_ml"] == pytest.approx(1 * 6 / 1000)
    assert left_out.loc[one_prediction, "VolumeDifference_ml"] == pytest.approx(64 * 6 / 1000)


def test_the_worst_distance_of_brats_is_the_diagonal_of_its_volumes() -> None:
    diagonal = math.hypot(240, 240, 155)
    row = {
        "TP": 0,
        "FP": 1,
        "FN": 0,
        "TN": 5,
        "HD95_mm": math.nan,
        "voxel_ml": 1e-3,
        "diagonal_mm": diagonal,
    }
    assert add_scores(pd.DataFrame([row]), EmptyPolicy.BRATS)["HD95_mm"].item() == pytest.approx(373.13, abs=0.005)


def test_no_score_counts_ignored_voxels(tmp_path: Path) -> None:
    reference, prediction = cubes(4), cubes(4)
    reference[9], prediction[9, 9, 9] = 3, 1  # a whole slice is not labelled; there the prediction says tumour
    write_volume(tmp_path / "r.mha", reference)
    write_volume(tmp_path / "p.mha", prediction)
    labelling = Labelling({"whole": (1, 2)}, (0, 1, 2, 3), 3, ("T2",), ".mha")
    rows, problems, *_ = measure_case(Case("a", tmp_path / "r.mha", {"m": tmp_path / "p.mha"}), labelling)
    assert not problems
    assert (rows[0]["TP"], rows[0]["FP"], rows[0]["FN"], rows[0]["TN"]) == (64, 0, 0, 836)
    assert rows[0]["HD95_mm"] == 0


def test_several_processes_measure_the_same_as_one(tmp_path: Path) -> None:
    cases = []
    for index in range(9):
        write_volume(tmp_path / f"r{index}.mha", cubes(4, 2))
        write_volume(tmp_path / f"p{index}.mha", cubes(index, 1))
        cases.append(Case(f"c{index}", tmp_path / f"r{index}.mha", {"m": tmp_path / f"p{index}.mha"}))
    pd.testing.assert_frame_equal(measure(cases, LABELLING, processes=2), measure(cases, LABELLING, processes=1))


def test_labels_of_any_number_type_are_read(tmp_path: Path) -> None:
    expected = cubes(4, 2)
    for kind in (np.uint8, np.int16, np.float32):
        write_volume(tmp_path / "a.mha", expected.astype(kind))
        np.testing.assert_array_equal(read_labels(tmp_path / "a.mha", LABELLING).voxels, expected)
    for wrong in (-1, 257, math.nan):
        volume = expected.astype(np.float32)
        volume[0, 0, 0] = wrong  # 257 and 1 are the same in 8 bits
        write_volume(tmp_path / "a.mha", volume)
        with pytest.raises(InputError, match=f"unknown label {wrong:g}"):
            read_labels(tmp_path / "a.mha", LABELLING)


def test_two_dimensional_volumes_are_scored(tmp_path: Path) -> None:
    write_volume(tmp_path / "r.mha", cubes(4)[2], (1, 1))
    write_volume(tmp_path / "p.mha", np.roll(cubes(4)[2], 2, axis=1), (1, 1))
    scores = measure([Case("a", tmp_path / "r.mha", {"m": tmp_path / "p.mha"})], LABELLING)
    whole = scores[scores["region"] == "whole"].iloc[0]
    assert (whole["TP"], whole["FP"], whole["FN"], whole["TN"]) == (8, 8, 8, 76)
    assert whole["HD95_mm"] == 2
