"""Whether a file is there, is an image, and is whole: each cause with its own sentence."""

import gzip
import math
import os
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import nibabel

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_kind, check_name

FETCH_AGAIN = "fetch or write it again"
METAIMAGE, NRRD = (".mha", ".mhd"), (".nrrd", ".nhdr")
GZIP = b"\x1f\x8b"
CUT_OFF = f"was cut off: its compressed data have no end; {FETCH_AGAIN}"
DAMAGED = f"is damaged: its compressed data do not fit their checksum; {FETCH_AGAIN}"


class VolumeError(InputError):
    """A file is no whole image; with its path, the cause, and what helps."""


def check_file(path: Path) -> None:
    """Check that a file can be opened, and is not something else under an image's name.

    Raises:
        VolumeError: it cannot, or is.
    """
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        raise VolumeError(f"{path} is a link to {target}, which is not there; bring it back, or convert again")
    if path.exists() and not path.is_file():
        raise VolumeError(f"{path} is no file")
    try:
        check_name(path)  # ITK ends the process at any other
        check_kind(path, "an image")
    except InputError as error:
        raise VolumeError(str(error)) from error


def is_nifti(path: Path) -> bool:
    """Whether a file is named like NIfTI."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def check_nifti(path: Path) -> None:
    """Say why ITK may not read a file that is named like NIfTI.

    Raises:
        VolumeError: the file is not whole, or of another kind than its name says.
    """
    content = whole_content(path)
    if content.startswith(GZIP):
        raise VolumeError(f"{path} is compressed, though its name ends in .nii; rename it to .nii.gz")
    if content[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"):
        raise VolumeError(f"{path} is NIfTI-2, which nnU-Net's reader does not know; write it as NIfTI-1")


def whole_content(path: Path) -> bytes:
    """A file's content, uncompressed, read to its end.

    Raises:
        VolumeError: it ends too early, or its checksum is wrong.
    """
    content = path.read_bytes()
    if not path.name.lower().endswith(".gz"):
        return content
    if not content.startswith(GZIP):
        raise VolumeError(f"{path} is not compressed, though its name ends in .gz; rename it, or compress it")
    try:
        return gzip.decompress(content)
    except EOFError as error:
        raise VolumeError(f"{path} {CUT_OFF}") from error
    except (OSError, zlib.error) as error:
        raise VolumeError(f"{path} {DAMAGED}") from error


def check_end(path: Path) -> None:
    """Check that a .nii.gz is not cut off, without decompressing it: ITK reads a cut one without a word.

    The last four bytes of a gzip stream have the size of its content. Where they do not fit the header, the whole file
    is read, since a file may consist of several streams.

    Raises:
        VolumeError: it was cut off, or its checksum is wrong.
    """
    if not path.name.lower().endswith(".nii.gz"):
        return
    try:
        with gzip.open(path) as file:
            header = nibabel.Nifti1Header.from_fileobj(file)
        voxels = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
        promised = int(header["vox_offset"]) + voxels
    except Exception:  # not gzip, not NIfTI-1, damaged at its start: the reader says more
        return
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        stored = int.from_bytes(file.read(4), "little")
    if stored != promised % 2**32:
        whole_content(path)


def check_spacing(path: Path, spacing: Sequence[float]) -> None:
    """Check that a header has a spacing. ITK takes 1 mm for 0 and for NaN in a NIfTI, and for NaN in a NRRD.

    Args:
        path: of the file.
        spacing: as ITK has it, of the axes that matter.

    Raises:
        VolumeError: a spacing is 0 or no number.
    """
    stored = nifti_spacing(path) if is_nifti(path) else nrrd_spacing(path)
    stored = tuple(stored)[: len(spacing)] or tuple(spacing)
    if not all(math.isfinite(value) and value != 0 for value in stored):
        shown = ", ".join(f"{value:g}" for value in stored)
        raise VolumeError(
            f"{path} has the spacing ({shown}) in its header, and readers take 1 mm for what is 0 or no number; "
            "write the true spacing into the header"
        )


def nifti_spacing(path: Path) -> Sequence[float]:
    """Return the spacing of a NIfTI as its header has it, pixdim of its axes; nothing if it is no NIfTI-1."""
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as file:
            header = file.read(348)
    except (OSError, EOFError, zlib.error):
        return ()
    for order in "<>":
        if len(header) == 348 and struct.unpack_from(f"{order}i", header) == (348,):
            axes = struct.unpack_from(f"{order}h", header, 40)[0]
            return struct.unpack_from(f"{order}7f", header, 80)[:axes]
    return ()


def nrrd_spacing(path: Path) -> Sequence[float]:
    """Return the `spacings` of a NRRD's header; nothing for other files, and for a NRRD with directions."""
    found = re.search(r"^spacings:(.*)$", text_header(path), re.MULTILINE)
    return [float(value) for value in found[1].split()] if found else ()


def has_spacing(path: Path) -> bool:
    """Whether a header says a spacing; ITK takes 1 mm where a MetaImage or a NRRD does not."""
    header = text_header(path)
    return not header or re.search("^(element(spacing|size) *=|(spacings|space directions):)", header, re.M) is not None


def text_header(path: Path) -> str:
    """Return the header of a MetaImage or a NRRD in lower case, without its voxels; empty for other files."""
    if path.suffix.lower() not in (*METAIMAGE, *NRRD):
        return ""
    lines = []
    with path.open("rb") as file:
        for line in file:
            lines.append(line.decode("latin-1").strip().lower())
            if not lines[-1] or lines[-1].startswith("elementdatafile"):
                break
    return "\n".join(lines)


def check_voxels(path: Path, size: Sequence[int], kind: str) -> None:
    """Check that a MetaImage or NRRD holds the voxels that its header promises, and the checksum of compressed ones.

    ITK does not check the second, and in older forms not the first.

    Raises:
        VolumeError: it does not.
    """
    is_mha = path.suffix.lower() == ".mha"
    content = path.read_bytes()
    end = re.search(rb"ElementDataFile\s*=\s*LOCAL\r?\n" if is_mha else rb"\r?\n\r?\n", content)
    header, body = (content[: end.end()].lower(), content[end.end() :]) if end else (b"", b"")
    packed = rb"compresseddata\s*=\s*true" if is_mha else rb"encoding:\s*gz"
    plain = rb"binarydata\s*=\s*true" if is_mha else rb"encoding:\s*raw"
    if re.search(packed, header):
        decompressor = zlib.decompressobj(wbits=47)  # zlib's or gzip's frame
        try:
            stored = len(decompressor.decompress(body))
        except zlib.error as error:
            raise VolumeError(f"{path} {DAMAGED}") from error
        if not decompressor.eof:
            raise VolumeError(f"{path} {CUT_OFF}")
    elif re.search(plain, header) and b"data file:" not in header:
        stored = len(body)
    else:  # voxels as text, in a file beside it, or in a way that ITK will judge
        return
    promised = math.prod(size) * {"8": 1, "16": 2, "32": 4, "64": 8}[re.findall(r"\d+", kind)[0]]
    if stored < promised:
        raise VolumeError(
            f"{path} was cut off: it holds {stored} bytes of voxels, and its header promises {promised}; {FETCH_AGAIN}"
        )
