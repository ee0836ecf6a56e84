"""Scores per case and region, from what nnU-Net wrote when it validated.

TP, FP, FN are numbers of voxels of a region: in both segmentations, in the prediction only, in the reference only.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from segan_nnunet.errors import InputError

SCORES = ("Dice", "Precision", "Sensitivity")
EMPTY_RULE = (
    "A score is left out where it is undefined: Dice where reference and prediction are both empty, "
    "precision where the prediction is empty, sensitivity where the reference is empty."
)


def dice(tp: pd.Series, fp: pd.Series, fn: pd.Series) -> pd.Series:
    """Dice = 2|P ∩ T| / (|P| + |T|) (Eq. 14), in [0, 1]; NaN where both are empty."""
    return ratio(2 * tp, 2 * tp + fp + fn)


def precision(tp: pd.Series, fp: pd.Series) -> pd.Series:
    """Precision = |P ∩ T| / |P|, in [0, 1]; NaN where the prediction is empty."""
    return ratio(tp, tp + fp)


def sensitivity(tp: pd.Series, fn: pd.Series) -> pd.Series:
    """Sensitivity = |P ∩ T| / |T|, in [0, 1]; NaN where the reference is empty."""
    return ratio(tp, tp + fn)


def ratio(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    """Divide; NaN where the denominator is 0."""
    return numerator / denominator.where(denominator > 0, np.nan)


def region_names(dataset_json: Path) -> dict[str, str]:
    """Map nnU-Net's keys of regions in summary.json, such as "(1, 2, 3)" or "4", to the dataset's names of them."""
    labels = json.loads(dataset_json.read_text())["labels"]
    return {
        str(tuple(value) if isinstance(value, list) else value): name
        for name, value in labels.items()
        if name not in ("background", "ignore")
    }


def read_fold(fold_folder: Path, names: dict[str, str]) -> pd.DataFrame:
    """Read one fold's validation.

    Returns:
        One row per case and region: case, region, TP, FP, FN, Dice, Precision, Sensitivity, prediction (a file).

    Raises:
        InputError: the fold is not validated, or its summary is of other regions than the dataset's.
    """
    path = fold_folder / "validation" / "summary.json"
    if not path.is_file():
        raise InputError(f"{path} is missing: the training has not finished, or its validation; run it again with --c")
    rows = []
    for case in json.loads(path.read_text())["metric_per_case"]:
        prediction = fold_folder / "validation" / Path(case["prediction_file"]).name
        if unknown := set(case["metrics"]) - set(names):
            raise InputError(f"{path} has scores of {', '.join(sorted(unknown))}, which dataset.json does not know")
        for key, metrics in case["metrics"].items():
            counts = {count: metrics[count] for count in ("TP", "FP", "FN")}
            rows.append({"case": case_id(prediction), "region": names[key], **counts, "prediction": str(prediction)})
    table = pd.DataFrame(rows)
    table["Dice"] = dice(table["TP"], table["FP"], table["FN"])
    table["Precision"] = precision(table["TP"], table["FP"])
    table["Sensitivity"] = sensitivity(table["TP"], table["FN"])
    return table


def case_id(path: Path) -> str:
    """Return the case of a segmentation file: its name without .nii.gz, .mha, ..."""
    return path.name.removesuffix(".gz").rpartition(".")[0]


def read_model(model_folder: Path, folds: Sequence[int], names: dict[str, str]) -> pd.DataFrame:
    """Read the validations of several folds of one model; as `read_fold`, with a column `fold`."""
    return pd.concat(
        [read_fold(model_folder / f"fold_{fold}", names).assign(fold=fold) for fold in folds], ignore_index=True
    )
