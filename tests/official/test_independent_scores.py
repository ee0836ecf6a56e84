"""ASSD, relative volume difference and panoptic quality equal those of medpy and panoptica (docs/evaluation.md)."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segan_nnunet.evaluation.scores.definitions import LESION_RULES, Lesions, Measures
from segan_nnunet.evaluation.scores.lesions import lesion_scores
from segan_nnunet.evaluation.scores.scores import relative_volume_difference
from segan_nnunet.evaluation.scores.surface_scores import MaskPair, surface_scores
from tests.official.test_official_scores import PYTHON, lesions

SPACINGS = ((1.0, 1.0, 1.0), (3.0, 0.8, 0.5))
# ten pairs; every second pair has all labels in one mask, the others only the highest label, which overlaps little
PAIRS = [(seed, SPACINGS[seed % 2], 1 if seed % 4 < 2 else 3) for seed in range(10)]


def ours(predicted: np.ndarray, true: np.ndarray, spacing: tuple[float, ...], rule: Lesions) -> dict[str, float]:
    masks = MaskPair(predicted, true, spacing)
    counts = [(predicted & true).sum(), (predicted & ~true).sum(), (~predicted & true).sum()]
    return {
        **surface_scores(masks, Measures()),
        **lesion_scores(masks, LESION_RULES[rule]),
        "RelativeVolumeDifference": relative_volume_difference(*(pd.Series([count]) for count in counts)).item(),
    }


def test_our_scores_equal_those_of_medpy_and_panoptica(tmp_path: Path) -> None:
    if PYTHON not in os.environ:
        pytest.skip(f"{PYTHON} names the Python that has medpy and panoptica where they are (docs/evaluation.md)")
    masks: dict[str, np.ndarray] = {}
    for seed, spacing, least in PAIRS:
        true, predicted = (labels >= least for labels in lesions(seed))
        # half of the lesions are unchanged, so that some components match and some do not
        predicted[: len(true) // 2] = true[: len(true) // 2]
        masks |= {f"{seed}_predicted": predicted, f"{seed}_true": true, f"{seed}_spacing": np.array(spacing)}
    np.savez(tmp_path / "masks.npz", **masks)  # type: ignore[arg-type]
    script = Path(__file__).parent / "independent_scores.py"
    command = (os.environ[PYTHON], str(script), str(tmp_path / "masks.npz"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(done.stdout)
    matched = 0
    for seed, spacing, _ in PAIRS:
        for rule in (Lesions.BRATS_2023, Lesions.BRATS_2026):  # with and without growth
            scores = ours(masks[f"{seed}_predicted"], masks[f"{seed}_true"], spacing, rule)
            expected = theirs[str(seed)]
            assert {score: scores[score] for score in expected} == pytest.approx(expected, rel=1e-9, nan_ok=True)
        matched += scores["PQ"] > 0
    assert matched >= 8, "some pairs have matching components"
