"""Our lesion-wise scores equal those of the package of BraTS 2024 and 2025. Installation: docs/evaluation.md."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from segan_nnunet.data.labelling import Labelling
from segan_nnunet.evaluation.scores.measurement import Case, measure_case
from segan_nnunet.evaluation.scores.protocols import PROTOCOLS
from segan_nnunet.evaluation.scores.scores import add_scores
from segan_nnunet.evaluation.settings import Settings
from tests.official.test_official_scores import PYTHON, write

METRICS_2024, BRATS_2018 = "SEGAN_BRATS2024_METRICS", "SEGAN_BRATS2018"
TUMOR: dict[str, tuple[int, ...]] = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
REGIONS: dict[str, dict[str, tuple[int, ...]]] = {  # names of the package, by task
    "gli": {**TUMOR, "NETC": (1,), "SNFH": (2,), "RC": (4,)},
    "ped": {"WT": (1, 2, 3, 4), "TC": (1, 2, 3), "ET": (1,), "NETC": (2,), "CC": (3,), "ED": (4,)},
    "men-rt": {"GTV": (1,)},
    "met": {**TUMOR, "RC": (4,)},
    "ssa": TUMOR,
    "men": TUMOR,
}
PACKAGES = [name for name in PROTOCOLS if name.startswith(("brats2024", "brats2025"))]
SEEDS = range(12)
SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.8, 1.0, 1.5))  # (x, y, z), for the simulated pairs in turn
VALUES_OF_2018 = np.array([0, 1, 2, 0, 3], np.uint8)  # label 4 is the enhancing tumour there
Scores = dict[str, dict[str, dict[str, dict[str, float]]]]  # protocol, pair, region, score


def scattered(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and prediction of clusters of small lesions of labels 1 to 4. Some are in only one of both."""
    random = np.random.default_rng(seed)
    width = random.uniform(1.8, 2.4)
    shared, *own = (gaussian_filter(random.normal(size=(42, 58, 52)), width) for _ in range(3))
    kinds = gaussian_filter(random.normal(size=shared.shape), 2)
    masks = []
    for field in (shared + 0.5 * part for part in own):
        label = 1 + np.searchsorted(np.quantile(kinds, (0.3, 0.55, 0.85)), kinds)
        mask = label * (field > np.quantile(field, random.uniform(0.955, 0.98)))
        masks.append(np.pad(mask[6:-6, 6:-6, 6:-6], 6).astype(np.uint8))  # grown lesions stay inside the volume
    return masks[0], masks[1]


def real_pairs(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield every second voxel of every third patient's truth. The prediction is moved by one voxel and has holes."""
    for number, path in enumerate(sorted(folder.rglob("*_seg.nii.gz"))[::3]):
        truth = VALUES_OF_2018[sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(int)][::2, ::2, ::2]
        inside = np.argwhere(truth)
        truth = truth[tuple(slice(low, high + 1) for low, high in zip(inside.min(0), inside.max(0), strict=True))]
        truth = np.pad(truth, 8)
        holes = gaussian_filter(np.random.default_rng(number).normal(size=truth.shape), 3)
        predicted = np.roll(truth, 1, axis=2) * (holes > np.quantile(holes, 0.3))
        yield path.name.removesuffix("_seg.nii.gz"), truth, predicted


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the folders `truth` and `predicted`: simulated pairs, available real pairs, pairs with an empty mask."""
    folder = tmp_path_factory.mktemp("official_2024")
    examples = [(f"simulated_{seed}", *scattered(seed)) for seed in SEEDS]
    real = os.environ.get(BRATS_2018)
    examples += list(real_pairs(Path(real))) if real else []
    blocks = np.zeros((24, 20, 60), np.uint8)
    for label in range(1, 5):
        blocks[8:14, 8:14, 12 * label : 12 * label + 6] = label  # of 216 voxels, so that no lesion is excluded
    empty = np.zeros_like(blocks)
    examples += [("missed", blocks, empty), ("false", empty, blocks), ("nothing", empty, empty)]
    for index, (name, truth, predicted) in enumerate(examples):
        spacing = SPACINGS[index % len(SPACINGS)] if name.startswith("simulated") else SPACINGS[0]
        write(folder / "truth" / f"{name}.nii.gz", truth, spacing)
        write(folder / "predicted" / f"{name}.nii.gz", predicted, spacing)
    return folder


@pytest.fixture(scope="module")
def theirs(pairs: Path) -> Scores:
    """Return the scores of the package, or skip the test."""
    if not {PYTHON, METRICS_2024} <= set(os.environ):
        pytest.skip(f"{PYTHON} and {METRICS_2024} name the challenge's package where it is (docs/evaluation.md)")
    script = str(Path(__file__).parent / "their_scores_2024.py")
    command = (os.environ[PYTHON], script, os.environ[METRICS_2024], str(pairs))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def ours(pairs: Path, name: str, protocol: str) -> pd.DataFrame:
    """Return our scores of a pair under a protocol, by region."""
    labelling = Labelling(REGIONS[protocol[10:]], (0, 1, 2, 3, 4), None, ("T1c",), ".nii.gz")
    settings = Settings(protocol=protocol).resolved(["theirs"], labelling)
    case = Case(name, pairs / "truth" / name, {"theirs": pairs / "predicted" / name})
    measured = measure_case(case, labelling, settings.measures)
    assert not measured.problems
    return add_scores(pd.DataFrame(measured.rows), settings.policy).set_index("region")


@pytest.mark.parametrize("protocol", PACKAGES)
def test_our_lesion_scores_equal_those_of_the_package(protocol: str, pairs: Path, theirs: Scores) -> None:
    """Compare the lesion-wise scores, and the whole-region scores where the package drops no predicted components."""
    drops, compared, largest = protocol != "brats2025-men", 0, 0.0
    for name, regions in theirs[protocol].items():
        our_scores = ours(pairs, name, protocol)
        whole = not drops or name in ("missed.nii.gz", "false.nii.gz", "nothing.nii.gz")
        for region, scores in regions.items():
            if protocol == "brats2024-met" and region == "RC":
                continue
            for score, expected in scores.items():
                if whole or score.startswith("Lesion"):
                    value = our_scores.loc[region, score]
                    largest = max(largest, abs(value - expected))
                    assert value == pytest.approx(expected, rel=2e-8), (name, region, score)
                    compared += 1
    print(f"{protocol}: {len(theirs[protocol])} pairs, {compared} scores, largest difference {largest:.1e}")
    assert len(theirs[protocol]) >= len(SEEDS) + 3 and compared >= len(theirs[protocol]) * 5
