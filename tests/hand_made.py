"""Write small files by hand, in the layout of BRATS 2015 and in a user's own layout."""

import json
from collections.abc import Iterator, Mapping
from itertools import permutations, product
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from segan_nnunet.data.volumes import Volume, VoxelGrid

SIZE = (6, 5, 4)  # x, y, z
MODALITIES = ("Flair", "T1", "T1c", "T2")
VALUES = np.arange(np.prod(SIZE)).reshape(SIZE[::-1])


def write_volume(path: Path, values: np.ndarray, spacing: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = sitk.GetImageFromArray(values)
    picture.SetSpacing([spacing] * 3)
    sitk.WriteImage(picture, str(path))


def write_2015_case(
    release: Path,
    grade: str,
    case: str,
    number: int,
    truth: bool = True,
    without: str = "",
    label_type: type = np.int16,
) -> Path:
    """Write one case in the layout of BRATS 2015. Its labels are 0 to 4."""
    folder = release / grade / case
    for offset, modality in enumerate(MODALITIES):
        if modality != without:
            name = f"VSD.Brain.XX.O.MR_{modality}.{number + offset}"
            values = np.full(SIZE[::-1], 100 + offset, np.int16)
            values[0, 0, 0] = number  # every case is different
            write_volume(folder / name / f"{name}.mha", values)
    if truth:
        name = f"VSD.Brain_3more.XX.O.OT.{number + 4}"
        labels: np.ndarray = (np.arange(np.prod(SIZE)) % 5).reshape(SIZE[::-1]).astype(label_type)
        write_volume(folder / name / f"{name}.mha", labels)
    return folder


def write_own_case(folder: Path, case: str, labels: np.ndarray) -> None:
    write_volume(folder / case / "t1c.nii.gz", np.ones(SIZE[::-1], np.float32))
    write_volume(folder / case / "seg.nii.gz", labels)


def overwrite(release: Path, case: str, what: str, values: np.ndarray) -> Path:
    """Replace the voxels of one file of a case; return the file."""
    path = next(release.rglob(f"{case}/*{what}*/*.mha"))
    write_volume(path, values)
    return path


def no_dataset_left(folders: Path) -> bool:
    return not list((folders / "nnUNet_raw").iterdir())


REGIONS = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}


def write_balls(folder: Path, number: int, labels: Mapping[str, object], size: int = 36) -> Path:
    """Write three cases of nested balls in noise. With an ignore label, a slab of each volume carries it."""
    name = f"Dataset{number:03d}_Balls"
    dataset = folder / "nnUNet_raw" / name
    for part in ("imagesTr", "labelsTr"):
        (dataset / part).mkdir(parents=True)
    rng = np.random.default_rng(number)
    grid = np.indices((size,) * 3)
    for case in range(3):
        centre = rng.uniform(0.4, 0.6, 3) * size
        distance = np.sqrt(((grid - centre[:, None, None, None]) ** 2).sum(0))
        truth = (distance < 12).astype(np.uint8) + (distance < 8) + (distance < 5)
        for channel in range(2):
            image = truth * (channel + 1) + rng.normal(0, 0.3, truth.shape)
            path = dataset / "imagesTr" / f"case_{case}_{channel:04d}.nii.gz"
            sitk.WriteImage(sitk.GetImageFromArray(image.astype(np.float32)), str(path))
        if "ignore" in labels:
            truth[:6] = 4
        sitk.WriteImage(sitk.GetImageFromArray(truth), str(dataset / "labelsTr" / f"case_{case}.nii.gz"))
    described = {
        "channel_names": {"0": "T1c", "1": "FLAIR"},
        "labels": labels,
        "numTraining": 3,
        "file_ending": ".nii.gz",
        **({} if "edema" in labels else {"regions_class_order": [1, 2, 3]}),
    }
    (dataset / "dataset.json").write_text(json.dumps(described))
    return dataset


def every_turn(voxels: np.ndarray, grid: VoxelGrid) -> Iterator[Volume]:
    """Yield a volume with its axes in all 48 orders and directions. No voxel centre moves.

    Args:
        voxels: z, y, x.
        grid: the grid of these voxels.
    """
    size, spacing, direction = np.array(grid.size), np.array(grid.spacing), np.reshape(grid.direction, (3, 3))
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        axes = list(order)
        first = np.zeros(3)  # the voxel that becomes the first
        first[axes] = [(size[axis] - 1) * (sign < 0) for axis, sign in zip(axes, signs, strict=True)]
        turned = VoxelGrid(
            tuple(size[axes].tolist()),
            tuple(spacing[axes].tolist()),
            tuple((np.array(grid.origin) + direction @ (first * spacing)).tolist()),
            tuple((direction[:, axes] * signs).ravel().tolist()),
        )
        x_first = voxels.T.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
        yield Volume(Path("a"), np.ascontiguousarray(x_first.T), turned)
