"""Label maps: segmentations with one label per voxel, checked against the values that a dataset knows."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segan_nnunet.data.labelling import Labelling, whole_numbers
from segan_nnunet.data.volumes.grid import Volume, VoxelGrid
from segan_nnunet.data.volumes.reading import read_volume
from segan_nnunet.errors import InputError, shorten

MOST_SHOWN = 8  # values in a message
MOST_UNKNOWN = 16  # unknown values in a label map; a file with more is rather an image


def read_labels(
    path: Path,
    labelling: Labelling,
    grid: VoxelGrid | None = None,
    dimensions: Collection[int] = (2, 3),
    owner: str = "its reference",
) -> Volume:
    """Read a label map.

    Args:
        path: of a segmentation.
        labelling: the values that may occur.
        grid: where the voxels must lie; they are turned into the order of its axes. By default the file's own grid.
        dimensions: accepted numbers of axes.
        owner: the owner of the grid, for messages.

    Returns:
        The labels, in the smallest type that holds all values of the dataset, and their grid.

    Raises:
        InputError: the file is missing or damaged, does not lie on the grid, or has unknown values; with what the
            values look like and the remedy.
    """
    volume = read_volume(path, dimensions=dimensions)
    own, target = volume.grid, grid or volume.grid
    voxels = volume.on(target)
    if voxels is None:
        raise InputError(f"{path} {describe_difference(own, target, owner)}")
    values = whole_numbers(voxels)
    with np.errstate(invalid="ignore"):  # NaN is no label, and is found below
        labels = values.astype(np.min_scalar_type(labelling.values[-1]), copy=False)
    fits = labels is values or bool((labels == values).all())
    distinct = distinct_values(labels if fits else values)
    if unknown := sorted(set(distinct.tolist()) - set(labelling.values)):
        raise InputError(
            f"{path} has the unknown label{'s' if len(unknown) > 1 else ''} {list_values(unknown)}; dataset.json knows "
            f"{list_values(labelling.values)}. {remedy(distinct, labelling)}"
        )
    return Volume(path, labels, target.with_spacing_of(own))


def distinct_values(voxels: NDArray) -> NDArray:
    """Return the different values in ascending order, as np.unique, but without sorting millions of voxels."""
    foreground = voxels[voxels != 0]  # few voxels
    background = np.zeros(min(1, voxels.size - foreground.size), voxels.dtype)
    return np.sort(np.concatenate([background, pd.unique(foreground)]))


def list_values(values: Sequence[float] | NDArray) -> str:
    """List the first values, whole numbers with all their digits."""
    shown = [f"{value:.0f}" if np.isfinite(value) and value == round(value) else f"{value:g}" for value in values]
    return shorten(shown, MOST_SHOWN)


def remedy(values: NDArray, labelling: Labelling) -> str:
    """Describe values that are not a dataset's labels, with the remedy."""
    if (mapping := release_mapping(values, labelling)) is not None:
        pairs = ", ".join(f"{original} → {label}" for original, label in sorted(mapping.items()))
        return (
            f"These look like the values of the release. Map all of them at once to those of the dataset, {pairs}; "
            "one of them alone would exchange regions"
        )
    return describe_values(values, len(labelling.values)) or (
        "Map its values to those of dataset.json, or add the label there"
    )


def describe_values(values: NDArray, number_of_labels: int) -> str:
    """Describe what a file's different values look like, with the remedy; an empty text if they may be labels."""
    finite = values[np.isfinite(values)]
    if len(finite) < len(values):
        return "NaN and infinity are no labels: write the value of the background instead"
    if (finite != np.round(finite)).any():
        if finite.min() >= 0 and finite.max() <= 1:
            return "They look like probabilities: apply a threshold, or take the most probable label of each voxel"
        return (
            "They are not whole numbers, as those of an image, of a network's output (apply its threshold or argmax), "
            "or of labels that were interpolated (resample labels by nearest neighbour)"
        )
    if set(values.tolist()) <= {0, 255}:
        return "They are those of a black and white picture: write the label's value instead of 255"
    if len(values) > number_of_labels + MOST_UNKNOWN:
        return "So many different values are those of an image, or of probabilities that were scaled to whole numbers"
    return ""


def release_mapping(values: NDArray, labelling: Labelling) -> dict[int, int] | None:
    """Return the dataset's value of each of the release's values; None if a file does not hold the release's values.

    `convert` writes the release's values into dataset.json. Without them, a 4 beside three nested regions of 1 to 3
    shows that the file has the values of BraTS up to 2021.
    """
    label_of = {original: index for index, original in labelling.original.items()}
    regions = [set(region) for region in labelling.regions.values()]
    if not label_of and labelling.values == (0, 1, 2, 3) and {1, 2, 3} in regions and {3} in regions:
        core = [region for region in regions if len(region) == 2]
        if core == [{2, 3}]:
            label_of = {0: 0, 1: 2, 2: 1, 4: 3}
        elif core == [{1, 3}]:
            label_of = {0: 0, 1: 1, 2: 2, 4: 3}
    distinct = set(values.tolist())
    if not distinct <= set(label_of) or distinct <= set(labelling.values):
        return None
    return {original: index for original, index in label_of.items() if original}


def describe_difference(grid: VoxelGrid, reference: VoxelGrid, owner: str) -> str:
    """Describe how a grid differs from another one, with the remedy."""
    target = owner.removeprefix("its ")
    if grid.size != reference.size:
        own, theirs = (" x ".join(map(str, size)) for size in (grid.size, reference.size))
        return f"has {own} voxels, {owner} {theirs}; resample it to the {target}"
    fields = " and ".join(
        f"has the {name} {in_brackets(getattr(grid, name))}, {owner} {in_brackets(getattr(reference, name))}"
        for name in grid.differences(reference)
    )
    return f"{fields}; resample it to the {target}, or correct its header"


def in_brackets(numbers: Sequence[float]) -> str:
    """Write numbers as in a header, in brackets."""
    return "(" + ", ".join(f"{number:g}" for number in numbers) + ")"
