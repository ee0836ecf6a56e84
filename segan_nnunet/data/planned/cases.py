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
    """Return the folder in nnUNet_raw of a preprocessed dataset; it may not exist."""
    return (folder_variable("nnUNet_raw") or Path()) / preprocessed.name


def raw_cases(raw: Path, described: Mapping[str, Any]) -> set[str]:
    """Return the training cases that nnU-Net finds in a dataset's folder of nnUNet_raw.

    `described` is the dataset.json, which may list the cases itself.
    """
    listed = described.get("dataset")
    if isinstance(listed, dict) and listed:
        return set(listed)
    return {name[: -len(CHANNEL)] for name in names_in(raw / "imagesTr", described) if NUMBERED.search(name)}


def names_in(folder: Path, described: Mapping[str, Any]) -> set[str]:
    """Return the names, without ending, of the files with the ending of a dataset.json; none if it has no ending."""
    ending = described.get("file_ending")
    return set(files_by_case(folder, ending)) if isinstance(ending, str) and ending else set()


def raw_problem(raw: Path, described: Mapping[str, Any]) -> str:
    """Describe the first image or label that nnU-Net would miss in nnUNet_raw; return an empty text if none is missing.

    `described` is the dataset.json, in the form for planning.
    """
    images, labels, ending = raw / "imagesTr", raw / "labelsTr", described["file_ending"]
    if described.get("dataset"):  # lists paths of images, and nnU-Net names those that are missing
        return ""
    cases = raw_cases(raw, described)
    if not cases:
        first = next((path.name for path in sorted(images.glob("*")) if not is_hidden(path)), "nothing")
        return f"{images} holds no image named CASE{CHANNEL}{ending}; the first that it holds is {first}"
    number = len(described["channel_names"])
    for case in sorted(cases):
        files = [images / f"{case}_{index:04d}{ending}" for index in range(number)] + [labels / f"{case}{ending}"]
        if missing := [path for path in files if not path.exists() and not path.is_symlink()]:
            return f"{missing[0]} is missing: every training case has {number} images and a label"
    return ""


def known_cases(preprocessed: Path) -> set[str]:
    """Return the training cases of a dataset in nnUNet_raw or with a preprocessed label."""
    raw = raw_folder(preprocessed)
    described = optional_object(preprocessed / "dataset.json") or optional_object(raw / "dataset.json")
    return raw_cases(raw, described) | names_in(preprocessed / "gt_segmentations", described)


def preprocessed_cases(folder: Path) -> dict[str, Path]:
    """Return the .pkl of each preprocessed case. nnU-Net writes it after the case's voxels."""
    return files_by_case(folder, ".pkl")
