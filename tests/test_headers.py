"""Spacings, grids and pictures of other tools are read as nnU-Net and ITK read them, or refused by name."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.imageio.tif_reader_writer import Tiff3DIO
from PIL import Image

from segan_nnunet.data.labelling import Labelling
from segan_nnunet.data.volumes import Volume, VoxelGrid, read_grid, read_volume
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.measurement import Case, measure, measure_case

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
IDENTITY = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
LESION = Labelling({"lesion": (1,)}, (0, 1), None, ("T2",), ".tif")
GREY = np.array([[0, 1, 1, 0], [0, 1, 2, 0], [0, 0, 2, 2]], np.uint8)


def nifti_with(path: Path, axis: int, value: float, order: str = "<", codes: tuple[int, int] = (0, 0)) -> Path:
    """Return a NIfTI with these pixdim values. `codes` are those of qform and sform."""
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_shape((5, 4, 3))
    header.set_data_dtype(np.int16)
    raw = bytearray(nibabel.Nifti1Image(VOXELS.T, None, header).to_bytes())
    struct.pack_into(f"{order}f", raw, 76 + 4 * axis, value)
    struct.pack_into(f"{order}hh", raw, 252, *codes)
    path.write_bytes(raw)
    return path


def text_with(path: Path, old: str, new: str) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path), False)
    content = path.read_bytes()
    assert old.encode() in content
    path.write_bytes(content.replace(old.encode(), new.encode(), 1))
    return path


NRRD_DIRECTIONS = "space: left-posterior-superior\nsizes: 5 4 3\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (1, 1)])
def test_a_negative_spacing_is_read_as_a_direction_as_itk_does(tmp_path: Path, codes: tuple[int, int]) -> None:
    for path in (
        nifti_with(tmp_path / "a.nii", 2, -2.5, codes=codes),
        nifti_with(tmp_path / "b.nii", 1, -1.0, ">", codes),
        text_with(tmp_path / "c.mha", "ElementSpacing = 1 1 1", "ElementSpacing = 1 1 -3"),
    ):
        whole, grid = sitk.ReadImage(str(path)), read_volume(path).grid
        assert grid.spacing == whole.GetSpacing() and min(grid.spacing) > 0
        assert grid.direction == whole.GetDirection() and -1 in grid.direction
        assert grid == read_grid(path)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_an_invalid_spacing_is_named(tmp_path: Path, value: float) -> None:
    paths = [nifti_with(tmp_path / f"{order}{axis}.nii", axis, value, *more)
             for order, axis, more in (("l", 3, ()), ("b", 1, (">",)), ("s", 2, ("<", (1, 1))))]  # fmt: skip
    paths.append(text_with(tmp_path / "a.mha", "ElementSpacing = 1 1 1", f"ElementSpacing = 1 {value:g} 1"))
    if value != value:
        paths.append(
            text_with(tmp_path / "a.nrrd", NRRD_DIRECTIONS, "sizes: 5 4 3\nspacings: 1 nan 1\nspace dimension: 3\n")
        )
    for path in paths:
        for read in (read_volume, read_grid):
            with pytest.raises(
                InputError, match=f"{path.name} has the spacing .* write the true spacing|{path.name}.*no"
            ):
                read(path)


def test_the_time_spacing_may_be_0(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.stack([VOXELS.T, VOXELS.T], -1), np.eye(4))
    image.header["pixdim"][4] = 0
    nibabel.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz", 1).voxels, VOXELS)


def test_a_header_without_a_spacing_is_recognised(tmp_path: Path) -> None:
    without = text_with(tmp_path / "a.mha", "ElementSpacing = 1 1 1\n", "")
    assert read_volume(without).grid.spacing == (1, 1, 1) and not read_grid(without).has_spacing
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "b.nrrd"))
    assert read_grid(tmp_path / "b.nrrd").has_spacing


def test_grids_are_compared_relative_to_the_voxel_size() -> None:
    brain = VoxelGrid((5, 4, 3), (1.0, 1.0, 1.0), (0.0, -239.0, 0.0), IDENTITY)
    registered = replace(brain, origin=(0.002, -239.0, 0.0))
    assert brain.differences(registered) == [] and Volume(Path("a"), VOXELS, registered).on(brain) is not None
    assert brain.differences(replace(brain, origin=(0.5, -239.0, 0.0))) == ["origin"]
    section = replace(brain, spacing=(5e-4,) * 3, origin=(0.0, 0.0, 0.0))  # half a micrometre
    assert section.differences(replace(section, spacing=(1e-3, 5e-4, 5e-4))) == ["spacing"]
    assert section.differences(replace(section, origin=(2.5e-4, 0.0, 0.0))) == ["origin"]


def write_tiff(folder: Path, mask: np.ndarray, spacing: object = None) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "case.tif"
    tifffile.imwrite(path, mask, compression="zlib")
    if spacing is not None:
        (folder / "case.json").write_text(json.dumps({"spacing": spacing}))
    return path


def test_the_spacing_of_a_3d_tiff_is_read_from_the_json_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((6, 10, 10), np.uint8)
    mask[2:4, 3:6, 3:6] = 1
    spacing = [3.0, 0.5, 0.25]  # z, y, x
    (tmp_path / "ref").mkdir()
    Tiff3DIO().write_seg(mask, str(tmp_path / "ref" / "case.tif"), {"spacing": spacing})
    reference = tmp_path / "ref" / "case.tif"
    assert read_volume(reference).grid.spacing == (0.25, 0.5, 3.0)
    shifted = np.roll(mask, 2, axis=0)
    predictions = {
        "described": write_tiff(tmp_path / "described", shifted, spacing),
        "undescribed": write_tiff(tmp_path / "undescribed", shifted),
    }
    for methods in (predictions, {"described": predictions["described"]}):
        table = measure([Case("case", reference, methods)], LESION, 1)
        assert table["HD95_mm"].tolist() == [6.0] * len(methods), "two slices of 3 mm"
        assert table["voxel_ml"].tolist() == [3 * 0.5 * 0.25 / 1000] * len(methods)
        reference = write_tiff(
            tmp_path / "gt_segmentations", mask
        )  # nnU-Net copies no spacing here, so the prediction's spacing counts
    assert "WARNING" not in capsys.readouterr().out
    table = measure([Case("case", reference, {"undescribed": predictions["undescribed"]})], LESION, 1)
    assert table["HD95_mm"].tolist() == [2.0]
    assert f"the first {reference}, do not say their spacing. 1 mm is taken" in capsys.readouterr().out


@pytest.mark.parametrize("spacing", [[3.0, 0.5], [3.0, 0.5, 0.0], [1, 1, float("nan")], ["a", 1, 1], 3])
def test_an_unusable_spacing_file_of_a_tiff_is_named(tmp_path: Path, spacing: object) -> None:
    path = write_tiff(tmp_path, np.ones((2, 5, 6), np.uint8), spacing)
    with pytest.raises(InputError, match="case.json .*nnU-Net wants"):
        read_volume(path)


def test_the_spacings_of_two_predictions_must_agree(tmp_path: Path) -> None:
    mask = np.ones((2, 5, 6), np.uint8)
    paths = {name: write_tiff(tmp_path / name, mask, [z, 1, 1]) for name, z in (("a", 1), ("b", 2))}
    measured = measure_case(Case("case", write_tiff(tmp_path / "ref", mask), paths), LESION)
    assert "b/case.tif has the spacing (1, 1, 2), its reference (1, 1, 1)" in measured.problems[0]


def save(name: str, folder: Path) -> Path:
    """Save a grey picture of 0, 1, 2 (of 0, 1 if the name begins with `bit`) in one of many forms."""
    path = folder / name
    palette = Image.fromarray(GREY).convert("P")
    palette.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2])
    {
        "grey": lambda: Image.fromarray(GREY).save(path, dpi=(72, 72)),
        "bit": lambda: Image.fromarray(GREY > 0).save(path),
        "wide": lambda: Image.fromarray(GREY.astype(np.uint16)).save(path),
        "rgb": lambda: Image.fromarray(np.stack([GREY] * 3, -1)).save(path),
        "palette": lambda: palette.save(path),
        "float": lambda: tifffile.imwrite(path, GREY.astype(np.float32), resolution=(300, 300)),
    }[path.stem]()
    return path


@pytest.mark.parametrize(
    "name",
    [
        "grey.png",
        "grey.bmp",
        "grey.tif",
        "bit.png",
        "bit.bmp",
        "bit.tif",
        "wide.png",
        "wide.tif",
        "float.tif",
        "GREY.TIF",
    ],
)
def test_pictures_are_read_as_nnunet_reads_them(tmp_path: Path, name: str) -> None:
    path = save(name.lower(), tmp_path).rename(tmp_path / name)
    volume = read_volume(path, dimensions=(2,))
    np.testing.assert_array_equal(volume.voxels, NaturalImage2DIO().read_seg(str(path))[0][0, 0])
    np.testing.assert_array_equal(volume.voxels, GREY > 0 if name.startswith("bit") else GREY)
    assert volume.grid.spacing == (1, 1) and not volume.grid.has_spacing


def test_grey_rgb_pictures_are_read_as_grey_and_coloured_pictures_are_refused(tmp_path: Path) -> None:
    for name in ("rgb.png", "rgb.bmp", "rgb.tif", "palette.png"):
        np.testing.assert_array_equal(read_volume(save(name, tmp_path), dimensions=(2,)).voxels, GREY)
    coloured = Image.fromarray(GREY).convert("P")
    coloured.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    coloured.save(tmp_path / "voc.png")
    with pytest.raises(InputError, match="voc.png shows colours.*palette's indices"):
        read_volume(tmp_path / "voc.png", dimensions=(2,))
    coloured.convert("RGB").save(tmp_path / "red.bmp")
    with pytest.raises(InputError, match="red.bmp shows colours, 3 values per pixel"):
        read_volume(tmp_path / "red.bmp", dimensions=(2,))


@pytest.mark.parametrize("name", ["grey.png", "grey.bmp", "float.tif"])
def test_a_truncated_picture_is_refused(tmp_path: Path, name: str) -> None:
    path = save(name, tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(InputError, match=f"{name} is no image, or damaged"):
        read_volume(path, dimensions=(2,))
