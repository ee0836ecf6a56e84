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
from numpy.typing import NDArray

from segan_nnunet.data.environment import number_of_processes
from segan_nnunet.data.labelling import Labelling, whole_numbers
from segan_nnunet.data.progress import progress_bar
from segan_nnunet.data.volumes import VoxelGrid, read_volume
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.definitions import DEFAULT_MEASURES, Measures
from segan_nnunet.evaluation.scores.lesions import lesion_scores
from segan_nnunet.evaluation.scores.scores import confusion_matrix, region_counts
from segan_nnunet.evaluation.scores.surface_scores import MaskPair, surface_scores
from segan_nnunet.evaluation.scores.surfaces import foreground_box

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
    """Labels (D, H, W) or (H, W), and where their voxels lie."""

    labels: NDArray[np.uint8]
    grid: VoxelGrid

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Spacing in the order of the array's axes."""
        return self.grid.spacing[::-1]


def read_segmentation(path: Path, labelling: Labelling, reference: "Segmentation | None" = None) -> Segmentation:
    """Read labels, where a reference is given in the order of its voxels.

    Raises:
        InputError: the file is missing or damaged, does not lie on the reference's voxels, or has values that the
            dataset does not know.
    """
    volume = read_volume(path, dimensions=(2, 3))
    grid = volume.grid if reference is None else reference.grid
    voxels = volume.on(grid)
    if voxels is None:
        raise InputError(f"{path} {difference(volume.grid, grid)}; resample it to the reference, or mend its header")
    values = whole_numbers(voxels)
    with np.errstate(invalid="ignore"):  # NaN is no label, and is found below
        labels = values.astype(np.uint8)
    # counting the 8-bit values of the foreground is much faster than sorting; 0, the background, is always known
    found = np.flatnonzero(np.bincount(labels[labels != 0])) if (labels == values).all() else np.unique(values)
    if unknown := sorted(set(found.tolist()) - set(labelling.values)):
        shown = ", ".join(f"{value:g}" for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        known = ", ".join(map(str, labelling.values))
        raise InputError(
            f"{path} has the unknown label{'s' if len(unknown) > 1 else ''} {shown}; dataset.json knows {known}. "
            "Map its values to those of the dataset first"
        )
    return Segmentation(labels, grid)


def difference(grid: VoxelGrid, reference: VoxelGrid) -> str:
    """How a grid differs from its reference's, in words."""
    if grid.size != reference.size:
        ours, theirs = (" x ".join(map(str, part.size)) for part in (grid, reference))
        return f"has {ours} voxels, its reference {theirs}"
    return " and ".join(
        f"has the {name} {words(getattr(grid, name))}, its reference {words(getattr(reference, name))}"
        for name in grid.differences(reference)
    )


def words(numbers: Sequence[float]) -> str:
    """Write numbers as a user reads them in a header."""
    return "(" + ", ".join(f"{number:g}" for number in numbers) + ")"


def measure_case(
    case: Case, labelling: Labelling, measures: Measures = DEFAULT_MEASURES
) -> tuple[list[dict[str, Any]], list[str]]:
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
            prediction = read_segmentation(path, labelling, reference)
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
            pair = MaskPair(mask, true_mask, reference.spacing_mm)
            surfaces = surface_scores(pair, measures)
            distance_mm = surfaces.pop("HD95_mm")  # HD95 once `add_scores` has ruled on empty masks
            rule = measures.lesion_rule
            lesions = lesion_scores(pair, rule, measures.nsd_mm) if rule else {}
            rows.append(
                {
                    "method": method,
                    "case": case.case_id,
                    "region": name,
                    **region_counts(confusion, region, labelling.ignore_value),
                    "surface_distance_mm": distance_mm,
                    **surfaces,
                    **lesions,
                    **constant,
                    "prediction": str(path),
                }
            )
    return rows, problems


def measure(
    cases: Sequence[Case], labelling: Labelling, processes: int | None = None, measures: Measures = DEFAULT_MEASURES
) -> pd.DataFrame:
    """Measure all cases, with a progress bar.

    Args:
        cases: what to read.
        labelling: the regions.
        processes: that work in parallel; by default nnUNet_def_n_proc, or one per processor.
        measures: what to measure beside counts.

    Returns:
        One row per case, method and region, in the order of the cases: method, case, region, TP, FP, FN, TN,
        surface_distance_mm (HD95), NSD at each tolerance, what `lesion_scores` returns where it is asked for, voxel_ml,
        diagonal_mm, reference, prediction.

    Raises:
        InputError: files are missing, damaged, of another geometry, or have unknown labels; all of them are named.
    """
    processes = min(number_of_processes(processes), 1 + len(cases) // FEWEST_CASES_PER_PROCESS)
    results = []
    with progress_bar("measuring", len(cases)) as advance:
        if processes == 1:
            for case in cases:
                results.append(measure_case(case, labelling, measures))
                advance()
        else:
            # not forked: the progress bar's thread, or a notebook's, may hold a lock at that moment
            with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
                chunk = max(1, min(8, len(cases) // (4 * processes)))
                try:
                    given = [labelling] * len(cases), [measures] * len(cases)
                    for result in pool.map(measure_case, cases, *given, chunksize=chunk):
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
