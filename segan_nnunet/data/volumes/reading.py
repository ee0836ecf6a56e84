"""Images and segmentations, read in one place: whole or not at all, with voxels as they are stored.

ITK reads a NIfTI of which half is missing without a word, and NaN in it as 0. So NIfTI's voxels are read by nibabel,
from the whole content; ITK, which nnU-Net reads with, says where they lie. Pictures have a reader of their own.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from segan_nnunet.data.volumes.grid import Volume, VoxelGrid
from segan_nnunet.data.volumes.pictures import is_picture, read_picture
from segan_nnunet.data.volumes.whole_files import (
    FETCH_AGAIN,
    VolumeError,
    check_file,
    check_nifti,
    check_spacing,
    check_voxels,
    has_spacing,
    is_nifti,
    whole_content,
)
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_name


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
    if is_picture(path):
        read = read_picture(path)
        voxels, axes, grid = read.voxels, read.voxels.ndim, read.grid
    else:
        header = read_header(path)
        axes, grid = header.GetDimension(), grid_of(header, path)  # first: ITK reads no image without a spacing
        voxels = nifti_voxels(path) if is_nifti(path) else itk_voxels(path, header)
        voxels = voxels.reshape(header.GetSize()[::-1])  # without the single entries of further axes
    if volume is not None:
        if axes != 4:
            raise VolumeError(f"{path} has {axes} dimensions, not the 4 that hold several channels")
        if volume >= len(voxels):
            raise VolumeError(f"{path} has {len(voxels)} volumes, and volume {volume} was wanted")
        voxels = voxels[volume]
    elif axes not in dimensions:
        wanted = " or ".join(map(str, dimensions))
        raise VolumeError(
            f"{path} has {axes} dimensions, not {wanted}: {' x '.join(map(str, voxels.shape[::-1]))}. Channels of "
            "images go into a file each; merge a channel per region into one label per voxel"
        )
    return Volume(path, voxels, grid)


def read_on(source: Path, grid: VoxelGrid, volume: int | None = None) -> NDArray:
    """Read voxels in the order of a grid's axes; as they are where the header alone is wrong.

    Raises:
        VolumeError: as `read_volume`.
    """
    read = read_volume(source, volume)
    turned = read.on(grid)
    return read.voxels if turned is None else turned


def read_grid(path: Path) -> VoxelGrid:
    """Where an image's voxels lie, of a 4-D image the first three axes, without reading them.

    Raises:
        VolumeError: as `read_volume`, as far as the header shows it.
    """
    check_file(path)
    return read_picture(path).grid if is_picture(path) else grid_of(read_header(path), path)


def grid_of(header: sitk.ImageFileReader, path: Path) -> VoxelGrid:
    """Return the grid that a header describes, of 4-D images the first three axes.

    A spacing below 0 is turned into a direction, as ITK turns it where it reads a whole image.

    Raises:
        VolumeError: a spacing is 0 or no number.
    """
    axes, kept = header.GetDimension(), min(header.GetDimension(), 3)
    direction = np.reshape(header.GetDirection(), (axes, axes))[:kept, :kept]
    size, spacing, origin = (of[:kept] for of in (header.GetSize(), header.GetSpacing(), header.GetOrigin()))
    check_spacing(path, spacing)
    direction = direction * np.sign(spacing)  # column by column
    spacing = tuple(map(abs, spacing))
    return VoxelGrid(size, spacing, origin, tuple(direction.ravel().tolist()), has_spacing(path))


def read_header(path: Path, shown: Path | None = None) -> sitk.ImageFileReader:
    """Read an image's header.

    Raises:
        VolumeError: ITK cannot, or its voxels are vectors.
    """
    ending = ".nii.gz" if path.name.lower().endswith(".gz") else ".nii"
    if is_nifti(path) and not path.name.endswith(ending):  # ITK knows neither .NII.gz nor .Nii
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / f"image{ending}"
            link.symlink_to(path.resolve())
            return read_header(link, path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    path = shown or path
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise VolumeError(
                f"{path} has axes that are not at right angles, which nnU-Net does not read. If that is its header's "
                "rounding, write the header anew (an sform with orthonormal columns); else resample the image"
            ) from error
        if is_nifti(path):
            check_nifti(path)  # may know better
        raise VolumeError(f"{path} is no image, or damaged; {FETCH_AGAIN} ({last_line(error)})") from error
    if reader.GetNumberOfComponents() != 1:
        raise VolumeError(
            f"{path} has {reader.GetNumberOfComponents()} values per voxel, a colour, a vector or channels; an image "
            "or a segmentation has one. Merge a channel per region into one label per voxel"
        )
    return reader


def nifti_voxels(path: Path) -> NDArray:
    """Voxels of a NIfTI file in numpy's order, scaled as its header says.

    Raises:
        VolumeError: the file is not whole.
    """
    try:
        voxels = np.asanyarray(nibabel.Nifti1Image.from_bytes(whole_content(path)).dataobj)
    except nibabel.spatialimages.HeaderDataError as error:
        raise VolumeError(f"{path} has no header of NIfTI-1 ({error}); write it as such") from error
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise VolumeError(f"{path} holds less than its header promises; it was cut off: {FETCH_AGAIN}") from error
    return np.ascontiguousarray(voxels.T).astype(voxels.dtype.newbyteorder("="), copy=False)


def itk_voxels(path: Path, header: sitk.ImageFileReader) -> NDArray:
    """Voxels of any other file in numpy's order.

    Raises:
        VolumeError: the file is not whole.
    """
    check_voxels(path, header.GetSize(), sitk.GetPixelIDValueAsString(header.GetPixelID()))
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise VolumeError(f"{path} is damaged or was cut off; {FETCH_AGAIN} ({last_line(error)})") from error


def write_volume(voxels: NDArray, grid: VoxelGrid, path: Path) -> None:
    """Write voxels in numpy's order on a grid of as many axes, compressed where the format can.

    Raises:
        InputError: the disk is full, the file may not be written, or its name is not UTF-8.
    """
    check_name(path)
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
