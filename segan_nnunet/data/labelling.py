"""dataset.json: its form, and what its label values mean (regions, ignored label, channels)."""

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segan_nnunet.errors import InputError
from segan_nnunet.text_files import read_object

PLANNING = ("channel_names", "labels", "file_ending", "numTraining")  # parts of dataset.json that nnU-Net plans with
ROUNDING = 1e-3  # of a label: the rounding error of a header's scale factor
MOST_EXACT = 2.0**53  # floating point skips whole numbers above it
NO_REGIONS = ("background", "ignore")


def is_whole(value: Any) -> bool:
    """Return whether a JSON value is a whole number of 0 or more. 1.0 is one; true and "1" are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == value // 1


FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {  # of the parts of dataset.json: the check, and the right form
    "labels": (
        lambda labels: isinstance(labels, dict) and bool(labels),
        'names with whole numbers, as in {"background": 0, "edema": 1}',
    ),
    "file_ending": (
        lambda ending: isinstance(ending, str) and ending.startswith("."),
        'the end of the images\' names with its dot, as in ".nii.gz"',
    ),
    "channel_names": (
        lambda channels: (
            isinstance(channels, dict)
            and all(key.isdecimal() and isinstance(name, str) for key, name in channels.items())
        ),
        'numbers with names, as in {"0": "T1", "1": "T2"} (nnU-Net v1 called it `modality`)',
    ),
    "numTraining": (is_whole, "the number of training cases"),
    "dataset": (
        lambda cases: isinstance(cases, dict) and all(isinstance(files, dict) for files in cases.values()),
        'cases with their files, as in {"case_1": {"images": ["FILE"], "label": "FILE"}}; without it nnU-Net takes '
        "imagesTr and labelsTr",
    ),
}


def whole_numbers(voxels: NDArray) -> NDArray:
    """Return labels as whole numbers if a header's scale factor moved them by a rounding error; else as they are."""
    if voxels.dtype.kind == "b":
        return voxels.astype(np.uint8)
    if voxels.dtype.kind != "f" or not (np.abs(voxels) < MOST_EXACT).all():  # false for NaN
        return voxels
    rounded = np.round(voxels)
    return rounded.astype(np.int64) if np.abs(voxels - rounded).max(initial=0) <= ROUNDING else voxels


