"""Label maps: segmentations with one label per voxel, checked against the values that a dataset knows."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segan_nnunet.data.labelling import Labelling, whole_numbers
from segan_nnunet.data.volumes.grid import Volume, VoxelGrid
from segan_nnunet.data.volumes.reading import read_volume
from segan_nnunet.errors import InputError, shorten

MOST_SHOWN = 8  # values that a message lists
MOST_COUNTED = 1 << 16  # range of values that are counted rather than sorted
FEW = 16  # a label map with more unknown values than this is rather an image


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
        labelling: which values may occur.
        grid: where it must lie; its voxels are turned into the order of this grid. By default its own.
        dimensions: numbers of axes that are accepted.
        owner: whose grid that is, for messages.

    Returns:
        Its labels, in the smallest type that holds all values of the dataset, and the grid on which they lie.

    Raises:
        InputError: the file is missing or damaged, does not lie on the grid, or has values that the dataset does not
            know; with what it looks like and what helps.
    """
    volume = read_volume(path, dimensions=dimensions)
    own, target = volume.grid, grid or volume.grid
    voxels = volume.on(target)
    if voxels is None:
        raise InputError(f"{path} {difference(own, target, owner)}")
    values = whole_numbers(voxels)
    with np.errstate(invalid="ignore"):  # NaN is no label, and is found below
        labels = values.astype(np.min_scalar_type(labelling.values[-1]), copy=False)
    fits = labels is values or bool((labels == values).all())
    # counting the values of the foreground is much faster than sorting; 0, the background, is always known
    found = distinct_values(labels[labels != 0]) if fits else distinct_values(values)
    if unknown := sorted(set(found.tolist()) - set(labelling.values)):
        raise InputError(
            f"{path} has the unknown label{'s' if len(unknown) > 1 else ''} {listed(unknown)}; dataset.json knows "
            f"{listed(labelling.values)}. {remedy(found, labelling)}"
        )
    return Volume(path, labels, target.with_spacing_of(own))


def distinct_values(voxels: NDArray) -> NDArray:
    """Return the different values, in order; np.unique, but without sorting millions of small integers."""
    if not voxels.size or voxels.dtype.kind not in "iu":
        return np.unique(voxels)
    lowest, highest = int(voxels.min()), int(voxels.max())  # Python's, which do not overflow
    if highest - lowest >= MOST_COUNTED:
        return np.unique(voxels)
    return np.flatnonzero(np.bincount(np.subtract(voxels.ravel(), lowest, dtype=np.int64))) + lowest


def listed(values: Sequence[float] | NDArray) -> str:
    """List the first values as a user knows them: whole numbers with all their digits."""
    shown = [f"{value:.0f}" if np.isfinite(value) and value == round(value) else f"{value:g}" for value in values]
    return shorten(shown, MOST_SHOWN)


def remedy(values: NDArray, labelling: Labelling) -> str:
    """Say what values that are no labels of a dataset look like, and what helps."""
    if (mapping := release_mapping(values, labelling)) is not None:
        pairs = ", ".join(f"{own} → {wanted}" for own, wanted in sorted(mapping.items()))
        return (
            f"These look like the values of the release. Map all of them at once to those of the dataset, {pairs}; "
            "one of them alone would exchange regions"
        )
    return what_they_are(values, len(labelling.values)) or "Map its values to those of the dataset first"


def what_they_are(values: NDArray, known: int) -> str:
    """Say what values look like if not like labels, with the remedy; nothing if they may be labels.

    Args:
        values: the different ones of a file.
        known: how many labels there are.
    """
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
    if len(values) > known + FEW:
        return "So many different values are those of an image, or of probabilities that were scaled to whole numbers"
    return ""


def release_mapping(values: NDArray, labelling: Labelling) -> dict[int, int] | None:
    """Return the dataset's value of each of the release's, if a file holds the release's; None if not.

    `convert` notes the release's values in dataset.json. Without the note, a 4 beside three nested regions of 1 to 3
    tells that the file has the values of BraTS up to 2021.
    """
    own = {original: index for index, original in labelling.original.items()}
    nested = [set(region) for region in labelling.regions.values()]
    if not own and labelling.values == (0, 1, 2, 3) and {1, 2, 3} in nested and {3} in nested:
        core = [region for region in nested if len(region) == 2]
        if core == [{2, 3}]:
            own = {0: 0, 1: 2, 2: 1, 4: 3}
        elif core == [{1, 3}]:
            own = {0: 0, 1: 1, 2: 2, 4: 3}
    found = set(values.tolist())
    if not found <= set(own) or found <= set(labelling.values):
        return None
    return {original: index for original, index in own.items() if original}


def difference(grid: VoxelGrid, reference: VoxelGrid, owner: str = "its reference") -> str:
    """Say how a grid differs from another one, and what helps."""
    if grid.size != reference.size:
        ours, theirs = (" x ".join(map(str, part.size)) for part in (grid, reference))
        return f"has {ours} voxels, {owner} {theirs}; resample it to the {owner.removeprefix('its ')}"
    fields = " and ".join(
        f"has the {name} {in_brackets(getattr(grid, name))}, {owner} {in_brackets(getattr(reference, name))}"
        for name in grid.differences(reference)
    )
    return f"{fields}; resample it to the {owner.removeprefix('its ')}, or mend its header"


def in_brackets(numbers: Sequence[float]) -> str:
    """Write numbers as a user reads them in a header."""
    return "(" + ", ".join(f"{number:g}" for number in numbers) + ")"
