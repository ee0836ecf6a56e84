"""What the label values of a dataset mean: its regions, its ignored label, its channels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segan_nnunet.errors import InputError
from segan_nnunet.text_files import read_object

FORMS = {  # of the parts of dataset.json, for messages
    "labels": 'names with whole numbers, as in {"background": 0, "edema": 1}',
    "file_ending": 'the end of the images\' names with its dot, as in ".nii.gz"',
    "channel_names": 'numbers with names, as in {"0": "T1", "1": "T2"} (nnU-Net v1 called it `modality`)',
    "numTraining": "the number of training cases",
    "dataset": 'cases with their files, as in {"case_1": {"images": ["FILE"], "label": "FILE"}}',
}
PLANNING = ("channel_names", "labels", "file_ending", "numTraining")  # what nnU-Net needs of dataset.json to plan
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
    """Read what a dataset.json says of labels and images.

    Raises:
        InputError: as `read_dataset`; or the file has no label but the background.
    """
    dataset = read_dataset(dataset_json)
    labels: dict[str, int | list[int]] = dataset["labels"]
    channels: dict[str, str] = dataset.get("channel_names") or {"0": "image"}
    names = tuple(channels[index] for index in sorted(channels, key=int))
    regions = {
        name: tuple(value) if isinstance(value, list) else (value,)
        for name, value in labels.items()
        if name not in ("background", "ignore")
    }
    if not regions:
        raise InputError(f"{dataset_json} names no label but the background; there is nothing to compare")
    ignore = labels.get("ignore")
    ignored = ignore if isinstance(ignore, int) else None
    values = {0, *(value for region in regions.values() for value in region)}
    values |= set() if ignored is None else {ignored}
    release = str(dataset.get("brats_release", ""))
    original = {int(value): int(of_release) for value, of_release in dataset.get("original_labels", {}).items()}
    ending = dataset["file_ending"]
    return Labelling(regions, tuple(sorted(values)), ignored, names, ending, release, original)


def read_dataset(path: Path, needs: Sequence[str] = ("labels", "file_ending")) -> dict[str, Any]:
    """Read a dataset.json, and check the form of its parts, those of nnU-Net v1 and of hand-made files above all.

    Args:
        path: the file.
        needs: the parts that must be there; `PLANNING` for a dataset that nnU-Net is to plan.

    Returns:
        Its content; label values are whole numbers, which may be written as 1.0.

    Raises:
        InputError: it is missing, is not JSON, or a part is missing or has another form; with every problem.
    """
    dataset = read_object(path)
    problems = [f"`{part}` is missing, {FORMS[part]}" for part in needs if part not in dataset]
    if "labels" in dataset:
        problems += label_problems(dataset["labels"])
    if "channel_names" in dataset and not are_channels(dataset["channel_names"]):
        problems.append(
            f"`channel_names` is {json.dumps(dataset['channel_names'])}, and should be {FORMS['channel_names']}"
        )
    ending = dataset.get("file_ending", ".")
    if not (isinstance(ending, str) and ending.startswith(".")):
        problems.append(f"`file_ending` is {json.dumps(ending)}, and should be {FORMS['file_ending']}")
    if "numTraining" in dataset and not is_whole(dataset["numTraining"]):
        problems.append(f"`numTraining` is {json.dumps(dataset['numTraining'])}, and should be {FORMS['numTraining']}")
    listed = dataset.get("dataset", {})
    if not isinstance(listed, dict) or not all(isinstance(one, dict) for one in listed.values()):
        problems.append(f"`dataset` should be {FORMS['dataset']}; without it nnU-Net takes imagesTr and labelsTr")
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


def is_whole(value: Any) -> bool:
    """Return whether a value of JSON is a whole number of 0 or more; 1.0 is one, true and "1" are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == value // 1


def are_channels(channels: Any) -> bool:
    """Return whether `channel_names` have the form {"0": "T1", "1": "T2"}."""
    return isinstance(channels, dict) and all(
        key.isdecimal() and isinstance(name, str) for key, name in channels.items()
    )


def label_problems(labels: Any) -> list[str]:
    """List what is wrong with the form of `labels`."""
    if not isinstance(labels, dict) or not labels:
        return [f"`labels` is {json.dumps(labels)}, and should be {FORMS['labels']}"]
    if all(name.isdecimal() and isinstance(value, str) for name, value in labels.items()):
        turned = json.dumps({value: int(name) for name, value in labels.items()}, ensure_ascii=False)
        return [f"`labels` has the number first, as in nnU-Net v1; v2 has the name first: {turned}"]
    problems = []
    for name, value in labels.items():
        values = value if isinstance(value, list) and value else [value]
        if not all(map(is_whole, values)) or (name in ("background", "ignore") and value is values):
            form = "a whole number" if name in ("background", "ignore") else "a whole number, or a list of them"
            problems.append(f"the value of '{name}' in `labels` is {json.dumps(value)}, and should be {form}")
        elif name == "background" and value != 0:
            problems.append(f"'background' in `labels` is {value}, and should be 0")
    return problems


def planning_problems(dataset: dict[str, Any]) -> list[str]:
    """List what nnU-Net would refuse in a dataset.json whose parts have the right form, hours later."""
    labels = dataset["labels"]
    regions = [name for name, value in labels.items() if name not in ("background", "ignore")]
    order = dataset.get("regions_class_order")
    problems = [] if "background" in labels else ["`labels` lacks the background, whose value is 0"]
    values = {0}.union(
        *(value if isinstance(value, list) else [value] for name, value in labels.items() if name != "ignore")
    )
    if gaps := sorted(set(range(int(max(values)))) - values):
        problems.append(f"the label values should follow each other without a gap, and {gaps[0]} is missing")
    elif labels.get("ignore", len(values)) != len(values):
        problems.append(f"'ignore' in `labels` is {labels['ignore']}, and should be the highest value, {len(values)}")
    channels = dataset["channel_names"]
    if set(channels) != set(map(str, range(len(channels)))):
        problems.append(f"`channel_names` has the numbers {', '.join(channels)}, and should count from 0")
    if any(isinstance(value, list) and len(value) > 1 for value in labels.values()) and (
        not isinstance(order, list) or len(order) != len(regions) or not all(map(is_whole, order))
    ):
        problems.append(
            f"`labels` has regions, so `regions_class_order` should be a list of {len(regions)} label values, one for "
            f"each of {', '.join(regions)}: the value to write where the region is the last that holds"
        )
    return problems
