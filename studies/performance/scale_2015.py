"""Measure `convert` on 274 cases of BRATS 2015 in full size: its time, the disk space that it adds, and its memory.

usage: python studies/performance/scale_2015.py FOLDER TRUTH.nii.gz
    FOLDER  a new folder
    TRUTH   any real truth, 240x240x155

All truths are copies of TRUTH, compressed. The images are sparse files of full size: a header, a few voxels that differ
between cases, and a hole. The converter reads them to the end, as it reads all images.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import SimpleITK as sitk

from segan_nnunet.data.releases.tables import load_release
from segan_nnunet.data.releases.templates import fill_template

CASES = 274
LOW_GRADE = 54
SIZE = (240, 240, 155)
HEADER = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
    "TransformMatrix = {direction}\nOffset = {origin}\nElementSpacing = {spacing}\nDimSize = 240 240 155\n"
    "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
)


def write_release(folder: Path, truth: sitk.Image) -> None:
    """Write the release into a folder, with the same truth for all cases."""
    release = load_release("brats2015")

    def join(values: tuple[float, ...]) -> str:
        return " ".join(f"{value:g}" for value in values)

    header = HEADER.format(
        direction=join(truth.GetDirection()), origin=join(truth.GetOrigin()), spacing=join(truth.GetSpacing())
    ).encode()
    compressed = folder / "truth.mha"
    folder.mkdir(parents=True)
    sitk.WriteImage(truth, str(compressed), True)
    templates = [channel.templates[0] for channel in release.channels.values()] + [release.truth[0]]
    for index in range(1, CASES + 1):
        grade = "LGG" if index <= LOW_GRADE else "HGG"
        for position, template in enumerate(templates):
            values = {
                field: text.format(index=index, grade=grade, serial=40_000 + 10 * index + position)
                for field, text in release.example.items()
            }
            path = folder / "BRATS2015_Training" / fill_template(template, values)
            path.parent.mkdir(parents=True)
            if position == len(templates) - 1:
                path.write_bytes(compressed.read_bytes())
            else:
                path.write_bytes(header + f"{index:08}".encode())
                os.truncate(path, len(header) + 2 * SIZE[0] * SIZE[1] * SIZE[2])


def size_on_disk(folder: Path) -> int:
    """Return the disk space of a folder in bytes, without following links."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def main() -> None:
    """Write the release, convert it, and print the measurements."""
    folder, truth = Path(sys.argv[1]), sitk.Cast(sitk.ReadImage(sys.argv[2]), sitk.sitkInt16)
    if truth.GetSize() != SIZE:
        raise SystemExit(f"{sys.argv[2]} has the size {truth.GetSize()}, not {SIZE}")
    write_release(folder, truth)
    raw = folder / "nnUNet_raw"
    raw.mkdir()
    started = time.monotonic()
    command = [sys.executable, "-m", "segan_nnunet", "convert", "brats2015", str(folder), "-d", "15"]
    subprocess.run(command, env={**os.environ, "nnUNet_raw": str(raw)}, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # KiB on Linux
    seconds, megabytes = time.monotonic() - started, size_on_disk(raw) / 1e6
    print(f"{CASES} cases: {seconds:.0f} s, {megabytes:.1f} MB added to the disk, peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
