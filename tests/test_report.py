"""The content of the pictures and of the data for the report's viewer and case list."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from PIL import Image

from segan_nnunet.evaluation.methods.training import TrainingLog
from segan_nnunet.evaluation.presentation.figures.bars import figure2
from segan_nnunet.evaluation.presentation.figures.curves import training_curves
from segan_nnunet.evaluation.presentation.figures.overlays import borders, figure3
from segan_nnunet.evaluation.presentation.figures.points import distributions, sideways
from segan_nnunet.evaluation.presentation.figures.style import REGION_COLOURS, method_styles
from segan_nnunet.evaluation.presentation.figures.volumes import limits_of_agreement, volume_agreement
from segan_nnunet.evaluation.presentation.report.page import case_list_data
from segan_nnunet.evaluation.presentation.report.slices import data_url, sheet, viewer_data
from segan_nnunet.evaluation.presentation.shown_cases import (
    NO_IMAGE,
    ShownCase,
    chosen_cases,
    largest_slice,
    shown_modalities,
    shown_modality,
)
from segan_nnunet.evaluation.scores.scores import SCORES, TABLE_1
from segan_nnunet.evaluation.statistics.summary import summarise
from tests.hand_made_results import REGIONS, cubes
from tests.hand_made_scores import scores_of

pytestmark = pytest.mark.usefixtures("quick_correction")


def shown_case() -> ShownCase:
    volume = cubes(6, 2)
    images = {"T1c": np.ones((10, 10, 10)), "T2": np.ones((10, 10, 10)), "FLAIR": np.arange(1000).reshape(10, 10, 10)}
    return ShownCase("a", "best", images, volume, {"M": volume}, {"M": {"whole tumor": 1.0, "tumor core": np.nan}})


def test_best_median_and_worst_case_are_shown() -> None:
    scores = pd.DataFrame({"case": list("abcde"), "Dice": [0.5, 0.9, np.nan, 0.1, 0.7]})
    assert chosen_cases(scores) == {"best": "b", "median": "a", "worst": "d"}
    assert chosen_cases(scores[:2]) == {"best": "b", "worst": "a"}
    assert chosen_cases(scores[:1]) == {"best": "a"}
    assert chosen_cases(scores[2:3]) == {}


def test_the_figure_shows_t2_or_else_the_last_channel() -> None:
    assert shown_modality({"T1c": 0, "T2": 0, "FLAIR": 0}) == "T2"
    assert shown_modality({"T1c": 0, "FLAIR": 0}) == "FLAIR"


def test_the_figure_also_shows_t1c() -> None:
    assert shown_modalities({"FLAIR": 0, "T2": 0, "T1c": 0}) == ["T1c", "T2"]
    assert shown_modalities({"T1ce": 0, "FLAIR": 0}) == ["T1ce", "FLAIR"]
    assert shown_modalities({"FLAIR": 0}) == ["FLAIR"]
    assert shown_modalities({"T1c": 0}) == ["T1c"]


def test_the_figure_shows_the_slice_with_the_largest_reference() -> None:
    mask = np.zeros((5, 4, 4), bool)
    mask[1, 0, 0] = mask[3, :2, 0] = True
    assert largest_slice(mask) == 3
    assert largest_slice(np.zeros((5, 4, 4), bool)) == 2


def test_outlines_have_the_colours_of_the_paper() -> None:
    axes = figure3([shown_case()], REGIONS).axes
    assert [len(a.collections) for a in axes] == [0, 0, 2, 2]  # T1c, T2, reference, method
    assert [a.get_title() for a in axes[:2]] == ["best: a\nT1c, slice 2", "T2, slice 2"]
    drawn = axes[2].collections[0]
    yellow = np.atleast_2d(np.asarray(drawn.get_edgecolor()))[0, :3]
    np.testing.assert_allclose(yellow, to_rgb(REGION_COLOURS[0]))
    # the cube takes up voxels 1 to 6: its border runs from 0.5 to 6.5
    corners = np.concatenate([path.vertices for path in drawn.get_paths()])
    np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], [[0.5, 0.5], [6.5, 6.5]])
    assert len(drawn.get_paths()) == 4 * 6
    assert axes[3].get_title() == "M\nDice 1.00 –"


def test_a_case_without_images_has_no_image_panels() -> None:
    alone = replace(shown_case(), images={NO_IMAGE: np.zeros((10, 10, 10))})
    axes = figure3([alone], REGIONS).axes
    assert [a.get_title() for a in axes] == ["best: a\nreference, slice 2", "M\nDice 1.00 –"]
    drawn = figure3([shown_case(), alone], REGIONS).axes
    assert [len(a.images) for a in drawn] == [1] * 6, "two modalities of one case, reference and method of both"


def test_the_border_of_a_voxel_has_four_edges() -> None:
    mask = np.zeros((3, 4), bool)
    mask[0, 2] = True  # at y = 0, x = 2, on the volume's border
    edges = {tuple(map(tuple, np.sort(edge, axis=0))) for edge in borders(mask)}
    low, high, left, right = -0.5, 0.5, 1.5, 2.5
    expected = [((left, low), (right, low)), ((left, high), (right, high))]
    expected += [((left, low), (left, high)), ((right, low), (right, high))]
    assert edges == set(expected)
    assert len(borders(np.zeros((3, 3), bool))) == 0


def test_the_height_of_a_bar_equals_the_mean() -> None:
    scores = scores_of({"A": [0.2, 0.4], "B": [0.6, 0.8]})
    patches = figure2(summarise(scores), ["whole tumor", "tumor core"]).axes[0].patches
    bars = [patch for patch in patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() for bar in bars] == pytest.approx([0.3, 0.3, 0.7, 0.7])
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    assert centres[0] < 0 < centres[2] and centres[1] < 1 < centres[3], "side by side around their region"


def test_every_case_is_a_point_at_its_value() -> None:
    values = [0.2, 0.4, 0.4, 0.9]
    scores = scores_of({"A": values, "B": [0.5] * 4}).assign(prediction_ml=1.0, reference_ml=1.0)
    scores.loc[(scores["method"] == "A") & (scores["case"] == "c3"), "prediction_ml"] = 0.0
    axes = distributions(scores, ["tumor core"], TABLE_1[:1]).axes[0]
    first, second = (np.asarray(points.get_offsets()) for points in axes.collections)
    hollow = [np.asarray(points.get_linewidth()) > 0 for points in axes.collections]
    assert list(first[hollow[0], 1]) == [0.9] and not hollow[1].any(), "what was missed is hollow"
    np.testing.assert_allclose(np.sort(first[:, 1]), values)
    assert len(np.unique(second[:, 0])) == 4, "equal cases lie side by side"
    assert axes.get_title() == "tumor core"
    np.testing.assert_allclose(sideways(np.array([1.0, 1.0, 1.0])).sum(), 0, atol=1e-12)


def test_limits_of_agreement_equal_values_computed_by_hand() -> None:
    low, bias, high = limits_of_agreement(np.array([-1.0, 0.0, 4.0]))
    assert bias == 1
    assert (low, high) == pytest.approx((1 - 1.96 * np.sqrt(7), 1 + 1.96 * np.sqrt(7)))  # (4 + 1 + 9) / 2 = 7
    scores = scores_of({"A": [0.5, 0.5]}).assign(prediction_ml=3.0, reference_ml=1.0)
    panel = volume_agreement(scores, ["tumor core"]).axes[0]
    np.testing.assert_allclose(np.asarray(panel.collections[0].get_offsets()), [[2, 2], [2, 2]])  # mean, difference


def test_training_curves_show_every_fold_and_region() -> None:
    log = TrainingLog(np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]), np.array([3.0, 2, 1]), np.array([3.0, 3, 3]))
    figure = training_curves({"A": [log, log], "B": [log]}, ["whole", "core"])
    above_a, above_b, below_a, _ = figure.axes
    assert [len(axes.lines) for axes in (above_a, above_b, below_a)] == [4, 2, 4]
    np.testing.assert_allclose(np.asarray(above_a.lines[1].get_xydata()), np.array([[1, 0.2], [2, 0.4], [3, 0.6]]))


def test_eight_methods_have_different_looks() -> None:
    different = method_styles([f"M{index}" for index in range(8)]).values()
    assert all(len(set(kind)) == 8 for kind in zip(*different, strict=True))


def test_a_sheet_has_every_slice_in_order() -> None:
    volume = np.random.default_rng(0).integers(0, 255, (7, 4, 5), dtype=np.uint8)
    pixels = sheet(volume, columns=3)
    assert pixels.shape == (3 * 4, 3 * 5)
    for index in range(7):
        row, column = divmod(index, 3)
        np.testing.assert_array_equal(pixels[4 * row : 4 * row + 4, 5 * column : 5 * column + 5], volume[index])
    encoded = data_url(pixels, "PNG").partition("base64,")[2]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), pixels)


def test_the_viewer_gets_every_modality_segmentation_and_region() -> None:
    data = viewer_data([replace(shown_case(), sides=True)], REGIONS)
    case = json.loads(json.dumps(data))["cases"][0]
    assert set(case["images"]) == {"T1c", "T2", "FLAIR"} and set(case["segmentations"]) == {"reference", "M"}
    assert case["sides"] is True, "left and right can be told, as in the figures"
    assert case["shown"] == "T2" and case["dice"]["M"]["tumor core"] is None
    assert (case["depth"], case["height"], case["width"], case["first"]) == (10, 10, 10, 0)
    assert [region["values"] for region in data["regions"]] == [[1, 2], [2]]


def test_the_list_of_cases_has_every_score() -> None:
    scores = scores_of({"A": [0.12345, np.nan], "B": [0.5, 0.25]}).assign(fold=pd.array([3] * 12, "Int64"), grade="")
    data = json.loads(json.dumps(case_list_data(scores, SCORES)))
    assert (data["methods"], data["about"], data["cases"]) == (["A", "B"], ["fold"], [["c0", "3"], ["c1", "3"]])
    assert [score["title"] for score in data["scores"]][:2] == ["Dice", "Precision"]
    assert data["regions"][1] == "tumor core"
    assert data["values"][0][1] == [[0.123, 0.5], [None, 0.25]], "Dice of the core: cases x methods, rounded as shown"
