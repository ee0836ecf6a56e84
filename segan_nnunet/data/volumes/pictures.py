"""PNG, BMP and TIFF, read as nnU-Net's NaturalImage2DIO and Tiff3DIO read them.

ITK takes the resolution of a drawing program for a spacing, a palette for colours, and 1 in a 1-bit picture for 255.
nnU-Net does not: a 2-D picture has a spacing of 1, and a 3-D TIFF has its spacing in CASE.json beside it.
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
from segan_nnunet.data.volumes.whole_files import FETCH_AGAIN
from segan_nnunet.errors import InputError

TIFF = (".tif", ".tiff")
PICTURES = (".png", ".bmp", *TIFF)
SPACING_FORM = 'for a 3-D TIFF nnU-Net wants {"spacing": [z, y, x]}, three numbers above 0 in mm'


def is_picture(path: Path) -> bool:
    """Return whether a file is named like PNG, BMP or TIFF."""
    return path.name.lower().endswith(PICTURES)


def read_picture(path: Path) -> Volume:
    """Read a 2-D picture, or a 3-D TIFF.

    Raises:
        InputError: the file is damaged, shows colours, or has an unusable spacing in its CASE.json.
    """
    try:
        is_tiff = path.name.lower().endswith(TIFF)
        spacing = read_tiff_spacing(path) if is_tiff else None
        pixels = read_tiff(path, spacing is not None) if is_tiff else read_png_or_bmp(path)
    except InputError:
        raise
    except Exception as error:  # the libraries raise anything for a damaged file
        raise InputError(f"{path} is no image, or damaged; {FETCH_AGAIN} ({error})") from error
    pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
    axes = pixels.ndim
    spacing = spacing if axes == 3 else None  # nnU-Net reads no spacing for a 2-D picture
    grid = VoxelGrid(
        size=pixels.shape[::-1],
        spacing=spacing or (1.0,) * axes,
        origin=(0.0,) * axes,
        direction=tuple(np.eye(axes).ravel().tolist()),
        has_spacing=spacing is not None,
    )
    return Volume(path, pixels, grid)


def read_png_or_bmp(path: Path) -> NDArray:
    """Return the grey values (H, W) of a PNG or BMP."""
    with Image.open(path) as picture:
        if picture.mode == "P":
            return grey_values(np.asarray(picture.convert("RGB")), path, has_palette=True)
        pixels = np.asarray(picture.convert("RGBA") if picture.mode == "LA" else picture)
    return grey_values(pixels, path)


def read_tiff(path: Path, is_volume: bool) -> NDArray:
    """Return the values (H, W) or (D, H, W) of a TIFF. As in nnU-Net, a palette's values are its indices.

    In a file that is not known to be a volume, a last axis of 3 or 4 voxels counts as colours.
    """
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        try:
            pixels = series.asarray()
        except ValueError:  # a compression for which tifffile needs a package that is not installed
            return grey_values(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), path)
        has_colours = series.axes.endswith("S") and not is_volume
    return grey_values(pixels, path) if has_colours else pixels


def grey_values(pixels: NDArray, path: Path, has_palette: bool = False) -> NDArray:
    """Return one value per pixel (H, W) of a picture whose colours are all grey.

    Raises:
        InputError: a pixel has a colour, or is transparent.
    """
    if pixels.ndim == 2:
        return pixels
    colours, opacity = pixels[..., :3], pixels[..., 3:]
    if (colours == colours[..., :1]).all() and (opacity == np.iinfo(pixels.dtype).max).all():
        return colours[..., 0]
    remedy = "save its labels as grey values"
    if has_palette:
        remedy += ", its palette's indices for example: Image.fromarray(np.array(Image.open(FILE)))"
    raise InputError(f"{path} shows colours, {pixels.shape[-1]} values per pixel, and nnU-Net reads them so; {remedy}")


def read_tiff_spacing(path: Path) -> tuple[float, ...] | None:
    """Return the spacing x, y, z of a 3-D TIFF from CASE.json beside CASE.tif or CASE_0000.tif; None without a file.

    Raises:
        InputError: the file has no three positive numbers under `spacing`.
    """
    stem = path.with_suffix("").name
    for name in (stem, re.sub(r"_\d{4}$", "", stem)):
        if (beside := path.with_name(f"{name}.json")).is_file():
            try:
                spacing = tuple(float(value) for value in json.loads(beside.read_text(encoding="utf-8"))["spacing"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise InputError(f"{beside} cannot be used ({reason}); {SPACING_FORM}") from error
            if len(spacing) != 3 or not all(math.isfinite(value) and value > 0 for value in spacing):
                raise InputError(f"{beside} has the spacing {list(spacing)}; {SPACING_FORM}")
            return spacing[::-1]
    return None
