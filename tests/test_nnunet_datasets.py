"""Datasets that nnU-Net's own scripts and commands make from a release equal ours, and SegAN trains on them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.dataset_conversion import Dataset137_BraTS21

from segan_nnunet.data.releases.simulation import simulate_release
from segan_nnunet.data.releases.tables import load_release
from tests.conftest import Commands

pytestmark = pytest.mark.end_to_end

THEIR_FOLDER = (
    "/home/isensee/drives/E132-Rohdaten/BraTS_2021/training"  # the line of the nnU-Net script that the user edits
)


def voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def assert_same_volumes(ours: Path, theirs: Path, part: str) -> None:
    names = sorted(path.name for path in (theirs / part).iterdir())
    assert names == sorted(path.name for path in (ours / part).iterdir()) and names
    for name in names:
        np.testing.assert_array_equal(voxels(ours / part / name), voxels(theirs / part / name))


def trains(run: Commands, dataset: str, label_maps: int) -> None:
    """Plan a tiny segmentor for a dataset that nnU-Net made, and train SegAN on it for some steps."""
    trainers = (run.environment["nnUNet_extTrainer"], str(Path(__file__).parent / "grid_trainers"))
    run.environment["nnUNet_extTrainer"] = os.pathsep.join(trainers)
    plan = ("segan_nnunet", "plan", "-d", dataset, "--width", "4", "--batch-size", "4", "--patch-size", "48", "48")
    train = ("nnUNetv2_train", dataset, "2d", "0", "-tr", "GridQuick", "-p", "SegANPlans", "-device", "cpu")
    for status, printed in run.forked(plan, train, jobs=1, nnUNet_n_proc_DA="0"):
        assert status == 0, printed[-4000:]
    (fold,) = (run.folder / "nnUNet_results").glob("*/GridQuick__SegANPlans__2d/fold_0")
    assert len(json.loads((fold / "validation" / "summary.json").read_text())["mean"]) == label_maps
    log = torch.load(fold / "checkpoint_final.pth", weights_only=True)["logging"]
    assert len(log["distance_per_region"][-1]) == label_maps


def test_the_brats_2021_dataset_of_nnunet_equals_ours(tmp_path: Path, python: str) -> None:
    source = simulate_release(tmp_path, cases=5, key="brats2021")
    run = Commands(tmp_path)
    script = Path(Dataset137_BraTS21.__file__).read_text()
    assert THEIR_FOLDER in script
    run(python, "-c", script.replace(THEIR_FOLDER, str(source)))
    run("segan_nnunet", "convert", "auto", str(tmp_path), "-d", "21", "--channels", "T1", "T1c", "T2", "FLAIR")
    ours, theirs = (tmp_path / "nnUNet_raw" / name for name in ("Dataset021_BraTS2021", "Dataset137_BraTS2021"))
    for part in ("imagesTr", "labelsTr"):
        assert_same_volumes(ours, theirs, part)
    described = [json.loads((folder / "dataset.json").read_text()) for folder in (ours, theirs)]
    regions = [
        {name: [values] if isinstance(values, int) else values for name, values in dataset["labels"].items()}
        for dataset in described
    ]
    assert regions[0] == regions[1]
    assert described[0]["regions_class_order"] == described[1]["regions_class_order"]
    trains(run, "137", label_maps=3)


def test_a_medical_segmentation_decathlon_dataset_of_nnunet_equals_ours(tmp_path: Path) -> None:
    source = simulate_release(tmp_path, cases=5, key="msd-task01")
    release = load_release("msd-task01")
    (source / "imagesTs").mkdir()
    (source / "dataset.json").write_text(
        json.dumps(
            {
                "name": "BRATS",
                "modality": {str(index): name for index, name in enumerate(release.channels)},
                "labels": {"0": "background", **{str(value): name for name, value in release.labels.items()}},
                "numTraining": 5,
                "training": [],
                "test": [],
            }
        )
    )
    run = Commands(tmp_path)
    run("nnUNetv2_convert_MSD_dataset", "-i", str(source), "-overwrite_id", "101", "-np", "2")
    channels = ("--channels", *release.channels)
    run("segan_nnunet", "convert", "msd-task01", str(source), "-d", "1", "--labels", *channels)
    ours, theirs = (tmp_path / "nnUNet_raw" / f"Dataset{number}_BrainTumour" for number in ("001", "101"))
    for part in ("imagesTr", "labelsTr"):
        assert_same_volumes(ours, theirs, part)
    described = [json.loads((folder / "dataset.json").read_text()) for folder in (ours, theirs)]
    assert described[0]["labels"] == described[1]["labels"]
    assert described[0]["channel_names"] == described[1]["channel_names"]
    trains(run, "101", label_maps=len(release.labels))  # labels are exclusive: the masks are the foreground classes
