"""Read predictions and references, check them, and measure every region: in parallel, a case at a time."""

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk
from numpy.typing import NDArray

from segan_nnunet.data.environment import default_processes
from segan_nnunet.data.labelling import Labelling
from segan_nnunet.data.progress import progress_bar
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.scores import confusion_matrix, foreground_box, hd95_mm, region_counts

GEOMETRY_TOLERANCE = 1e-3  # mm, and of direction cosines: what rounding in a header may do
FEWEST_CASES_PER_PROCESS = 4  # starting a process takes as long as measuring some cases
MOST_PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class Case:
    """One case and what each method predicted for it.

    Attributes:
        case_id: its name.
        reference: file of the truth.
        predictions: file of each method.
    """

    case_id: str
    reference: Path
    predictions: Mapping[str, Path]


@dataclass(frozen=True)
class Segmentation:
    """Labels (D, H, W) or (H, W) with the size and position of their voxels, axes in the arrays' order."""

    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, ...]
    geometry: tuple[float, ...]


def read_segmentation(path: Path, labelling: Labelling) -> Segmentation:
    """Read labels.

    Raises:
        InputError: the file is missing or damaged, or has values that the dataset does not know.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing")
    try:
        image = sitk.ReadImage(str(path))
        values = sitk.GetArrayFromImage(image)
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read: it is damaged, truncated, or no image; write it anew") from error
    with np.errstate(invalid="ignore"):  # NaN is no label, and is found below
        labels = values.astype(np.uint8)
    # counting 8-bit values is much faster than sorting
    found = np.flatnonzero(np.bincount(labels.ravel())) if (labels == values).all() else np.unique(values)
    if unknown := sorted(set(found.tolist()) - set(labelling.values)):
        shown = ", ".join(f"{value:g}" for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        known = ", ".join(map(str, labelling.values))
        raise InputError(
            f"{path} has the unknown label{'s' if len(unknown) > 1 else ''} {shown}; dataset.json knows {known}. "
            "Map its values to those of the dataset first"
        )
    geometry = (*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())
    return Segmentation(labels, tuple(image.GetSpacing()[::-1]), geometry)


def check_geometry(prediction: Segmentation, reference: Segmentation, path: Path, reference_path: Path) -> None:
    """Check that two segmentations lie on the same voxels.

    Raises:
        InputError: their sizes, spacings, origins or directions differ; with both.
    """
    if prediction.labels.shape != reference.labels.shape:
        ours, theirs = (" x ".join(map(str, part.labels.shape[::-1])) for part in (prediction, reference))
        difference = f"has {ours} voxels, its reference {theirs}"
    elif not np.allclose(prediction.geometry, reference.geometry, rtol=0, atol=GEOMETRY_TOLERANCE):
        axes = prediction.labels.ndim
        parts = {"spacing": slice(0, axes), "origin": slice(axes, 2 * axes), "direction": slice(2 * axes, None)}
        difference = " and ".join(
            f"has the {name} {words(prediction.geometry[part])}, its reference {words(reference.geometry[part])}"
            for name, part in parts.items()
            if not np.allclose(prediction.geometry[part], reference.geometry[part], rtol=0, atol=GEOMETRY_TOLERANCE)
        )
    else:
        return
    raise InputError(f"{path} {difference} ({reference_path}); resample it to the reference, or mend its header")


def words(numbers: Sequence[float]) -> str:
    """Write numbers as a user reads them in a header."""
    return "(" + ", ".join(f"{number:g}" for number in numbers) + ")"


def measure_case(case: Case, labelling: Labelling) -> tuple[list[dict[str, Any]], list[str]]:
    """Measure every method and region of a case. Returns the rows, and what kept others from being measured."""
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    try:
        reference = read_segmentation(case.reference, labelling)
    except InputError as error:
        return rows, [str(error)]
    constant = {
        "voxel_ml": float(np.prod(reference.spacing_mm)) / 1000,
        "diagonal_mm": float(np.linalg.norm(np.multiply(reference.labels.shape, reference.spacing_mm))),
        "reference": str(case.reference),
    }
    number = max(labelling.values) + 1
    for method, path in case.predictions.items():
        try:
            prediction = read_segmentation(path, labelling)
            check_geometry(prediction, reference, path, case.reference)
        except InputError as error:
            problems.append(str(error))
            continue
        box = foreground_box(reference.labels, prediction.labels)
        truth, predicted = reference.labels[box], prediction.labels[box]
        confusion = confusion_matrix(truth, predicted, number)
        confusion[0, 0] += reference.labels.size - truth.size  # outside the box both are background
        counted = truth != labelling.ignore_value
        for name, region in labelling.regions.items():
            mask, true_mask = (np.isin(labels, region) & counted for labels in (predicted, truth))
            distance = hd95_mm(mask, true_mask, reference.spacing_mm)
            rows.append(
                {
                    "method": method,
                    "case": case.case_id,
                    "region": name,
                    **region_counts(confusion, region, labelling.ignore_value),
                    "surface_distance_mm": distance,
                    **constant,
                    "prediction": str(path),
                }
            )
    return rows, problems


def measure(cases: Sequence[Case], labelling: Labelling, processes: int | None = None) -> pd.DataFrame:
    """Measure all cases, with a progress bar.

    Args:
        cases: what to read.
        labelling: the regions.
        processes: that work in parallel; by default nnUNet_def_n_proc, or one per processor.

    Returns:
        One row per case, method and region, in the order of the cases: method, case, region, TP, FP, FN, TN,
        surface_distance_mm, voxel_ml, diagonal_mm, reference, prediction.

    Raises:
        InputError: files are missing, damaged, of another geometry, or have unknown labels; all of them are named.
    """
    processes = min(processes or default_processes(), 1 + len(cases) // FEWEST_CASES_PER_PROCESS)
    results = []
    with progress_bar("measuring", len(cases)) as advance:
        if processes == 1:
            for case in cases:
                results.append(measure_case(case, labelling))
                advance()
        else:
            # not forked: the progress bar's thread, or a notebook's, may hold a lock at that moment
            with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
                chunk = max(1, min(8, len(cases) // (4 * processes)))
                try:
                    for result in pool.map(measure_case, cases, [labelling] * len(cases), chunksize=chunk):
                        results.append(result)
                        advance()
                except BrokenProcessPool as error:
                    raise InputError(
                        "a process that measured ended abruptly, perhaps for lack of memory; take fewer: -np 1. A "
                        "script of your own must call `compare` below `if __name__ == '__main__':`"
                    ) from error
    if problems := [problem for _, found in results for problem in found]:
        shown = problems[:MOST_PROBLEMS_SHOWN]
        if len(problems) > len(shown):
            shown.append(f"... and {len(problems) - len(shown)} more")
        raise InputError("these files cannot be compared; nothing was written.\n  " + "\n  ".join(shown))
    return pd.DataFrame([row for rows, _ in results for row in rows])
