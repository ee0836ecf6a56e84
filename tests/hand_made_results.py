"""Write the files that nnU-Net leaves after a validation, for volumes made by hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

NAME = "Dataset001_Tiny"
REGIONS = {"whole tumor": (1, 2), "tumor core": (2,)}
DATASET = {
    "channel_names": {"0": "T1c", "1": "T2", "2": "FLAIR"},
    "labels": {"background": 0, "whole tumor": [1, 2], "tumor core": 2},
    "file_ending": ".mha",
}


def cubes(*sides: int) -> np.ndarray:
    """Return nested cubes in a volume of 10x10x10: label 1 in the first cube, label 2 in the second."""
    volume = np.zeros((10, 10, 10), np.uint8)
    for label, side in enumerate(sides, start=1):
        volume[1 : 1 + side, 1 : 1 + side, 1 : 1 + side] = label
    return volume


def write_volume(path: Path, volume: np.ndarray, spacing_xyz: Sequence[float] = (1, 1, 1)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = sitk.GetImageFromArray(volume)
    picture.SetSpacing([float(value) for value in spacing_xyz[: volume.ndim]])
    sitk.WriteImage(picture, str(path))


def counts(reference: np.ndarray, prediction: np.ndarray) -> dict[str, int]:
    return {
        "TP": int((reference & prediction).sum()),
        "FP": int((~reference & prediction).sum()),
        "FN": int((reference & ~prediction).sum()),
        "TN": int((~reference & ~prediction).sum()),
    }


def write_dataset(folders: Path) -> None:
    preprocessed = folders / "nnUNet_preprocessed" / NAME
    preprocessed.mkdir(parents=True)
    (preprocessed / "dataset.json").write_text(json.dumps(DATASET))


def validate(folders: Path, model: str, fold: int, predictions: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write predictions and summary.json. `predictions` has the reference and the prediction of each case."""
    validation = folders / "nnUNet_results" / NAME / model / f"fold_{fold}" / "validation"
    cases = []
    for case, (reference, prediction) in predictions.items():
        write_volume(validation / f"{case}.mha", prediction)
        write_volume(folders / "nnUNet_preprocessed" / NAME / "gt_segmentations" / f"{case}.mha", reference)
        for channel in range(3):
            image = np.random.default_rng(channel).integers(1, 9, (10, 10, 10)).astype(np.int16)
            write_volume(folders / "nnUNet_raw" / NAME / "imagesTr" / f"{case}_{channel:04d}.mha", image)
        metrics = {
            "(1, 2)": counts(reference > 0, prediction > 0),
            "2": counts(reference == 2, prediction == 2),
        }
        # nnU-Net writes the path on the machine that validated, which may be another machine
        cases.append({"metrics": metrics, "prediction_file": f"/elsewhere/{case}.mha"})
    (validation / "summary.json").write_text(json.dumps({"metric_per_case": cases}))


def write_folder(folder: Path, volumes: Mapping[str, np.ndarray]) -> Path:
    """Write a folder of segmentations, with the dataset.json that nnU-Net puts beside its predictions."""
    for case, volume in volumes.items():
        write_volume(folder / f"{case}.mha", volume)
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    return folder
