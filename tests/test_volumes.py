"""Volumes are read completely or not at all, including NaN, and reoriented if only the order of their axes differs."""

import gzip
import zlib
from itertools import product
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from segan_nnunet.data.labelling import whole_numbers
from segan_nnunet.data.volumes import Volume, VoxelGrid, read_volume, write_volume
from segan_nnunet.data.volumes.whole_files import check_end, check_voxels
from segan_nnunet.errors import InputError
from tests.hand_made import every_turn

GRID = VoxelGrid((5, 4, 3), (1.0, 2.0, 3.0), (-7.0, 8.0, 9.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
VOXELS = np.random.default_rng(0).integers(-500, 500, (3, 4, 5)).astype(np.int16)
ENDINGS = (".nii", ".nii.gz", ".mha", ".nrrd")


def written(path: Path, voxels: np.ndarray = VOXELS) -> Path:
    write_volume(voxels, GRID, path)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_reading_returns_the_written_volume(tmp_path: Path, ending: str) -> None:
    volume = read_volume(written(tmp_path / f"a{ending}"))
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert volume.grid.differences(GRID) == [] and volume.voxels.dtype == np.int16


@pytest.mark.parametrize(("ending", "part"), product(ENDINGS, (0.1, 0.5, 0.95)))
def test_reading_refuses_a_truncated_file(tmp_path: Path, ending: str, part: float) -> None:
    path = written(tmp_path / f"a{ending}", np.random.default_rng(1).integers(0, 99, (3, 4, 5)).astype(np.int16))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(InputError, match="a\\..*(cut off|damaged|no image)"):
        read_volume(path)


def test_the_end_of_a_file_shows_the_truncation(tmp_path: Path) -> None:
    """This check runs before planning. It reads a whole file only if its end does not fit. Several streams pass."""
    path = written(tmp_path / "a.nii.gz", np.random.default_rng(1).integers(0, 99, (3, 4, 5)).astype(np.int16))
    content = path.read_bytes()
    check_end(path)
    plain = gzip.decompress(content)
    path.write_bytes(gzip.compress(plain[:200]) + gzip.compress(plain[200:]))
    check_end(path)
    for missing in (1, 4, 8, 30):
        path.write_bytes(content[:-missing])
        with pytest.raises(InputError, match="cut off|damaged"):
            check_end(path)


@pytest.mark.parametrize("ending", [".nii.gz", ".mha", ".nrrd"])
def test_reading_refuses_a_wrong_checksum(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"a{ending}")
    content = bytearray(path.read_bytes())
    content[-6] ^= 0x55  # the error is in the checksum, or before it
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged|cut off"):
        read_volume(path)


def test_reading_refuses_a_complete_gzip_of_half_a_nifti(tmp_path: Path) -> None:
    whole = gzip.decompress(written(tmp_path / "a.nii.gz").read_bytes())
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(whole[:-20]))
    with pytest.raises(InputError, match="less than its header promises"):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("ending", ENDINGS)
def test_reading_keeps_nan_and_infinity(tmp_path: Path, ending: str) -> None:
    voxels = VOXELS.astype(np.float32)
    voxels[0, 1, 2], voxels[2, 3, 4] = np.nan, -np.inf
    np.testing.assert_array_equal(read_volume(written(tmp_path / f"a{ending}", voxels)).voxels, voxels)


def test_each_cause_of_a_read_error_has_its_own_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    with pytest.raises(InputError, match="does not exist"):
        read_volume(path)
    path.symlink_to(tmp_path / "gone.nii.gz")
    with pytest.raises(InputError, match="is a link to .*gone.nii.gz, which does not exist; restore it"):
        read_volume(path)
    path.unlink()
    for content, message in (
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>Please log in</body></html>", "is a web page"),
        (gzip.compress(b"nothing of an image" * 50), "is no image"),
        (b"nothing of an image" * 50, "is not compressed|is no image"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_volume(path)
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(path))
    with pytest.raises(InputError, match="3 values per voxel"):
        read_volume(path)


def test_an_error_for_sheared_axes_does_not_advise_a_new_download(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[0, 1] = 0.002
    image = nibabel.Nifti1Image(np.zeros((5, 4, 3), np.int16), None)
    image.set_qform(None, 0)
    image.set_sform(affine, 1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="not at right angles.*write the header anew") as caught:
        read_volume(tmp_path / "a.nii.gz")
    assert "fetch" not in str(caught.value)


def test_reading_selects_one_volume_of_a_4d_file(tmp_path: Path) -> None:
    image = sitk.JoinSeries([sitk.GetImageFromArray(VOXELS), sitk.GetImageFromArray(VOXELS + 1)])
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz", 1).voxels, VOXELS + 1)
    for volume, message in ((None, "4 dimensions, not 3"), (2, "has 2 volumes, and no volume 2")):
        with pytest.raises(InputError, match=message):
            read_volume(tmp_path / "a.nii.gz", volume)


def test_reorienting_restores_every_axis_order() -> None:
    turns = list(every_turn(VOXELS, GRID))
    assert len({turn.grid for turn in turns}) == 48
    for turn in turns:
        back = turn.on(GRID)
        assert back is not None
        np.testing.assert_array_equal(back, VOXELS)


@pytest.mark.parametrize(
    "other",
    [
        VoxelGrid(GRID.size, GRID.spacing, (-7.0, 8.0, 9.5), GRID.direction),
        VoxelGrid(GRID.size, (1.0, 2.0, 3.1), GRID.origin, GRID.direction),
        VoxelGrid(GRID.size, GRID.spacing, GRID.origin, (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)),
        VoxelGrid((5, 4, 4), GRID.spacing, GRID.origin, GRID.direction),
        VoxelGrid(GRID.size, GRID.spacing, GRID.origin, (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)),
    ],
)
def test_other_voxel_centres_make_another_grid(other: VoxelGrid) -> None:
    assert Volume(Path("a"), VOXELS, GRID).on(other) is None


def test_grids_tolerate_header_rounding_and_nnunet_uses_its_own_tolerance() -> None:
    rounded = VoxelGrid(GRID.size, (1.0005, 2.0, 3.0), GRID.origin, GRID.direction)
    assert Volume(Path("a"), VOXELS, GRID).on(rounded) is not None
    assert not GRID.matches_nnunet_grid(rounded) and GRID.matches_nnunet_grid(GRID)


def test_labels_shifted_by_rounding_become_whole_numbers() -> None:
    moved = np.array([0.0, 0.9995, 2.0004, 4.0])
    np.testing.assert_array_equal(whole_numbers(moved), [0, 1, 2, 4])
    for values in (np.array([0.5, 1.0]), np.array([np.nan, 1.0]), np.array([1.002])):
        assert whole_numbers(values) is values


def test_reorienting_tolerates_header_rounding() -> None:
    """Spacing 0.46875 against 0.4688 moves the far corner of 240 voxels by a hundredth of a millimetre."""
    identity = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
    image = VoxelGrid((240, 4, 3), (0.46875, 1.0, 1.0), (0.0, 0.0, 0.0), identity)
    mirrored = VoxelGrid(image.size, (0.4688, 1.0, 1.0), (239 * 0.4688, 0.0, 0.0), (-1.0, *identity[1:]))
    voxels = np.arange(240 * 12).reshape(3, 4, 240)
    turned = Volume(Path("a"), voxels[:, :, ::-1], mirrored).on(image)
    assert turned is not None
    np.testing.assert_array_equal(turned, voxels)


def test_messages_name_the_user_file_with_any_letters(tmp_path: Path) -> None:
    for name, content, message in (
        ("BraTS_1.NII.gz", gzip.compress(b"nothing of an image" * 50), "is no image"),
        ("BraTS_2.nii", written(tmp_path / "a.nii.gz").read_bytes(), "compressed.*rename it to .nii.gz"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{tmp_path}/{name}.*{message}"):
            read_volume(tmp_path / name)
    nibabel.save(nibabel.Nifti2Image(np.zeros((5, 4, 3), np.int16), np.eye(4)), tmp_path / "two.nii")
    with pytest.raises(InputError, match="two.nii is no image in NIfTI-1.*write it as NIfTI-1"):
        read_volume(tmp_path / "two.nii")


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_an_error_counts_the_missing_voxels(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path), False)
    check_voxels(path, VOXELS.shape, "16-bit signed integer")
    path.write_bytes(path.read_bytes()[:-2])
    message = f"was cut off: it holds {VOXELS.nbytes - 2} bytes of voxels, and its header promises {VOXELS.nbytes}"
    for read in (lambda: check_voxels(path, VOXELS.shape, "16-bit signed integer"), lambda: read_volume(path)):
        with pytest.raises(InputError, match=f"{path} {message}"):
            read()


def test_reading_refuses_a_complete_stream_of_half_the_voxels(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mha")
    header, separator, body = path.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    half = zlib.compress(zlib.decompress(body)[: VOXELS.nbytes // 2])
    for local in (separator, b"ElementDataFile=LOCAL\r\n"):
        path.write_bytes(header + local + half)
        with pytest.raises(InputError, match="it holds 60 bytes of voxels, and its header promises 120|no image"):
            read_volume(path)
