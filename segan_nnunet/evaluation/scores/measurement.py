"""Read and check predictions and references, and measure every region. Cases run in parallel."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from segan_nnunet.data.labelling import Labelling
from segan_nnunet.data.processes import map_cases
from segan_nnunet.data.volumes import VoxelGrid, read_grid, read_labels
from segan_nnunet.data.volumes.same_voxels import Checksums, checksums
from segan_nnunet.errors import InputError, first_lines
from segan_nnunet.evaluation.scores.definitions import DEFAULT_MEASURES, Measures, uniting_regions
from segan_nnunet.evaluation.scores.exchanged import Exchange, exchange_warnings, exchanged_labels
from segan_nnunet.evaluation.scores.lesions import lesion_scores, neighbours_of
from segan_nnunet.evaluation.scores.same_files import REFERENCE, same_file_warnings
from segan_nnunet.evaluation.scores.scores import confusion_matrix, region_counts
from segan_nnunet.evaluation.scores.surface_scores import MaskPair, surface_scores
from segan_nnunet.evaluation.scores.surfaces import foreground_box

CASES_PER_PROCESS = 4  # starting a process takes as long as measuring some cases
MOST_PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class Case:
    """One case and what each method predicted for it.

    Attributes:
        case_id: name of the case.
        reference: file of the reference.
        predictions: the file of each method.
    """

    case_id: str
    reference: Path
    predictions: Mapping[str, Path]


class MeasuredCase(NamedTuple):
    """The measurements of a case.

    Attributes:
        rows: one row per method and region.
        problems: errors of the files that cannot be measured.
        exchanges: the labels that each method seems to have exchanged.
        labels: the labels of the reference.
        voxels: checksums of the reference and of each method's prediction.
        without_spacing: whether 1 mm is assumed because no file contains the spacing.
    """

    rows: list[dict[str, Any]]
    problems: list[str]
    exchanges: dict[str, Exchange]
    labels: set[int]
    voxels: dict[str, Checksums]
    without_spacing: bool


def measure_case(case: Case, labelling: Labelling, measures: Measures = DEFAULT_MEASURES) -> MeasuredCase:
    """Measure every method and region of a case."""
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    exchanges: dict[str, Exchange] = {}
    try:
        reference = read_labels(case.reference, labelling)
    except InputError as error:
        return MeasuredCase(rows, [str(error)], exchanges, set(), {}, False)
    grid = spacing_of_any(reference.grid, case.predictions.values())
    spacing_mm = grid.spacing[::-1]  # in the order of the array's axes
    voxel_mm3 = float(np.prod(spacing_mm))
    constant = {
        "voxel_ml": voxel_mm3 / 1000,
        "diagonal_mm": float(np.linalg.norm(np.multiply(reference.voxels.shape, spacing_mm))),
        "diagonal_voxels": float(np.linalg.norm(reference.voxels.shape)),
        "reference": str(case.reference),
    }
    rule = measures.lesion_rule
    rules = rule.of_dataset(labelling.regions) if rule else {}
    uniting = uniting_regions(rules)
    present: set[int] = set()
    voxels = {REFERENCE: checksums(reference.voxels)}
    for method, path in case.predictions.items():
        try:
            prediction = read_labels(path, labelling, grid)
        except InputError as error:
            problems.append(str(error))
            continue
        voxels[method] = checksums(prediction.voxels)
        box = foreground_box(reference.voxels, prediction.voxels)
        truth, predicted = reference.voxels[box], prediction.voxels[box]
        confusion = confusion_matrix(truth, predicted, labelling.values)
        confusion[0, 0] += reference.voxels.size - truth.size  # outside of the box both are background
        exchanges[method] = exchanged_labels(confusion, labelling.values, labelling.ignore_value)
        present = {value for value, count in zip(labelling.values, confusion.sum(1), strict=True) if count}
        counted = truth != labelling.ignore_value
        labels = predicted, truth
        neighbours = neighbours_of(labelling.regions, rule, uniting, labels, counted, voxel_mm3) if rule else {}
        for name, region in labelling.regions.items():
            mask, true_mask = (np.isin(part, region) & counted for part in labels)
            pair = MaskPair(mask, true_mask, spacing_mm)
            lesions = {}
            if own := rules.get(name):
                beside = [neighbours[region] for region in own.united_by]
                lesions = lesion_scores(pair, own, measures.nsd_mm, beside, reference.voxels.shape)
            rows.append(
                {
                    "method": method,
                    "case": case.case_id,
                    "region": name,
                    **region_counts(confusion, labelling.values, region, labelling.ignore_value),
                    **surface_scores(pair, measures),
                    **lesions,
                    **constant,
                    "prediction": str(path),
                }
            )
    return MeasuredCase(rows, problems, exchanges, present, voxels, not grid.has_spacing)


def spacing_of_any(grid: VoxelGrid, predictions: Iterable[Path]) -> VoxelGrid:
    """Return the reference's grid. If its file has no spacing, use that of the first prediction that has one."""
    for path in () if grid.has_spacing else predictions:
        with suppress(InputError):  # `read_labels` reports the error
            grid = grid.with_spacing_of(read_grid(path))
    return grid


def measure(
    cases: Sequence[Case], labelling: Labelling, processes: int | None = None, measures: Measures = DEFAULT_MEASURES
) -> pd.DataFrame:
    """Measure all cases, with a progress bar.

    Args:
        cases: the cases to measure.
        labelling: defines the regions.
        processes: number of parallel processes; by default nnUNet_def_n_proc, or the usable cores up to 8.
        measures: the measures besides voxel counts.

    Returns:
        One row per case, method and region, in the order of the cases: method, case, region, TP, FP, FN, TN,
        the surface scores (NaN where a mask is empty), the lesion scores if `measures` has lesions, voxel_ml,
        diagonal_mm, diagonal_voxels, reference, prediction.

    Raises:
        InputError: files are missing, damaged, of another geometry, or have unknown labels. The message names all.
    """
    results = map_cases(
        "measuring", measure_case, cases, labelling, measures, processes=processes, cases_per_process=CASES_PER_PROCESS
    )
    if problems := [problem for result in results for problem in result.problems]:
        listed = first_lines(problems, MOST_PROBLEMS_SHOWN)
        raise InputError(f"these files cannot be compared; nothing was written.{listed}")
    for warning in possible_mistakes(cases, results):
        print(f"WARNING: {warning}", flush=True)
    return pd.DataFrame([row for result in results for row in result.rows])


def possible_mistakes(cases: Sequence[Case], results: Sequence[MeasuredCase]) -> list[str]:
    """Return warnings of likely mistakes in measurable files: exchanged labels, equal files, a missing spacing."""
    labels = [result.labels for result in results]
    warnings = [
        warning
        for method in cases[0].predictions
        for warning in exchange_warnings(method, [result.exchanges[method] for result in results], labels)
    ]
    voxels = {case.case_id: result.voxels for case, result in zip(cases, results, strict=True)}
    empty = [case.case_id for case, present in zip(cases, labels, strict=True) if not present - {0}]
    warnings += same_file_warnings(voxels, empty)
    if unknown := [case for case, result in zip(cases, results, strict=True) if result.without_spacing]:
        warnings.append(
            f"{len(unknown)} references, the first {unknown[0].reference}, do not say their spacing. 1 mm is taken, so "
            "distances and volumes count voxels. nnU-Net keeps the spacing of a 3-D TIFF in CASE.json beside it"
        )
    return warnings
