"""Check that an image file exists, is an image, and is whole. Each cause has its own message."""

import gzip
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import nibabel
from zlib_ng import zlib_ng  # several times as fast as zlib (docs/performance.md)

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_kind, check_name

DECOMPRESSION_ERROR: type[Exception] = zlib_ng.error  # type: ignore[assignment]  # their stub has an instance
FETCH_AGAIN = "fetch or write it again"
TEXT_HEADERS = (".mha", ".mhd", ".nrrd", ".nhdr")
SPACING = re.compile(rb"^(element(spacing|size) *=|(spacings|space directions):)", re.MULTILINE)
GZIP = b"\x1f\x8b"
CUT_OFF = f"was cut off: its compressed data have no end; {FETCH_AGAIN}"
DAMAGED = f"is damaged: its compressed data do not fit their checksum; {FETCH_AGAIN}"


def check_file(path: Path) -> None:
    """Check that a file can be opened, and is no other kind of file under an image's name.

    Raises:
        InputError: it cannot be opened, or is another kind of file.
    """
    check_name(path)  # ITK ends the process at a name that is not UTF-8
    check_kind(path, "an image")


def is_nifti(path: Path) -> bool:
    """Return whether a file is named like NIfTI."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def whole_content(path: Path) -> bytes:
    """Return the whole content of a NIfTI file, uncompressed.

    Raises:
        InputError: it ends too early, its checksum is wrong, or its name has the wrong ending.
    """
    content = path.read_bytes()
    is_compressed, is_gz = content.startswith(GZIP), path.name.lower().endswith(".gz")
    if is_compressed and not is_gz:
        raise InputError(f"{path} is compressed, but its name ends in .nii; rename it to .nii.gz")
    if is_gz and not is_compressed:
        raise InputError(f"{path} is not compressed, but its name ends in .gz; rename it, or compress it")
    if not is_gz:
        return content
    try:
        return decompressed(content)
    except EOFError as error:
        raise InputError(f"{path} {CUT_OFF}") from error
    except DECOMPRESSION_ERROR as error:
        raise InputError(f"{path} {DAMAGED}") from error


def decompressed(content: bytes) -> bytes:
    """Return the content of a gzip file, which may consist of several streams. Other threads run meanwhile.

    Raises:
        EOFError: the file ends too early.
        DECOMPRESSION_ERROR: a checksum is wrong, or something else follows the last stream.
    """
    streams = []
    while content:
        decompressor = zlib_ng.decompressobj(wbits=31)  # gzip's frame
        streams.append(decompressor.decompress(content))
        if not decompressor.eof:
            raise EOFError
        content = decompressor.unused_data.lstrip(b"\0")  # gzip ignores zeros after a stream
    return streams[0] if len(streams) == 1 else b"".join(streams)


def nifti_header(path: Path) -> nibabel.Nifti1Header | None:
    """Return the header of a NIfTI-1 file as it is stored; None if the file has none."""
    if not is_nifti(path):
        return None
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as file:
            header = nibabel.Nifti1Header.from_fileobj(file, check=False)
    except Exception:  # nibabel raises anything for a damaged header; the reader of the voxels names the cause
        return None
    return header if header["sizeof_hdr"] == 348 else None


def check_end(path: Path) -> None:
    """Check that a .nii.gz is not cut off, without decompressing it. ITK reads a cut file without an error.

    The last four bytes of a gzip stream hold the size of its content. If they do not fit the header, the whole file is
    read, because a file may consist of several streams.

    Raises:
        InputError: it was cut off, or its checksum is wrong.
    """
    if not path.name.lower().endswith(".nii.gz") or (header := nifti_header(path)) is None:
        return
    try:
        voxels = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
        size = int(header["vox_offset"]) + voxels
    except (nibabel.spatialimages.HeaderDataError, ValueError):  # the reader of the voxels names it
        return
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        stored = int.from_bytes(file.read(4), "little")
    if stored != size % 2**32:
        whole_content(path)


def check_spacing(path: Path, spacing: Sequence[float]) -> bool:
    """Check the spacing that is stored in a header. Return whether it has one: a MetaImage or a NRRD may have none.

    ITK takes 1 mm for 0 and NaN in a NIfTI, for NaN in a NRRD, and for a missing spacing.

    Args:
        path: of the file.
        spacing: as ITK reads it, of the axes that matter.

    Raises:
        InputError: a spacing is 0, NaN or infinite.
    """
    text = text_header(path)
    if (header := nifti_header(path)) is not None:
        spacing = header["pixdim"][1 : len(spacing) + 1].tolist()
    elif stored := re.search(rb"^spacings:(.*)$", text, re.MULTILINE):  # of a NRRD without directions
        spacing = [float(value) for value in stored[1].split()][: len(spacing)]
    if not all(math.isfinite(value) and value != 0 for value in spacing):
        raise InputError(
            f"{path} has the spacing ({', '.join(f'{value:g}' for value in spacing)}) in its header. Readers take 1 mm "
            "for 0 and NaN; write the true spacing into the header"
        )
    return not text or SPACING.search(text) is not None


def text_header(path: Path) -> bytes:
    """Return the header of a MetaImage or a NRRD, with its end, in lower case; nothing for other files."""
    header = b""
    if path.suffix.lower() in TEXT_HEADERS:
        with path.open("rb") as file:
            for line in file:
                header += line.lower()
                if not line.strip() or line.lower().startswith(b"elementdatafile"):
                    break
    return header


def check_voxels(path: Path, size: Sequence[int], pixel_type: str) -> None:
    """Check that a MetaImage or NRRD holds all voxels of its header, and the checksum of compressed voxels.

    ITK does not check the checksum, and in older file versions not the number of voxels.

    Args:
        path: of the file.
        size: voxels per axis.
        pixel_type: ITK's name with the number of bits, such as "16-bit signed integer".

    Raises:
        InputError: voxels are missing, or the checksum is wrong.
    """
    header = text_header(path)
    if re.search(rb"elementdatafile\s*=(?!\s*local)|data ?file:", header):  # a separate file
        return
    body = path.read_bytes()[len(header) :]
    if re.search(rb"compresseddata\s*=\s*true|encoding:\s*gz", header):
        decompressor = zlib_ng.decompressobj(wbits=47)  # zlib's or gzip's frame
        try:
            stored = len(decompressor.decompress(body))
        except DECOMPRESSION_ERROR as error:
            raise InputError(f"{path} {DAMAGED}") from error
        if not decompressor.eof:
            raise InputError(f"{path} {CUT_OFF}")
    elif re.search(rb"binarydata\s*=\s*true|encoding:\s*raw", header):
        stored = len(body)
    else:  # voxels as text, or in a form that ITK checks
        return
    expected = math.prod(size) * int(re.findall(r"\d+", pixel_type)[0]) // 8
    if stored < expected:
        raise InputError(
            f"{path} was cut off: it holds {stored} bytes of voxels, and its header promises {expected}; {FETCH_AGAIN}"
        )
