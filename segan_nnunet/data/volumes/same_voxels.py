"""Recognise images that hold the same voxels."""

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

Checksums = tuple[int, int]


def checksums(voxels: NDArray) -> Checksums:
    """Return two checksums of an image. Together they have 64 bits, and they are much faster than a hash."""
    content = np.ascontiguousarray(voxels).data
    return zlib_ng.crc32(content), zlib_ng.adler32(content)
