"""Scores, Table 1 and Figure 3, on counts and volumes derived by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation import figures
from segan_nnunet.evaluation.comparison import compare, shown_channel
from segan_nnunet.evaluation.scores import case_id, dice, precision, sensitivity
from segan_nnunet.evaluation.table import markdown, summarise

NAME = "Dataset001_Tiny"
DATASET = {
    "channel_names": {"0": "T1c", "1": "T2", "2": "FLAIR"},
    "labels": {"background": 0, "whole tumor": [1, 2], "tumor core": 2},
    "file_ending": ".mha",
}


def test_scores_by_hand() -> None:
    # |P| = 8, |T| = 10, |P ∩ T| = 6; then an empty prediction, an empty reference, and both empty
    tp, fp, fn = pd.Series([6, 0, 0, 0]), pd.Series([2, 0, 3, 0]), pd.Series([4, 5, 0, 0])
    np.testing.assert_allclose(dice(tp, fp, fn), [12 / 18, 0, 0, math.nan])
    np.testing.assert_allclose(precision(tp, fp), [6 / 8, math.nan, 0, math.nan])
    np.testing.assert_allclose(sensitivity(tp, fn), [6 / 10, 0, math.nan, math.nan])


def test_case_ids_of_all_file_endings() -> None:
    assert case_id(Path("a/brats.1_x.nii.gz")) == "brats.1_x"
    assert case_id(Path("brats.1_x.mha")) == "brats.1_x"


def cubes(*sides: int) -> np.ndarray:
    """Nested cubes in a volume of 10x10x10: label 1 in the first, label 2 in the second."""
    volume = np.zeros((10, 10, 10), np.uint8)
    for label, side in enumerate(sides, start=1):
        volume[1 : 1 + side, 1 : 1 + side, 1 : 1 + side] = label
    return volume


def write_volume(path: Path, volume: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(volume), str(path))


def counts(reference: np.ndarray, prediction: np.ndarray) -> dict[str, int]:
    return {
        "TP": int((reference & prediction).sum()),
        "FP": int((~reference & prediction).sum()),
        "FN": int((reference & ~prediction).sum()),
    }


def validate(folders: Path, model: str, fold: int, predictions: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Leave behind what nnU-Net leaves after a validation: predictions and summary.json."""
    validation = folders / "nnUNet_results" / NAME / model / f"fold_{fold}" / "validation"
    cases = []
    for case, (reference, prediction) in predictions.items():
        write_volume(validation / f"{case}.mha", prediction)
        write_volume(folders / "nnUNet_preprocessed" / NAME / "gt_segmentations" / f"{case}.mha", reference)
        for channel in range(3):
            image = np.random.default_rng(0).integers(1, 9, (10, 10, 10)).astype(np.int16)
            write_volume(folders / "nnUNet_raw" / NAME / "imagesTr" / f"{case}_{channel:04d}.mha", image)
        metrics = {
            "(1, 2)": counts(reference > 0, prediction > 0),
            "2": counts(reference == 2, prediction == 2),
        }
        # nnU-Net writes the path on the machine that validated, which may not be this one
        cases.append({"metrics": metrics, "prediction_file": f"/elsewhere/{case}.mha"})
    (validation / "summary.json").write_text(json.dumps({"metric_per_case": cases}))


@pytest.fixture
def validated(nnunet_folders: Path) -> Path:
    preprocessed = nnunet_folders / "nnUNet_preprocessed" / NAME
    preprocessed.mkdir(parents=True)
    (preprocessed / "dataset.json").write_text(json.dumps(DATASET))
    perfect = (cubes(4, 2), cubes(4, 2))
    larger = (cubes(2, 1), cubes(4, 1))  # whole tumour 8 voxels, predicted 64: Dice 16/72, precision 1/8, sensitivity 1
    no_core = (cubes(4, 2), cubes(4))  # core 8 voxels, predicted none
    for model, second in (("SegAN__SegANPlans__2d", larger), ("UNet__SegANPlans__2d", no_core)):
        validate(nnunet_folders, model, 0, {"a": perfect})
        validate(nnunet_folders, model, 1, {"b": second})
    return nnunet_folders