@dataclass(frozen=True)
class Labelling:
    """The labels and images that dataset.json describes.

    Attributes:
        regions: label values of each region, in the dataset's order, the outermost first.
        values: all label values that may occur, with background and ignored label, in ascending order.
        ignore_value: voxels with this value in the reference do not count.
        channel_names: of the images, in order.
        file_ending: of images and segmentations, such as .nii.gz.
        release: key of the release that `convert` made the dataset from; empty if it is not known.
        original: the release's value of each label value, if `convert` made the dataset.
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
    """Read the labels and images that a dataset.json describes.

    Raises:
        InputError: as `read_dataset`; or the file has no label but the background.
    """
    dataset = read_dataset(dataset_json)
    labels: dict[str, int | list[int]] = dataset["labels"]
    channels: dict[str, str] = dataset.get("channel_names") or {"0": "image"}
    regions = {name: as_tuple(value) for name, value in labels.items() if name not in NO_REGIONS}
    if not regions:
        raise InputError(f"{dataset_json} names no label but the background; there is nothing to compare")
    ignore = labels.get("ignore")
    values = {0, *(value for region in labels.values() for value in as_tuple(region))}
    return Labelling(
        regions=regions,
        values=tuple(sorted(values)),
        ignore_value=ignore if isinstance(ignore, int) else None,
        channel_names=tuple(channels[index] for index in sorted(channels, key=int)),
        file_ending=dataset["file_ending"],
        release=str(dataset.get("brats_release", "")),
        original={int(value): int(original) for value, original in dataset.get("original_labels", {}).items()},
    )


def as_tuple(value: int | list[int]) -> tuple[int, ...]:
    """Return the label values of a region, which dataset.json has as a number or a list."""
    return tuple(value) if isinstance(value, list) else (value,)


def read_dataset(path: Path, needs: Sequence[str] = ("labels", "file_ending")) -> dict[str, Any]:
    """Read a dataset.json and check the form of its parts. Files of nnU-Net v1 and hand-made files have others.

    Args:
        path: the file.
        needs: the required parts; `PLANNING` for a dataset that nnU-Net is to plan.

    Returns:
        Its content. Label values are whole numbers, also if they are written as 1.0.

    Raises:
        InputError: it is missing, is not JSON, or a part is missing or has another form; with every problem.
    """
    dataset = read_object(path)
    problems = [f"`{part}` is missing, {FORMS[part][1]}" for part in needs if part not in dataset]
    for part, (is_valid, form) in FORMS.items():
        if part in dataset and not is_valid(dataset[part]):
            shown = textwrap.shorten(json.dumps(dataset[part], ensure_ascii=False), 100)
            problems.append(f"`{part}` is {shown}, and should be {form}")
        elif part == "labels" and part in dataset:
            problems += label_problems(dataset["labels"])
    if not problems and set(PLANNING) <= set(needs):
        problems += planning_problems(dataset)
    if problems:
        raise InputError(f"{path} is not in the form of nnU-Net v2: {'; '.join(problems)}. Correct the file")
    if "labels" in dataset:
        dataset["labels"] = {
            name: [int(one) for one in value] if isinstance(value, list) else int(value)
            for name, value in dataset["labels"].items()
        }
    return dataset


def label_problems(labels: dict[str, Any]) -> list[str]:
    """List what is wrong with the entries of `labels`."""
    if all(name.isdecimal() and isinstance(value, str) for name, value in labels.items()):
        turned = json.dumps({value: int(name) for name, value in labels.items()}, ensure_ascii=False)
        return [f"`labels` has the number first, as in nnU-Net v1; v2 has the name first: {turned}"]
    problems = []
    for name, value in labels.items():
        values = value if isinstance(value, list) and value else [value]
        if not all(map(is_whole, values)) or (name in NO_REGIONS and value is values):
            form = "a whole number" if name in NO_REGIONS else "a whole number, or a list of them"
            problems.append(f"the value of '{name}' in `labels` is {json.dumps(value)}, and should be {form}")
        elif name == "background" and value != 0:
            problems.append(f"'background' in `labels` is {value}, and should be 0")
    return problems


def planning_problems(dataset: dict[str, Any]) -> list[str]:
    """List what nnU-Net would refuse later in a dataset.json whose parts have the right form."""
    labels = dataset["labels"]
    regions = [name for name in labels if name not in NO_REGIONS]
    problems = [] if "background" in labels else ["`labels` lacks the background, whose value is 0"]
    values = {0, *(one for name, value in labels.items() if name != "ignore" for one in as_tuple(value))}
    if gaps := sorted(set(range(int(max(values)))) - values):
        problems.append(f"the label values should follow each other without a gap, and {gaps[0]} is missing")
    elif labels.get("ignore", len(values)) != len(values):
        problems.append(f"'ignore' in `labels` is {labels['ignore']}, and should be the highest value, {len(values)}")
    channels = dataset["channel_names"]
    if set(channels) != set(map(str, range(len(channels)))):
        problems.append(f"`channel_names` has the numbers {', '.join(channels)}, and should count from 0")
    order = dataset.get("regions_class_order")
    if any(len(as_tuple(value)) > 1 for value in labels.values()) and (
        not isinstance(order, list) or len(order) != len(regions) or not all(map(is_whole, order))
    ):
        problems.append(
            f"`labels` has regions, so `regions_class_order` should be a list of {len(regions)} label values, one for "
            f"each of {', '.join(regions)}: the value of voxels that lie in this region and in no later one"
        )
    return problems
