"""Compute scores with medpy and panoptica, in a separate environment: they need older libraries than ours.

usage: python independent_scores.py MASKS.npz
    MASKS.npz  N_predicted, N_true and N_spacing of each pair N: the masks, and their voxel spacing in mm

Prints {pair: {score: value}} as JSON.
"""

import contextlib
import json
import sys
from typing import Any

import numpy as np


def panoptic(evaluator: Any, predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return panoptica's quality of the components of two masks."""
    [result] = evaluator.evaluate(predicted.astype(np.uint8), true.astype(np.uint8), verbose=False).values()
    return {"PQ": float(result.pq), "SQ": float(result.sq), "RQ": float(result.rq)}


def main(path: str) -> None:
    """Score every pair."""
    masks = np.load(path)
    with contextlib.redirect_stdout(sys.stderr):  # the packages print to standard output
        from medpy.metric.binary import assd, ravd
        from panoptica import (
            ConnectedComponentsInstanceApproximator,
            InputType,
            Metric,
            NaiveThresholdMatching,
            Panoptica_Evaluator,
        )

        evaluator = Panoptica_Evaluator(
            expected_input=InputType.SEMANTIC,
            instance_approximator=ConnectedComponentsInstanceApproximator(),
            instance_matcher=NaiveThresholdMatching(Metric.IOU, 0.5, strict_threshold=True),
        )
        scores = {}
        for name in sorted({key.partition("_")[0] for key in masks.files}):
            predicted, true, spacing = (masks[f"{name}_{part}"] for part in ("predicted", "true", "spacing"))
            scores[name] = {
                "ASSD_mm": float(assd(predicted, true, spacing)),
                "RelativeVolumeDifference": float(ravd(predicted, true)),
                **panoptic(evaluator, predicted, true),
            }
    print(json.dumps(scores))


if __name__ == "__main__":
    main(*sys.argv[1:])
