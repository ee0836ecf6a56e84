"""Write a planned dataset of three cases by hand, as nnU-Net leaves it."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import blosc2  # type: ignore[import-untyped]  # it ships no types
import numpy as np

DATASET = "Dataset007_Tiny"
CASES = ("a", "b", "c")
DESCRIBED: dict[str, Any] = {
    "channel_names": {"0": "T1c"},
    "labels": {"background": 0, "tumor": 1},
    "numTraining": 3,
    "file_ending": ".mha",
}
SPLIT: list[dict[str, list[str]]] = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["b", "c"], "val": ["a"]}]
TWO_MM: dict[str, Any] = {
    "spacing": [2.0, 2.0],
    "normalization_schemes": ["ZScoreNormalization"],
    "use_mask_for_norm": [False],
    "data_identifier": "nnUNetPlans_2d",
}


def write_plans(folder: Path, name: str, dataset: str = DATASET, **settings: Any) -> Path:
    """Write plans with a spacing of 2 mm in the plane and the given settings."""
    path = folder / f"{name}.json"
    configurations = {"2d": {**TWO_MM, **settings}}
    axes = {"transpose_forward": [0, 1, 2]}
    path.write_text(json.dumps({"dataset_name": dataset, "plans_name": name, "configurations": configurations, **axes}))
    return path


def write_case(folder: Path, case: str, size: tuple[int, int, int]) -> None:
    """Write a preprocessed case, as nnU-Net leaves it. The raw case has 4 x 20 x 24 voxels of 3 x 1 x 1 mm."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, voxels in ((case, np.zeros((1, *size), np.float32)), (f"{case}_seg", np.zeros((1, *size), np.int16))):
        blosc2.asarray(np.ascontiguousarray(voxels), urlpath=str(folder / f"{name}.b2nd"), mode="w")
    properties = {"spacing": [3.0, 1.0, 1.0], "shape_after_cropping_and_before_resampling": (4, 20, 24)}
    (folder / f"{case}.pkl").write_bytes(pickle.dumps(properties))


def write_planned(nnunet_folders: Path) -> Path:
    """Write three raw cases, let nnU-Net preprocess them at 2 mm, and return the preprocessed folder."""
    raw, folder = (nnunet_folders / f"nnUNet_{part}" / DATASET for part in ("raw", "preprocessed"))
    for case in CASES:
        for path in (raw / "imagesTr" / f"{case}_0000.mha", raw / "labelsTr" / f"{case}.mha"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(case)
            os.utime(path, (1, 1))
        write_case(folder / "nnUNetPlans_2d", case, (4, 10, 12))
    for described in (raw, folder):
        (described / "dataset.json").write_text(json.dumps(DESCRIBED))
    write_plans(folder, "nnUNetPlans")
    (folder / "splits_final.json").write_text(json.dumps(SPLIT))
    return folder
