"""PNG, BMP and TIFF, read as nnU-Net's NaturalImage2DIO and Tiff3DIO read them.

ITK takes the resolution that a drawing program wrote for a spacing, a palette for colours, and 1 of a 1-bit picture for
255. nnU-Net does not: a 2-D picture has a spacing of 1, and a 3-D TIFF has its spacing in CASE.json beside it.
"""

import json
import math
import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import tifffile
from numpy.typing import NDArray
from PIL import Image

from segan_nnunet.data.volumes.grid import Volume, VoxelGrid
from segan_nnunet.data.volumes.whole_files import FETCH_AGAIN, VolumeError

TIFF = (".tif", ".tiff")
PICTURES = (".png", ".bmp", *TIFF)
WANTED = 'for a 3-D TIFF nnU-Net wants {"spacing": [z, y, x]}, three numbers above 0 in mm'


def is_picture(path: Path) -> bool:
    """Whether a file is named like a format of this module."""
    return path.name.lower().endswith(PICTURES)


def read_picture(path: Path) -> Volume:
    """Read a picture in 2-D, or a TIFF in 3-D.

    Raises:
        VolumeError: the file is damaged, shows colours, or has an unusable spacing beside it.
    """
    try:
        is_tiff = path.name.lower().endswith(TIFF)
        spacing = spacing_beside(path) if is_tiff else None
        pixels = tiff_pixels(path, spacing is not None) if is_tiff else grey_pixels(path)
    except VolumeError:
        raise
    except Exception as error:  # the libraries raise whatever the bytes of a damaged file lead to
        raise VolumeError(f"{path} is no image, or damaged; {FETCH_AGAIN} ({error})") from error
    pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
    axes = pixels.ndim
    spacing = spacing if axes == 3 else None  # nnU-Net has none for a picture in 2-D
    direction = tuple(np.eye(axes).ravel().tolist())
    size = pixels.shape[::-1]
    return Volume(
        path, pixels, VoxelGrid(size, spacing or (1.0,) * axes, (0.0,) * axes, direction, spacing is not None)
    )


def grey_pixels(path: Path) -> NDArray:
    """Return the values (H, W) of a PNG or BMP; a grey picture that was saved in colours has one value per pixel."""
    with Image.open(path) as picture:
        if picture.mode == "P":
            return one_value(np.asarray(picture.convert("RGB")), path, palette=True)
        pixels = np.asarray(picture.convert("RGBA") if picture.mode == "LA" else picture)
    return one_value(pixels, path)


def tiff_pixels(path: Path, is_volume: bool) -> NDArray:
    """Return the values (H, W) or (D, H, W) of a TIFF; those of a palette are its indices, as nnU-Net has them.

    Args:
        path: of the file.
        is_volume: whether it is known to be in 3-D; a volume whose last axis has 3 or 4 voxels looks like colours.
    """
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        try:
            pixels = series.asarray()
        except ValueError:  # a compression for which tifffile wants a package that nobody asked for
            return one_value(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), path)
        colours = series.axes.endswith("S") and not is_volume
    return one_value(pixels, path) if colours else pixels


def one_value(pixels: NDArray, path: Path, palette: bool = False) -> NDArray:
    """Return the one value per pixel of a picture whose colours are all grey.

    Raises:
        VolumeError: a pixel has a colour, or is transparent.
    """
    if pixels.ndim == 2:
        return pixels
    colours, opacity = pixels[..., :3], pixels[..., 3:]
    if (colours == colours[..., :1]).all() and (opacity == np.iinfo(pixels.dtype).max).all():
        return colours[..., 0]
    remedy = "save its labels as grey values"
    if palette:
        remedy += ", its palette's indices for example: Image.fromarray(np.array(Image.open(FILE)))"
    raise VolumeError(f"{path} shows colours, {pixels.shape[-1]} values per pixel, and nnU-Net reads them so; {remedy}")


def spacing_beside(path: Path) -> tuple[float, ...] | None:
    """Return the spacing x, y, z of a 3-D TIFF from CASE.json beside CASE.tif or CASE_0000.tif; None without one.

    Raises:
        VolumeError: the file has no three positive numbers under `spacing`.
    """
    stem = path.with_suffix("")
    candidates = (stem.with_name(f"{stem.name}.json"), stem.with_name(re.sub(r"_\d{4}$", "", stem.name) + ".json"))
    for beside in candidates:
        if beside.is_file():
            try:
                spacing = tuple(float(value) for value in json.loads(beside.read_text(encoding="utf-8"))["spacing"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise VolumeError(f"{beside} cannot be used ({type(error).__name__}: {error}); {WANTED}") from error
            if len(spacing) != 3 or not all(math.isfinite(value) and value > 0 for value in spacing):
                raise VolumeError(f"{beside} has the spacing {list(spacing)}; {WANTED}")
            return spacing[::-1]
    return None
