"""Compute scores with the challenges' own packages, in a separate environment: they need older libraries than ours.

usage: python their_scores.py BRATS_2023_METRICS FOLDER
    BRATS_2023_METRICS  a clone of github.com/rachitsaluja/BraTS-2023-Metrics; it needs pandas, nibabel, scipy and cc3d
    FOLDER              pairs of label maps: truth/NAME.nii.gz and predicted/NAME.nii.gz

Prints {definition: {pair: {region: {score: value}}}} as JSON; the definitions are the names of `--lesions`.
"""

import contextlib
import importlib
import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

REGIONS = {"WT": "wt", "TC": "tc", "ET": "et"}  # of 2023: of the newest
CHALLENGES = {"2023": "BraTS-GLI", "2023-MEN": "BraTS-MEN", "2023-MET": "BraTS-MET"}


def of_2023(metrics: Any, predicted: Path, truth: Path, challenge: str) -> dict[str, dict[str, float]]:
    """Return the scores of BraTS 2023's package."""
    table = metrics.get_LesionWiseResults(str(predicted), str(truth), challenge).set_index("Labels")
    return {
        REGIONS[region]: {
            "Dice": row["Legacy_Dice"],
            "HD95_mm": row["Legacy_HD95"],
            "LesionDice": row["LesionWise_Score_Dice"],
            "LesionHD95_mm": row["LesionWise_Score_HD95"],
            "LesionsFound": row["Num_TP"],
            "LesionsMissed": row["Num_FN"],
            "LesionsFalse": row["Num_FP"],
        }
        for region, row in table.astype(float).iterrows()
    }


def of_the_newest(evaluator: Any, predicted: Path, truth: Path) -> dict[str, dict[str, float]]:
    """Return the scores of BraTS_evaluation, with the challenge's penalty for infinite distances."""
    of_region = {}
    for region, result in evaluator.evaluate(str(predicted), str(truth)).items():
        scores = result.to_dict(True)
        of_region[region] = {
            "Dice": scores["global_bin_dsc"],
            "HD95_mm": min(scores["global_bin_hd95"], 373),
            "NSD_0.5mm": scores["global_bin_nsd"],  # the package measures its tolerance in voxels
            "LesionDice": scores["sq_dsc"],
            "LesionHD95_mm": min(scores["sq_hd95"], 373),
            "LesionNSD_1mm": scores["sq_nsd"],
            "LesionsFound": scores["tp"],
            "LesionsMissed": scores["fn"],
            "LesionsFalse": scores["fp"],
        }
    return of_region


def allow_old_names() -> None:
    """Provide the names that the package of 2023 uses from early versions of NumPy and pandas."""

    def replace(table: pd.DataFrame, old: float, new: float, inplace: bool = False) -> pd.DataFrame | None:
        for name in table:  # one column holds arrays, which newer versions cannot compare
            table[name] = [new if np.isscalar(value) and value == old else value for value in table[name]]
        return None if inplace else table

    for owner, name, value in (
        (np, "Inf", np.inf),
        (pd.DataFrame, "append", lambda self, other: pd.concat([self, other])),
        (pd.DataFrame, "replace", replace),
    ):
        setattr(owner, name, value)


def main(brats_2023_metrics: str, folder: str) -> None:
    """Score every pair under every definition."""
    pairs = [(path.name, Path(folder) / "predicted" / path.name, path) for path in Path(folder).glob("truth/*.nii.gz")]
    with contextlib.redirect_stdout(sys.stderr):  # the packages print to standard output
        from panoptica import Panoptica_Evaluator

        sys.path.insert(0, brats_2023_metrics)
        allow_old_names()
        metrics = importlib.import_module("metrics")
        config = files("brats_evaluation").joinpath("configs", "config_GoAT.yaml")
        evaluator = Panoptica_Evaluator.load_from_config(str(config))
        scores = {
            name: {pair: of_2023(metrics, predicted, truth, challenge) for pair, predicted, truth in pairs}
            for name, challenge in CHALLENGES.items()
        }
        scores["2026"] = {pair: of_the_newest(evaluator, predicted, truth) for pair, predicted, truth in pairs}
    print(json.dumps(scores))


if __name__ == "__main__":
    main(*sys.argv[1:])
