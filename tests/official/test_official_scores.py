"""Our scores equal those of the challenges' own packages. docs/evaluation.md says how to install the packages."""

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
from segan_nnunet.evaluation.scores.definitions import Hd95, Lesions, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.measurement import Case, measure_case
from segan_nnunet.evaluation.scores.protocols import resolve
from segan_nnunet.evaluation.scores.scores import add_scores
from tests.conftest import PATIENTS_VARIABLE

Scores = dict[str, dict[str, dict[str, dict[str, float]]]]  # definition, pair, region, score
PYTHON, METRICS_2023 = "SEGAN_OFFICIAL_PYTHON", "SEGAN_BRATS2023_METRICS"
LABELS = Labelling({"wt": (1, 2, 3), "tc": (1, 3), "et": (3,)}, (0, 1, 2, 3), None, ("T1c",), ".nii.gz")
# without 7: two of its components have the same Dice with a lesion, and the packages may choose different ones
SEEDS = (0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12)
PROTOCOLS = {
    Lesions.BRATS_2023: "brats2023-gli",
    Lesions.BRATS_2023_MEN: "brats2023-men",
    Lesions.BRATS_2023_MET: "brats2023-met",
    Lesions.BRATS_2026: "brats2026",
}
ANISOTROPIC = (1.0, 2.0, 1.5)  # spacing (x, y, z) of every third simulated pair
VALUES_OF_2015 = np.array([0, 1, 2, 1, 3], np.uint8)  # necrosis, edema, non-enhancing and enhancing, in 2023's values


def lesions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and prediction of blobs. Some overlap in part, some are in only one of both, some have one voxel."""
    random = np.random.default_rng(seed)
    shared, *own = (gaussian_filter(random.normal(size=(30, 44, 40)), random.uniform(1, 2.5)) for _ in range(3))
    masks = []
    for field in (shared + 0.6 * part for part in own):
        low, middle, high = (np.quantile(field, share) for share in (0.93, 0.96, 0.98))
        mask = (field > low) * 2 - (field > middle) + 2 * (field > high)  # edema 2, core 1, enhancing 3
        mask[[0, -1]] = mask[:, [0, -1]] = mask[:, :, [0, -1]] = 0
        masks.append(mask.astype(np.uint8))
    return masks[0], masks[1]


def real_pairs(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield truths of the six patients. Predictions are moved by two voxels and lack enhancing tumour at one end."""
    for path in sorted(folder.glob("*/OTMultiClass.nii.gz")):
        truth = VALUES_OF_2015[sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(int)]
        inside = np.argwhere(truth)
        truth = truth[tuple(slice(low - 5, high + 6) for low, high in zip(inside.min(0), inside.max(0), strict=True))]
        predicted = np.roll(truth, 2, axis=2)
        predicted[: truth.shape[0] // 2][predicted[: truth.shape[0] // 2] == 3] = 2
        yield path.parent.name, truth, predicted


def write(path: Path, labels: np.ndarray, spacing: tuple[float, ...]) -> None:
    path.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def packages() -> tuple[str, str]:
    """Return the Python with the newest package and the folder of the 2023 package, or skip the test."""
    if not {PYTHON, METRICS_2023} <= set(os.environ):
        pytest.skip(f"{PYTHON} and {METRICS_2023} name the challenges' packages where they are (docs/evaluation.md)")
    return os.environ[PYTHON], os.environ[METRICS_2023]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the folders `truth` and `predicted`: simulated pairs, available real pairs, pairs with an empty mask."""
    folder = tmp_path_factory.mktemp("official")
    examples = [(f"simulated_{seed}", *lesions(seed)) for seed in SEEDS]
    real = os.environ.get(PATIENTS_VARIABLE)
    examples += list(real_pairs(Path(real))) if real else []
    truth, predicted = lesions(99)
    empty = np.zeros_like(truth)
    examples += [
        ("missed", truth, empty),
        ("false", empty, predicted),
        ("nothing", empty, empty),
        ("same", truth, truth),
    ]
    for index, (name, truth, predicted) in enumerate(examples):
        spacing = ANISOTROPIC if index < len(SEEDS) and index % 3 == 2 else (1.0, 1.0, 1.0)
        write(folder / "truth" / f"{name}.nii.gz", truth, spacing)
        write(folder / "predicted" / f"{name}.nii.gz", predicted, spacing)
    return folder


@pytest.fixture(scope="module")
def theirs(packages: tuple[str, str], pairs: Path) -> Scores:
    """Return the scores of the packages."""
    python, metrics_2023 = packages
    command = (python, str(Path(__file__).parent / "their_scores.py"), metrics_2023, str(pairs))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def ours(pairs: Path, name: str, definition: Lesions) -> pd.DataFrame:
    """Return our scores of a pair under a challenge's definitions, by region."""
    case = Case(name, pairs / "truth" / name, {"theirs": pairs / "predicted" / name})
    chosen = resolve(PROTOCOLS[definition], "", EmptyPolicy.AUTO, Measures(Hd95.AUTO, (0.5, 1.0), Lesions.AUTO))
    assert chosen.measures.lesions is definition
    measured = measure_case(case, LABELS, chosen.measures)
    assert not measured.problems
    return add_scores(pd.DataFrame(measured.rows), chosen.policy).set_index("region")


def spacing_of(path: Path) -> tuple[float, ...]:
    return sitk.ReadImage(str(path)).GetSpacing()


def check(our_scores: pd.DataFrame, expected: dict[str, dict[str, float]], leave: tuple[str, ...] = ()) -> int:
    """Compare all scores except those in `leave`; return the number of compared scores."""
    pairs = [(region, score) for region, scores in expected.items() for score in scores if score not in leave]
    for region, score in pairs:
        value = our_scores.loc[region, score]
        assert value == pytest.approx(expected[region][score], rel=1e-9, nan_ok=True), (region, score)
    return len(pairs)


@pytest.mark.parametrize("definition", PROTOCOLS)
def test_our_scores_equal_those_of_the_challenge_package(definition: Lesions, pairs: Path, theirs: Scores) -> None:
    of_1_mm = [name for name in theirs[definition] if spacing_of(pairs / "truth" / name) != ANISOTROPIC]
    names = of_1_mm if definition is Lesions.BRATS_2026 else theirs[definition]
    compared = sum(check(ours(pairs, name, definition), theirs[definition][name]) for name in names)
    assert len(names) >= 12 and compared >= len(names) * 3 * 7


def test_the_newest_package_reverses_the_axes_of_the_spacing(pairs: Path, theirs: Scores, tmp_path: Path) -> None:
    """For anisotropic voxels it measures HD95 and NSD of the volume in voxels, and swaps x and z for lesions."""
    names = [name for name in theirs["2026"] if spacing_of(pairs / "truth" / name) == ANISOTROPIC]
    assert len(names) == 4
    for name in names:
        for spacing, leave in (
            (ANISOTROPIC[::-1], ("HD95_mm", "NSD_0.5mm")),
            ((1.0, 1.0, 1.0), ("LesionHD95_mm", "LesionNSD_1mm")),
        ):
            for part in ("truth", "predicted"):
                labels = sitk.GetArrayFromImage(sitk.ReadImage(str(pairs / part / name)))
                write(tmp_path / part / name, labels, spacing)
            check(ours(tmp_path, name, Lesions.BRATS_2026), theirs["2026"][name], leave)
