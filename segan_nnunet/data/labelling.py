"""What the label values of a dataset mean: its regions, its ignored label, its channels."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segan_nnunet.errors import InputError

ROUNDING = 1e-3  # of a label: a header's scale factor may do so much
MOST_EXACT = 2.0**53  # beyond it floating point skips whole numbers


def whole_numbers(voxels: NDArray) -> NDArray:
    """Labels as whole numbers, if a scale factor in a header has moved them by no more than a rounding; else as is."""
    if voxels.dtype.kind == "b":
        return voxels.astype(np.uint8)
    if voxels.dtype.kind != "f" or not (np.abs(voxels) < MOST_EXACT).all():  # NaN is not
        return voxels
    rounded = np.round(voxels)
    return rounded.astype(np.int64) if np.abs(voxels - rounded).max(initial=0) <= ROUNDING else voxels


@dataclass(frozen=True)
class Labelling:
    """What dataset.json says of labels and images.

    Attributes:
        regions: label values of each region, in the dataset's order, the outermost first.
        values: all label values that may occur, background and ignored label among them.
        ignore_value: voxels with this value in the reference do not count.
        channel_names: of the images, in order.
        file_ending: of images and segmentations, such as .nii.gz.
        release: key of the release that `convert` made the dataset from; empty where it is not known.
        original: the release's value of each label value, where `convert` noted them.
    """

    regions: dict[str, tuple[int, ...]]
    values: tuple[int, ...]
    ignore_value: int | None
    channel_names: tuple[str, ...]
    file_ending: str
    release: str = ""
    original: Mapping[int, int] = field(default_factory=dict)

    @property
    def summary_keys(self) -> dict[str, str]:
        """Names of the regions by nnU-Net's keys in summary.json, such as "(1, 2, 3)" or "4"."""
        single = {str(values[0]): name for name, values in self.regions.items() if len(values) == 1}
        return single | {str(values): name for name, values in self.regions.items()}


def read_labelling(dataset_json: Path) -> Labelling:
    """Read a dataset.json.

    Raises:
        InputError: it is missing, or is not nnU-Net's.
    """
    try:
        dataset = json.loads(dataset_json.read_text(encoding="utf-8"))
        labels: dict[str, int | list[int]] = dataset["labels"]
        channels: dict[str, str] = dataset.get("channel_names") or {"0": "image"}
        names = tuple(channels[index] for index in sorted(channels, key=int))
        regions = {
            name: tuple(value) if isinstance(value, list) else (value,)
            for name, value in labels.items()
            if name not in ("background", "ignore")
        }
        ignore = labels.get("ignore")
        values = {0, *(value for region in regions.values() for value in region)}
        values |= {ignore} if isinstance(ignore, int) else set()
        original = {int(value): int(of_release) for value, of_release in dataset.get("original_labels", {}).items()}
        ending, release = str(dataset["file_ending"]), str(dataset.get("brats_release", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{dataset_json} cannot be used ({type(error).__name__}: {error}); nnU-Net's dataset.json, with `labels` "
            "and `file_ending`, says what the label values mean. Give one with --dataset-json."
        ) from error
    if not regions:
        raise InputError(f"{dataset_json} names no label but the background; there is nothing to compare")
    ignored = ignore if isinstance(ignore, int) else None
    return Labelling(regions, tuple(sorted(values)), ignored, names, ending, release, original)
