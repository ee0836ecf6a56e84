"""Images and segmentations, read in one place: whole or not at all, with voxels as they are stored.

ITK reads a NIfTI of which half is missing without a word, and NaN in it as 0. So NIfTI's voxels are read by nibabel,
from the whole content; ITK, which nnU-Net reads with, says where they lie.
"""

import errno
import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from segan_nnunet.errors import InputError

TOLERANCE = 1e-3  # mm for spacing and origin, cosines for direction: more than headers' rounding, less than a voxel
FETCH_AGAIN = "fetch or write it again"
CUT_OFF = f"was cut off: its compressed data have no end; {FETCH_AGAIN}"
DAMAGED = f"is damaged: its compressed data do not fit their checksum; {FETCH_AGAIN}"


class VolumeError(InputError):
    """A file is no whole image; with its path, the cause, and what helps."""


@dataclass(frozen=True)
class VoxelGrid:
    """Where voxels lie, in ITK's order x, y, z.

    Attributes:
        size: voxels per axis.
        spacing: mm.
        origin: of the first voxel's centre, mm.
        direction: cosines, row by row.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    def differences(self, other: "VoxelGrid") -> list[str]:
        """Names of what differs by more than a header's rounding."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return [
            name
            for name, own, theirs in pairs
            if len(own) != len(theirs) or not np.allclose(own, theirs, rtol=0, atol=0 if name == "size" else TOLERANCE)
        ]

    def is_nnunet_s(self, other: "VoxelGrid") -> bool:
        """Whether nnU-Net takes the two for the same: its tolerance is numpy's, and relative."""
        return not self.differences(other) and np.allclose(self.spacing, other.spacing)


@dataclass(frozen=True)
class Volume:
    """An image or a segmentation.

    Attributes:
        path: its file.
        voxels: in numpy's order, the last axis x.
        grid: where they lie.
    """

    path: Path
    voxels: NDArray
    grid: VoxelGrid

    def on(self, grid: VoxelGrid) -> NDArray | None:
        """The voxels in another grid's order, if it has the same voxel centres under flips and swaps of axes."""
        axes = len(self.grid.size)
        if len(grid.size) != axes:
            return None
        own, theirs = (np.reshape(one.direction, (axes, axes)) for one in (self.grid, grid))
        turn = theirs.T @ own  # column j: own axis j, seen from the other grid
        signed = np.round(turn)
        if not (np.allclose(turn, signed, atol=TOLERANCE) and (np.abs(signed).sum(0) == 1).all()):
            return None
        order = np.abs(signed).argmax(1)  # own axis that lies along each of the other's
        flips = [axis for axis in range(axes) if signed[axis, order[axis]] < 0]
        corner = np.zeros(axes)  # own index of the voxel that becomes the first
        corner[order[flips]] = np.array(self.grid.size)[order[flips]] - 1
        turned = VoxelGrid(
            tuple(np.array(self.grid.size)[order].tolist()),
            tuple(np.array(self.grid.spacing)[order].tolist()),
            tuple((np.array(self.grid.origin) + own @ (corner * np.array(self.grid.spacing))).tolist()),
            grid.direction,
        )
        if turned.differences(grid):
            return None
        x_first = self.voxels.T.transpose(order)
        return np.ascontiguousarray(np.flip(x_first, tuple(flips)).T)


def read_volume(path: Path, volume: int | None = None, dimensions: Collection[int] = (3,)) -> Volume:
    """Read an image, or one volume of a 4-D image.

    Args:
        path: of a NIfTI, MetaImage or NRRD file, or whatever else ITK reads.
        volume: which of a 4-D image.
        dimensions: numbers of axes that are accepted, without `volume`.

    Raises:
        VolumeError: the file is not there, no image, not whole, or not such an image; with what helps.
    """
    check_file(path)
    header = read_header(path)
    voxels = nifti_voxels(path) if is_nifti(path) else itk_voxels(path)
    axes = header.GetDimension()
    voxels = voxels.reshape(header.GetSize()[::-1])  # without the single entries of further axes
    if volume is not None:
        if axes != 4:
            raise VolumeError(f"{path} has {axes} dimensions, not the 4 that hold several channels")
        if volume >= len(voxels):
            raise VolumeError(f"{path} has {len(voxels)} volumes, and volume {volume} was wanted")
        voxels = voxels[volume]
    elif axes not in dimensions:
        wanted = " or ".join(map(str, dimensions))
        raise VolumeError(f"{path} has {axes} dimensions, not {wanted}; several channels go into a file each")
    return Volume(path, voxels, grid_of(header))


def read_grid(path: Path) -> VoxelGrid:
    """Where an image's voxels lie, of a 4-D image the first three axes, without reading them.

    Raises:
        VolumeError: as `read_volume`, as far as the header shows it.
    """
    check_file(path)
    return grid_of(read_header(path))


def grid_of(header: sitk.ImageFileReader) -> VoxelGrid:
    """The grid that a header describes, of 4-D images the first three axes."""
    axes, kept = header.GetDimension(), min(header.GetDimension(), 3)
    direction = np.reshape(header.GetDirection(), (axes, axes))[:kept, :kept]
    size, spacing, origin = (of[:kept] for of in (header.GetSize(), header.GetSpacing(), header.GetOrigin()))
    return VoxelGrid(size, spacing, origin, tuple(direction.ravel().tolist()))


