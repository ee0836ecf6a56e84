"""3d_lowres is preprocessed, trained, predicted with and exported by the usual commands."""

import json
from pathlib import Path

import pytest
import SimpleITK as sitk

from tests.conftest import commands_on_balls

pytestmark = pytest.mark.end_to_end

MODEL = ("-tr", "SegANTrainer_lowres", "-p", "SegANPlans_lowres")
TRAINERS = """
from segan_trainers import SegANTrainer

class SegANTrainer_lowres(SegANTrainer):
    num_epochs, num_iterations_per_epoch, num_val_iterations_per_epoch = 1, 2, 1
"""


def add_lowres(plans_file: Path) -> None:
    """Add 3d_lowres with voxels of 2 mm, as nnU-Net does if its patch covers less than a quarter of an image."""
    plans = json.loads(plans_file.read_text())
    fullres = plans["configurations"]["3d_fullres"]
    lowres = {
        "spacing": [2.0] * 3,
        "median_image_size_in_voxels": [18.0] * 3,
        "data_identifier": "nnUNetPlans_3d_lowres",
    }
    plans["configurations"]["3d_lowres"] = {**fullres, **lowres}
    plans_file.write_text(json.dumps(plans))


def test_the_low_resolution_of_3d_is_preprocessed_trained_predicted_and_exported(tmp_path: Path) -> None:
    run = commands_on_balls(tmp_path, TRAINERS)
    (tmp_path / "images").mkdir()
    for path in (tmp_path / "nnUNet_raw" / "Dataset001_Balls" / "imagesTr").glob("case_0_*"):
        (tmp_path / "images" / path.name).symlink_to(path)

    plan = ("segan_nnunet", "plan", "-d", "1", "--width", "2", "--batch-size", "2", "-c")
    run(*plan, "3d_fullres")
    preprocessed = tmp_path / "nnUNet_preprocessed" / "Dataset001_Balls"
    add_lowres(preprocessed / "nnUNetPlans.json")
    run(*plan, "3d_lowres", "--plans-name", MODEL[-1])
    (preprocessed / "splits_final.json").write_text('[{"train": ["case_1", "case_2"], "val": ["case_0"]}]')

    run("nnUNetv2_train", "1", "3d_lowres", "0", *MODEL, "-device", "cpu")
    model = ("-d", "1", "-c", "3d_lowres", "-f", "0", *MODEL)
    folders = ("-i", str(tmp_path / "images"), "-o", str(tmp_path / "predicted"))
    run("nnUNetv2_predict", *folders, *model, "-device", "cpu", "--disable_tta")
    predicted = sitk.ReadImage(str(tmp_path / "predicted" / "case_0.nii.gz"))
    assert predicted.GetSize() == (36, 36, 36), "the prediction has the voxels of the image"
    run("segan_nnunet", "export", *model, "-o", str(tmp_path / "model.zip"))
    assert (tmp_path / "model.zip").is_file()