def test_comparison_end_to_end_by_geometry(validated: Path) -> None:
    made = compare(1, trainers=["UNet", "SegAN"])
    assert [path.name for path in made.files] == ["table1.md", "table1.csv", "cases.csv", "figure3.png"]
    table = pd.read_csv(made.files[1]).set_index(["method", "score", "region"])
    expected = {
        ("SegAN", "Dice", "whole tumor"): (1 + 16 / 72) / 2,
        ("SegAN", "Precision", "whole tumor"): (1 + 1 / 8) / 2,
        ("SegAN", "Sensitivity", "whole tumor"): 1.0,
        ("SegAN", "Dice", "tumor core"): 1.0,
        ("UNet", "Dice", "whole tumor"): 1.0,
        ("UNet", "Dice", "tumor core"): 0.5,
        ("UNet", "Precision", "tumor core"): 1.0,  # of one case: the other predicts no core
        ("UNet", "Sensitivity", "tumor core"): 0.5,
    }
    for key, value in expected.items():
        assert table.loc[key, "mean"] == pytest.approx(value), key
    assert table.loc[("UNet", "Precision", "tumor core"), "cases"] == 1
    lines = made.table.splitlines()
    assert lines[2].startswith("| UNet | **1.000** | 0.500 |"), "in the order asked for, the best in bold"
    assert "Mean over 2 cases (validation cases of Dataset001_Tiny, folds 0, 1" in made.table
    assert "both empty" in made.table
    assert "UNet, Precision tumor core: 1" in made.table
    assert len(pd.read_csv(made.files[2])) == 2 * 2 * 2  # methods, cases, regions
    assert made.files[3].stat().st_size > 10_000


def test_different_cases_are_refused_with_the_difference(validated: Path) -> None:
    validate(validated, "SegAN__SegANPlans__2d", 2, {"c": (cubes(4, 2), cubes(4, 2))})
    with pytest.raises(InputError, match=r"UNet lacks 1 cases \(of fold 2\): c\. Train the missing folds"):
        compare(1)
    assert "folds 0, 1" in compare(1, folds=[0, 1]).table


def test_methods_with_other_plans_are_told_apart(validated: Path) -> None:
    for fold, case in enumerate("ab"):
        validate(validated, "SegAN__nnUNetPlans__2d", fold, {case: (cubes(4, 2), cubes(4, 2))})
    table = compare(1).table
    assert "| SegAN (SegANPlans) |" in table and "| SegAN (nnUNetPlans) |" in table
    assert "nnUNetPlans" not in compare(1, plans=["SegANPlans"]).table


def test_missing_trainers_and_validations_are_named(validated: Path) -> None:
    with pytest.raises(InputError, match=r"no validated fold of Typo.*Validated: SegAN -p SegANPlans, UNet"):
        compare(1, trainers=["Typo"])
    with pytest.raises(InputError, match="no validated model of configuration 3d_fullres"):
        compare(1, configuration="3d_fullres")
    with pytest.raises(InputError, match=r"fold_4.*has not finished.*--c"):
        compare(1, folds=[4])


def test_the_only_method_is_not_marked_best() -> None:
    scores = pd.DataFrame(
        {"method": ["A"], "case": ["x"], "region": ["r"], "Dice": [0.5], "Precision": [0.5], "Sensitivity": [math.nan]}
    )
    table = markdown(summarise(scores), ["r"], 1, "test")
    assert "| A | 0.500 | 0.500 | – |" in table


def test_t2_is_shown_or_else_the_last_channel() -> None:
    assert shown_channel({"0": "T1c", "1": "T2", "2": "FLAIR"}) == (1, "T2")
    assert shown_channel({"0": "T1c", "1": "FLAIR"}) == (1, "FLAIR")


def test_the_slice_with_the_largest_reference() -> None:
    mask = np.zeros((5, 4, 4), bool)
    mask[1, 0, 0] = mask[3, :2, 0] = True
    assert figures.largest_slice(mask) == 3
    assert figures.largest_slice(np.zeros((5, 4, 4), bool)) == 2


def test_outlines_are_drawn_in_the_paper_s_colours() -> None:
    volume = cubes(6, 2)
    panel = figures.Panel("a", np.ones((10, 10, 10)), volume, {"M": volume}, {"M": "M"})
    figure = figures.figure3([panel], {"whole": [1, 2], "core": [2]}, "T2")
    axes = figure.axes
    assert [len(a.collections) for a in axes] == [0, 2, 2]  # modality, reference, method
    drawn = axes[1].collections[0]
    yellow = np.atleast_2d(np.asarray(drawn.get_edgecolor()))[0, :3]
    np.testing.assert_allclose(yellow, (1.0, 224 / 255, 0.0))
    corners = drawn.get_paths()[0].get_extents()
    # the cube takes up voxels 1 to 6: its border runs from 0.5 to 6.5
    np.testing.assert_allclose([corners.x0, corners.y0, corners.x1, corners.y1], [0.5, 0.5, 6.5, 6.5], atol=0.08)
