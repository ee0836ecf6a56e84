"""Choose and read the cases for Figure 3 and the viewer of the report, with images and segmentations."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segan_nnunet.data.labelling import whole_numbers
from segan_nnunet.data.volumes import Volume, VoxelGrid, read_volume
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import MethodsOnCases

MODALITY = "t2"  # the paper's Figure 3
CONTRAST = ("t1c", "t1ce", "t1gd")  # shown too, because only they show enhancement
NO_IMAGE = "no image found"


@dataclass(frozen=True)
class ShownCase:
    """A case with its volumes, all (D, H, W).

    Attributes:
        case_id: name of the case.
        rank: the reason to show it: worst, median or best.
        images: the image of each modality; a black image if no file exists.
        reference: labels of the reference.
        predictions: labels of each method.
        dice: Dice of each method, by region.
        spacing_mm: spacing of the voxels, (D, H, W).
        sides: whether the patient's right is on the left of every slice; False for a single slice, where it is unknown.
    """

    case_id: str
    rank: str
    images: Mapping[str, NDArray]
    reference: NDArray
    predictions: Mapping[str, NDArray]
    dice: Mapping[str, Mapping[str, float]]
    spacing_mm: tuple[float, ...] = (1.0, 1.0, 1.0)
    sides: bool = False


def chosen_cases(scores: pd.DataFrame) -> dict[str, str]:
    """Return the best, the median and the worst case by mean Dice over methods and regions; fewer for few cases.

    Args:
        scores: one row per method, case and region. Cases without any defined Dice are left out.

    Returns:
        Cases by rank, `best`, `median`, `worst`.
    """
    ranked = ranked_cases(scores.dropna(subset="Dice"))
    if not ranked:
        return {}
    wanted = {"best": ranked[0], "worst": ranked[-1], "median": ranked[len(ranked) // 2]}
    ranks = {case: rank for rank, case in reversed(wanted.items())}  # of a case with two ranks the first is kept
    return {rank: wanted[rank] for rank in ("best", "median", "worst") if ranks[wanted[rank]] == rank}


def ranked_cases(scores: pd.DataFrame) -> list[str]:
    """Return all cases from the best to the worst by mean Dice over methods and regions, first those without Dice."""
    means = scores.groupby("case")["Dice"].mean()
    return list(means.sort_values(ascending=False, kind="stable", na_position="first").index)


def load_case(compared: MethodsOnCases, means: pd.DataFrame, case: str, rank: str) -> ShownCase:
    """Read the images and segmentations of a case. A method's segmentation is that of its first seed.

    Args:
        compared: the methods and the cases.
        means: the scores, one row per method, case and region.
        case: name of the case.
        rank: the reason to show it.

    Raises:
        InputError: an image does not lie on the voxels of the reference.
    """
    reference = read_volume(compared.references[case], dimensions=(2, 3))
    grid = upright(reference.grid)
    images = {}
    for modality, path in compared.images(case).items():
        try:
            volume = read_volume(path, dimensions=(2, 3))
        except InputError:  # an image that cannot be shown, such as a colour image, must not stop the comparison
            continue
        if (image := on_grid(volume, reference.grid, grid)) is None:
            raise InputError(
                f"{path} does not lie on the voxels of the reference of {case} ({compared.references[case]}); give the "
                "images that belong to the references with --images"
            )
        images[modality] = as_slices(image)
    truth = labels_on(reference, reference.grid, grid)
    of_case = means[means["case"] == case]
    return ShownCase(
        case,
        rank,
        images or {NO_IMAGE: np.zeros_like(truth, np.uint8)},
        truth,
        {
            method: labels_on(read_volume(first.files[case], dimensions=(2, 3)), reference.grid, grid)
            for method, first in compared.methods.items()
        },
        {
            method: dict(zip(rows["region"], rows["Dice"], strict=True))
            for method, rows in of_case.groupby("method", sort=False)
        },
        (1.0, *grid.spacing[::-1])[-3:],
        sides=len(grid.size) == 3,
    )


def upright(grid: VoxelGrid) -> VoxelGrid:
    """Return the same voxels in the common order of all shown cases: x to the patient's left, y to the back, z up.

    Rows of a slice then run from front to back, and the patient's right is on the left, as radiologists look at it.
    A single slice stays as it is.
    """
    if len(grid.size) != 3:
        return grid
    direction = np.reshape(grid.direction, (3, 3))
    order = list(max(permutations(range(3)), key=lambda axes: np.abs(direction[:, list(axes)].diagonal()).sum()))
    signs = np.sign(direction[:, order].diagonal())
    size, spacing = np.array(grid.size), np.array(grid.spacing)
    corner = np.zeros(3)
    corner[order] = np.where(signs < 0, size[order] - 1, 0)
    origin = np.array(grid.origin) + direction @ (corner * spacing)
    return VoxelGrid(
        tuple(size[order].tolist()),
        tuple(spacing[order].tolist()),
        tuple(origin.tolist()),
        tuple((direction[:, order] * signs).ravel().tolist()),
    )


def on_grid(volume: Volume, reference: VoxelGrid, grid: VoxelGrid) -> NDArray | None:
    """Return a volume on the reference's voxels, in the order of the grid; None if it lies elsewhere."""
    measured = volume.on(reference)
    return None if measured is None else Volume(volume.path, measured, reference).on(grid)


def labels_on(volume: Volume, reference: VoxelGrid, grid: VoxelGrid) -> NDArray:
    """Return the labels of a measured reference or prediction as slices in the order of the grid."""
    voxels = on_grid(volume, reference, grid)
    assert voxels is not None  # for mypy: every measured volume lies there
    return as_slices(whole_numbers(voxels))


def as_slices(voxels: NDArray) -> NDArray:
    """Return a volume as (D, H, W); a single slice (H, W) becomes (1, H, W)."""
    return voxels if voxels.ndim == 3 else voxels[None]


def shown_modality(names: Mapping[str, object]) -> str:
    """Return the modality to show: T2, as in the paper, or the last one."""
    chosen = [name for name in names if name.casefold() in (MODALITY, f"{MODALITY}w")]
    return chosen[0] if chosen else list(names)[-1]


def shown_modalities(names: Mapping[str, object]) -> list[str]:
    """Return the modalities to show: T1c if it exists, then the result of `shown_modality`."""
    contrast = [name for name in names if name.casefold() in CONTRAST]
    return list(dict.fromkeys([*contrast[:1], shown_modality(names)]))


def largest_slice(mask: NDArray[np.bool_]) -> int:
    """Return the index of the slice with the most mask voxels, or of the middle slice if the mask is empty."""
    areas = mask.sum(axis=tuple(range(1, mask.ndim)))
    return int(areas.argmax()) if areas.any() else mask.shape[0] // 2


def window(image: NDArray) -> tuple[float, float]:
    """Return the intensities of black and white: the 1st and 99.5th percentile of the foreground."""
    inside = image[image != image.flat[0]]
    low, high = np.percentile(inside if inside.size else image, (1, 99.5))
    return float(low), float(high if high > low else low + 1)
