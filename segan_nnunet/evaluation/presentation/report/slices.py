"""Write the cases of the viewer as sheets of slices, one per modality and segmentation.

The shown cases are embedded in the report. The viewer loads further cases from files in the folder of the report, one
per case. These are scripts, because a page opened from a disk may load nothing else.
"""

import base64
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segan_nnunet.data.environment import default_processes
from segan_nnunet.data.progress import progress_bar
from segan_nnunet.evaluation.presentation.figures.style import REGION_COLOURS
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase, largest_slice, shown_modality, window

CASES_FOLDER = "report_cases"
MARGIN = 3  # voxels around the brain
JPEG_QUALITY = 85


def viewer_data(cases: Sequence[ShownCase], regions: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return the data of the viewer, for JSON.

    Args:
        cases: the cases to show.
        regions: label values of each region, the outermost first.
    """
    return {
        "regions": [
            {"name": name, "values": list(values), "colour": REGION_COLOURS[index % len(REGION_COLOURS)]}
            for index, (name, values) in enumerate(regions.items())
        ],
        "cases": [case_data(case, next(iter(regions.values()))) for case in cases],
    }


def write_case_files(
    folder: Path,
    cases: Sequence[str],
    load: Callable[[str], ShownCase],
    outermost: Sequence[int],
    processes: int | None = None,
) -> list[Path]:
    """Write a file CASE.js for each case, which passes its slices to the viewer.

    Args:
        folder: folder of the report.
        cases: names of the cases.
        load: reads a case.
        outermost: label values of the outermost region.
        processes: number of cases written at once.

    Returns:
        The folder of the files; empty without cases.
    """
    if not cases:
        return []
    target = folder / CASES_FOLDER
    target.mkdir()

    def write(case: str) -> None:
        text = json.dumps(case_data(load(case), outermost), separators=(",", ":"))
        (target / f"{case}.js").write_text(f"showCase({text});\n", encoding="utf-8")

    # threads suffice: the compression of pictures releases Python's lock
    with (
        progress_bar("slices of cases", len(cases)) as advance,
        ThreadPoolExecutor(default_processes(processes)) as pool,
    ):
        for _ in pool.map(write, cases):
            advance()
    return [target]


def case_data(case: ShownCase, outermost: Sequence[int]) -> dict[str, Any]:
    """Return the data of one case: its sheets, and the layout of their slices."""
    box = content_box(case)
    depth, height, width = case.reference[box].shape
    columns = math.ceil(math.sqrt(depth))
    segmentations = {"reference": case.reference, **case.predictions}
    return {
        "name": case.case_id,
        "rank": case.rank,
        "depth": depth,
        "height": height,
        "width": width,
        "columns": columns,
        "first": int(box[0].start),
        "aspect": case.spacing_mm[1] / case.spacing_mm[2],  # height of a pixel divided by its width
        "start": largest_slice(np.isin(case.reference[box], outermost)),
        "sides": case.sides,
        "shown": shown_modality(case.images),
        "images": {name: jpeg(sheet(grey(image)[box], columns)) for name, image in case.images.items()},
        "segmentations": {name: png(sheet(labels[box], columns)) for name, labels in segmentations.items()},
        "dice": {
            method: {region: None if math.isnan(value) else round(value, 4) for region, value in of_method.items()}
            for method, of_method in case.dice.items()
        },
    }


def content_box(case: ShownCase) -> tuple[slice, ...]:
    """Return the box around the content of all images and all labels, with a margin."""
    content = case.reference > 0
    for volume in (*case.images.values(), *case.predictions.values()):
        content = content | (volume != volume.flat[0])
    if not content.any():
        return tuple(slice(0, size) for size in content.shape)
    box = []
    for axis, size in enumerate(content.shape):
        inside = np.flatnonzero(content.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(max(0, int(inside[0]) - MARGIN), min(size, int(inside[-1]) + 1 + MARGIN)))
    return tuple(box)


def grey(image: NDArray) -> NDArray[np.uint8]:
    """Return intensities as 8-bit grey values."""
    low, high = window(image)
    return (np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def sheet(volume: NDArray, columns: int) -> NDArray[np.uint8]:
    """Lay out the slices of (D, H, W) in rows of `columns`, (rows H, columns W)."""
    depth, height, width = volume.shape
    rows = math.ceil(depth / columns)
    padded = np.zeros((rows * columns, height, width), np.uint8)
    padded[:depth] = volume
    tiles = padded.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)  # rows, H, columns, W
    return tiles.reshape(rows * height, columns * width)


def jpeg(pixels: NDArray[np.uint8]) -> str:
    """Return a data URL of a small, lossy picture."""
    return data_url(pixels, "JPEG", quality=JPEG_QUALITY)


def png(pixels: NDArray[np.uint8]) -> str:
    """Return a data URL of a lossless picture, whose grey values are label values."""
    return data_url(pixels, "PNG")


def data_url(pixels: NDArray[np.uint8], kind: str, **options: Any) -> str:
    """Return a picture as a data URL."""
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode="L").save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
