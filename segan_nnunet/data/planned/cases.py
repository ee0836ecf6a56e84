"""The training cases of a dataset: those in nnUNet_raw, and those that are preprocessed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.environment import folder_variable
from segan_nnunet.file_kinds import is_hidden
from segan_nnunet.text_files import optional_object

CHANNEL = "_0000"  # behind the case in the name of an image
NUMBERED = re.compile(r"_\d{4}$")


def raw_folder(preprocessed: Path) -> Path:
    """Return the folder in nnUNet_raw of a preprocessed dataset; it need not exist."""
    return (folder_variable("nnUNet_raw") or Path()) / preprocessed.name


def raw_cases(raw: Path, described: Mapping[str, Any]) -> set[str]:
    """Return the training cases that nnU-Net finds in nnUNet_raw.

    Args:
        raw: the dataset's folder in nnUNet_raw.
        described: its dataset.json, which may list the cases itself.
    """
    listed, ending = described.get("dataset"), described.get("file_ending")
    if isinstance(listed, dict) and listed:
        return set(listed)
    images = files_by_case(raw / "imagesTr", ending) if isinstance(ending, str) and ending else ()
    return {name[: -len(CHANNEL)] for name in images if NUMBERED.search(name)}


def raw_problem(raw: Path, described: Mapping[str, Any]) -> str:
    """Say which image or label nnU-Net would miss first in nnUNet_raw; nothing where all are there.

    Args:
        raw: the dataset's folder in nnUNet_raw.
        described: its dataset.json, in a form for planning.
    """
    images, labels, ending = raw / "imagesTr", raw / "labelsTr", described["file_ending"]
    if described.get("dataset"):  # the images lie anywhere, and nnU-Net says which it misses
        return ""
    cases = raw_cases(raw, described)
    if not cases:
        there = next((path.name for path in sorted(images.glob("*")) if not is_hidden(path)), "nothing")
        return f"{images} holds no image named CASE{CHANNEL}{ending}; the first that it holds is {there}"
    for case in sorted(cases):
        numbers = range(len(described["channel_names"]))
        wanted = [images / f"{case}_{number:04d}{ending}" for number in numbers] + [labels / f"{case}{ending}"]
        if missing := [path for path in wanted if not path.exists() and not path.is_symlink()]:
            return f"{missing[0]} is missing: every training case has {len(numbers)} images and a label"
    return ""


def known_cases(preprocessed: Path) -> set[str]:
    """Return the training cases of a dataset in nnUNet_raw or with a preprocessed label; none where nothing is."""
    described = optional_object(preprocessed / "dataset.json") or optional_object(
        raw_folder(preprocessed) / "dataset.json"
    )
    ending = described.get("file_ending")
    labels = files_by_case(preprocessed / "gt_segmentations", ending) if isinstance(ending, str) and ending else {}
    return raw_cases(raw_folder(preprocessed), described) | set(labels)


def preprocessed_cases(folder: Path) -> dict[str, Path]:
    """Return the .pkl of each case in a folder of preprocessed data: nnU-Net writes it after the case's voxels."""
    return files_by_case(folder, ".pkl")
