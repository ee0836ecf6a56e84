"""The training cases of a dataset: those in nnUNet_raw, and those that are preprocessed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.text_files import optional_object

CHANNEL = "_0000"  # behind the case in the name of an image


def raw_folder(preprocessed: Path) -> Path:
    """Return the folder in nnUNet_raw of a preprocessed dataset; it need not exist."""
    return Path(os.environ.get("nnUNet_raw", "")) / preprocessed.name


def raw_cases(raw: Path, described: Mapping[str, Any]) -> set[str]:
    """Return the training cases that nnU-Net finds in nnUNet_raw.

    Args:
        raw: the dataset's folder in nnUNet_raw.
        described: its dataset.json, which may list the cases itself.
    """
    if listed := described.get("dataset"):
        return set(listed)
    ending = described.get("file_ending")
    return {name[: -len(CHANNEL)] for name in files_by_case(raw / "imagesTr", ending)} if ending else set()


def known_cases(preprocessed: Path) -> set[str]:
    """Return the training cases of a dataset in nnUNet_raw or with a preprocessed label; none where nothing is."""
    described = optional_object(preprocessed / "dataset.json") or optional_object(
        raw_folder(preprocessed) / "dataset.json"
    )
    ending = described.get("file_ending")
    labels = files_by_case(preprocessed / "gt_segmentations", ending) if ending else {}
    return raw_cases(raw_folder(preprocessed), described) | set(labels)


def preprocessed_cases(folder: Path) -> dict[str, Path]:
    """Return the .pkl of each case in a folder of preprocessed data: nnU-Net writes it after the case's voxels."""
    return files_by_case(folder, ".pkl")