def check_file(path: Path) -> None:
    """Check that a file can be opened, and is not something else under an image's name.

    Raises:
        VolumeError: it cannot, or is.
    """
    if not path.exists():
        if path.is_symlink():
            target = os.readlink(path)
            raise VolumeError(f"{path} is a link to {target}, which is not there; bring it back, or convert again")
        raise VolumeError(f"{path} does not exist")
    if not path.is_file():
        raise VolumeError(f"{path} is no file")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except PermissionError as error:
        raise VolumeError(f"{path} may not be read by you; ask its owner for the right to (chmod g+r)") from error
    except OSError as error:
        raise VolumeError(f"{path} cannot be read from its disk: {error.strerror}") from error
    if not start:
        raise VolumeError(f"{path} is empty; {FETCH_AGAIN}")
    if start.startswith(b"version https://git-lfs"):
        raise VolumeError(f"{path} is a pointer of Git LFS, not the image itself; get it with `git lfs pull`")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise VolumeError(f"{path} is a web page, not an image; the download wanted a login perhaps: {FETCH_AGAIN}")


def read_header(path: Path) -> sitk.ImageFileReader:
    """Read an image's header.

    Raises:
        VolumeError: ITK cannot, or its voxels are vectors.
    """
    if is_nifti(path) and path.name != path.name.lower():  # ITK knows neither .NII.gz nor .Nii
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / path.name.lower()
            link.symlink_to(path.resolve())
            return read_header(link)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise VolumeError(
                f"{path} has axes that are not at right angles, which nnU-Net does not read. If that is its header's "
                "rounding, write the header anew (an sform with orthonormal columns); else resample the image"
            ) from error
        if path.name.lower().endswith(".gz"):
            whole_content(path)  # may know better
        raise VolumeError(f"{path} is no image, or damaged; {FETCH_AGAIN} ({last_line(error)})") from error
    if reader.GetNumberOfComponents() != 1:
        raise VolumeError(
            f"{path} has {reader.GetNumberOfComponents()} values per voxel, a colour or a vector; "
            "an image or a segmentation has one"
        )
    return reader


def is_nifti(path: Path) -> bool:
    """Whether a file is named like NIfTI."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def nifti_voxels(path: Path) -> NDArray:
    """Voxels of a NIfTI file in numpy's order, scaled as its header says.

    Raises:
        VolumeError: the file is not whole.
    """
    content = whole_content(path)
    kind = nibabel.Nifti2Image if content[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c") else nibabel.Nifti1Image
    try:
        voxels = np.asanyarray(kind.from_bytes(content).dataobj)
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise VolumeError(f"{path} holds less than its header promises; it was cut off: {FETCH_AGAIN}") from error
    return np.ascontiguousarray(voxels.T).astype(voxels.dtype.newbyteorder("="), copy=False)


def itk_voxels(path: Path) -> NDArray:
    """Voxels of any other file in numpy's order.

    Raises:
        VolumeError: the file is not whole.
    """
    check_compressed_part(path)
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise VolumeError(f"{path} is damaged or was cut off; {FETCH_AGAIN} ({last_line(error)})") from error


def whole_content(path: Path) -> bytes:
    """A file's content, uncompressed, read to its end.

    Raises:
        VolumeError: it ends too early, or its checksum is wrong.
    """
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        if path.name.lower().endswith(".gz"):
            raise VolumeError(f"{path} is not compressed, though its name ends in .gz; rename it, or compress it")
        return content
    try:
        return gzip.decompress(content)
    except EOFError as error:
        raise VolumeError(f"{path} {CUT_OFF}") from error
    except (OSError, zlib.error) as error:
        raise VolumeError(f"{path} {DAMAGED}") from error


def check_compressed_part(path: Path) -> None:
    """Check the checksum of a MetaImage's or NRRD's compressed voxels, which ITK does not; raises VolumeError."""
    ends = {".mha": b"ElementDataFile = LOCAL\n", ".nrrd": b"\n\n"}  # of the header
    header, _, body = path.read_bytes().partition(ends.get(path.suffix.lower(), b"\n\n"))
    if not body or not any(said in header.lower() for said in (b"compresseddata = true", b"encoding: gz")):
        return
    decompressor = zlib.decompressobj(wbits=47)  # zlib's or gzip's frame
    try:
        decompressor.decompress(body)
    except zlib.error as error:
        raise VolumeError(f"{path} {DAMAGED}") from error
    if not decompressor.eof:
        raise VolumeError(f"{path} {CUT_OFF}")


def write_volume(voxels: NDArray, grid: VoxelGrid, path: Path) -> None:
    """Write voxels in numpy's order on a grid of as many axes, compressed where the format can.

    Raises:
        InputError: the disk is full, or the file may not be written.
    """
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    try:
        sitk.WriteImage(image, str(path), True)
    except RuntimeError as error:
        full = shutil.disk_usage(path.parent).free < voxels.nbytes
        reason = os.strerror(errno.ENOSPC) if full else last_line(error)
        raise InputError(f"{path} cannot be written: {reason}") from error


def last_line(error: Exception) -> str:
    """The last line of ITK's message, which says the most."""
    return str(error).strip().splitlines()[-1]
