"""Read and write images and segmentations. A file is read whole or not at all, with the stored values of its voxels.

ITK reads half of a NIfTI file without an error, and reads NaN in it as 0. So nibabel reads the voxels of NIfTI files,
and ITK, which nnU-Net reads with, their grid. `pictures` reads PNG, BMP and TIFF.
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

from segan_nnunet.data.volumes import whole_files
from segan_nnunet.data.volumes.grid import Volume, VoxelGrid
from segan_nnunet.data.volumes.pictures import is_picture, read_picture
from segan_nnunet.data.volumes.whole_files import FETCH_AGAIN, is_nifti
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_name


def read_volume(path: Path, volume: int | None = None, dimensions: Collection[int] = (3,)) -> Volume:
    """Read an image, or one volume of a 4-D image.

    Args:
        path: of a NIfTI, MetaImage or NRRD file, a picture, or any other file that ITK reads.
        volume: index in a 4-D image.
        dimensions: accepted numbers of axes, without `volume`.

    Raises:
        InputError: the file is missing, no image, not whole, or has other dimensions; with the remedy.
    """
    whole_files.check_file(path)
    if is_picture(path):
        picture = read_picture(path)
        voxels, axes, grid = picture.voxels, picture.voxels.ndim, picture.grid
    else:
        header, grid = read_header(path)  # first: ITK reads no image without a spacing
        axes = header.GetDimension()
        voxels = nifti_voxels(path) if is_nifti(path) else itk_voxels(path, header)
        voxels = voxels.reshape(header.GetSize()[::-1])  # without further axes of one voxel
    if volume is not None:
        if axes != 4:
            raise InputError(f"{path} has {axes} dimensions, not the 4 of a file with several channels")
        if volume >= len(voxels):
            raise InputError(f"{path} has {len(voxels)} volumes, and no volume {volume}; correct `volume` in the table")
        voxels = voxels[volume]
    elif axes not in dimensions:
        raise InputError(
            f"{path} has {axes} dimensions, not {' or '.join(map(str, dimensions))}: "
            f"{' x '.join(map(str, voxels.shape[::-1]))}. Write each channel of an image to a file of its own. Merge a "
            "channel per region into one label per voxel"
        )
    return Volume(path, voxels, grid)


def read_grid(path: Path) -> VoxelGrid:
    """Read where an image's voxels lie, without the voxels. A 4-D image has the grid of its first three axes.

    Raises:
        InputError: as `read_volume`, if the header shows it.
    """
    whole_files.check_file(path)
    return read_picture(path).grid if is_picture(path) else read_header(path)[1]


def read_header(path: Path) -> tuple[sitk.ImageFileReader, VoxelGrid]:
    """Read an image's header with ITK. Return it, and the grid of its first three axes at most.

    A negative spacing becomes a direction, as ITK does when it reads a whole image.

    Raises:
        InputError: ITK cannot read it, a voxel has several values, or a spacing is 0, NaN or infinite.
    """
    reader = sitk.ImageFileReader()
    try:
        if is_nifti(path) and not path.name.endswith((".nii", ".nii.gz")):  # ITK knows neither .NII.gz nor .Nii
            with tempfile.TemporaryDirectory() as folder:
                link = Path(folder) / ("image.nii.gz" if path.name.lower().endswith(".gz") else "image.nii")
                link.symlink_to(path.resolve())
                reader.SetFileName(str(link))
                reader.ReadImageInformation()
        else:
            reader.SetFileName(str(path))
            reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise InputError(
                f"{path} has axes that are not at right angles, which nnU-Net does not read. If only its header is "
                "rounded, write the header anew (an sform with orthonormal columns); else resample the image"
            ) from error
        if is_nifti(path):
            whole_files.whole_content(path)  # may know a better reason
            if whole_files.nifti_header(path) is None:
                raise InputError(f"{path} is no image in NIfTI-1; write it as NIfTI-1, or fetch it again") from error
        raise InputError(f"{path} is no image, or damaged; {FETCH_AGAIN} ({last_line(error)})") from error
    if (components := reader.GetNumberOfComponents()) != 1:
        raise InputError(
            f"{path} has {components} values per voxel (a colour, a vector or channels); an image or a segmentation "
            "has one. Merge a channel per region into one label per voxel"
        )
    axes, kept = reader.GetDimension(), min(reader.GetDimension(), 3)
    size, spacing, origin = (values[:kept] for values in (reader.GetSize(), reader.GetSpacing(), reader.GetOrigin()))
    has_spacing = whole_files.check_spacing(path, spacing)
    direction = np.reshape(reader.GetDirection(), (axes, axes))[:kept, :kept] * np.sign(spacing)  # column by column
    return reader, VoxelGrid(size, tuple(map(abs, spacing)), origin, tuple(direction.ravel().tolist()), has_spacing)


def nifti_voxels(path: Path) -> NDArray:
    """Return the voxels of a NIfTI file in numpy's order, scaled as its header says.

    Raises:
        InputError: the file is not whole.
    """
    content = whole_files.whole_content(path)
    try:
        voxels = np.asanyarray(nibabel.Nifti1Image.from_bytes(content).dataobj)
    except nibabel.spatialimages.HeaderDataError as error:
        raise InputError(f"{path} is no image in NIfTI-1 ({error}); write it as NIfTI-1, or fetch it again") from error
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path} holds less than its header promises; it was cut off: {FETCH_AGAIN}") from error
    return np.ascontiguousarray(voxels.T).astype(voxels.dtype.newbyteorder("="), copy=False)


def itk_voxels(path: Path, header: sitk.ImageFileReader) -> NDArray:
    """Return the voxels of any other file in numpy's order.

    Raises:
        InputError: the file is not whole.
    """
    whole_files.check_voxels(path, header.GetSize(), sitk.GetPixelIDValueAsString(header.GetPixelID()))
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise InputError(f"{path} is damaged or was cut off; {FETCH_AGAIN} ({last_line(error)})") from error


def write_volume(voxels: NDArray, grid: VoxelGrid, path: Path) -> None:
    """Write voxels in numpy's order on a grid with as many axes. The file is compressed if its format allows it.

    Raises:
        InputError: the disk is full, the file cannot be written, or its name is not UTF-8.
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
    """Return the last line of ITK's message, which holds the cause."""
    return str(error).strip().splitlines()[-1]
