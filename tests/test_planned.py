"""Plans belong to their folder, preprocessed data to their plans, and numTraining does not limit the cases."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.preprocessed_data import preprocessing_settings, read_record, record_path
from segan_nnunet.errors import InputError
from segan_nnunet.folds.locks import FOLD_LOCK, file_lock
from segan_nnunet.grid.checks import make_grid
from segan_nnunet.models.plans import plan
from segan_nnunet.models.preprocessing import nnunet_refusals, preprocess_with_nnunet
from segan_nnunet.training import PaperTrainer
from tests.hand_made import write_volume
from tests.hand_made_planned import CASES, DATASET, DESCRIBED, write_case, write_planned, write_plans
from tests.small_trainers import build


@pytest.fixture
def preprocessed(nnunet_folders: Path) -> Path:
    return write_planned(nnunet_folders)


@pytest.fixture
def no_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    monkeypatch.setattr(nnunet, "preprocess", lambda *_: pytest.fail("nnU-Net would remove the data first"))


def preprocess(folder: Path, name: str = "nnUNetPlans") -> None:
    preprocess_with_nnunet(folder, read_plans(folder, name), "2d", 1)


# --- Plans that name another dataset or other plans


@pytest.mark.parametrize("name", ["nnUNetPlans", "SegANPlans"])
def test_planning_refuses_plans_of_another_dataset(preprocessed: Path, name: str) -> None:
    path = write_plans(preprocessed, name, "Dataset006_Renamed")
    message = f"{name}.json holds the plans of Dataset006_Renamed, and lies in the folder of {DATASET}"
    before = path.read_text()
    with pytest.raises(InputError, match=message):
        plan(7)
    with pytest.raises(InputError, match=message):
        make_grid(7, ["A"], [name], device="cpu")
    assert path.read_text() == before


def test_planning_refuses_a_copy_of_plans_under_another_file_name(preprocessed: Path) -> None:
    copy = preprocessed / "WiderPlans.json"
    copy.write_text((preprocessed / "nnUNetPlans.json").read_text())
    with pytest.raises(InputError, match='WiderPlans.json holds plans with the name nnUNetPlans.*"plans_name": "Wider'):
        make_grid(7, ["A"], ["WiderPlans"], device="cpu")


def test_planning_refuses_plans_without_a_dataset_name(preprocessed: Path) -> None:
    (preprocessed / "Bare.json").write_text(json.dumps({"configurations": {"2d": {}}}))
    with pytest.raises(InputError, match="Bare.json names no dataset"):
        make_grid(7, ["A"], ["Bare"], device="cpu")


# --- Preprocessed data of other plans


@pytest.mark.usefixtures("no_preprocessing")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spacing": [1.0, 1.0]}, "with spacing .2.0, 2.0., and MovedPlans ask for spacing .1.0, 1.0."),
        ({"use_mask_for_norm": [True]}, "ask for use_mask_for_norm .True."),
        ({"normalization_schemes": ["CTNormalization"]}, "ask for normalization_schemes .'CTNormalization'."),
        ({"resampling_fn_data": "resample_torch_simple"}, "ask for resampling_fn_data resample_torch_simple"),
    ],
)
def test_recorded_data_belong_to_plans_with_equal_settings(
    preprocessed: Path, settings: dict[str, Any], message: str
) -> None:
    preprocess(preprocessed)
    assert json.loads(record_path(preprocessed / "nnUNetPlans_2d").read_text())["plans"] == "nnUNetPlans"
    write_plans(
        preprocessed, "NarrowPlans", batch_size=2, patch_size=[16, 16]
    )  # a setting that does not affect the data
    preprocess(preprocessed, "NarrowPlans")
    write_plans(preprocessed, "MovedPlans", **settings)
    with pytest.raises(InputError, match=f"nnUNetPlans_2d does not belong to MovedPlans: .*{message}.*data_identifier"):
        preprocess(preprocessed, "MovedPlans")
    preprocess(preprocessed)


@pytest.mark.usefixtures("no_preprocessing")
def test_the_case_size_shows_the_voxel_size_of_unrecorded_data(preprocessed: Path) -> None:
    """The 20 x 24 voxels of 1 mm become 10 x 12 at 2 mm and 7 x 8 at 3 mm. The 4 slices stay."""
    write_plans(preprocessed, "MovedPlans", spacing=[3.0, 3.0])
    with pytest.raises(InputError, match="a has 4 x 10 x 12 voxels there, and would have 4 x 7 x 8 at"):
        preprocess(preprocessed, "MovedPlans")
    preprocess(preprocessed)  # the record of the correct plans
    assert read_record(preprocessed / "nnUNetPlans_2d", ()).settings["spacing"] == [2.0, 2.0]


@pytest.mark.usefixtures("no_preprocessing")
def test_data_preprocessed_again_under_other_plans_do_not_match_the_record(preprocessed: Path) -> None:
    preprocess(preprocessed)
    later = record_path(preprocessed / "nnUNetPlans_2d").stat().st_mtime + 10
    for case in CASES:
        write_case(preprocessed / "nnUNetPlans_2d", case, (4, 20, 24))
        os.utime(preprocessed / "nnUNetPlans_2d" / f"{case}.pkl", (later, later))
    with pytest.raises(InputError, match="a has 4 x 20 x 24 voxels there, and would have 4 x 10 x 12"):
        preprocess(preprocessed)


@pytest.mark.usefixtures("no_preprocessing")
def test_unrecorded_data_of_one_size_can_match_two_plans(preprocessed: Path) -> None:
    write_plans(preprocessed, "MaskedPlans", use_mask_for_norm=[True])
    with pytest.raises(InputError, match="no record says whether nnUNetPlans or MaskedPlans preprocessed it"):
        preprocess(preprocessed)


@pytest.mark.usefixtures("no_preprocessing")
def test_planning_completes_a_record_of_an_earlier_version(preprocessed: Path) -> None:
    preprocess(preprocessed)
    path = record_path(preprocessed / "nnUNetPlans_2d")
    files = json.loads(path.read_text())["files"]
    path.write_text(json.dumps(files))  # only the digests
    preprocess(preprocessed)
    assert json.loads(path.read_text()) == {
        "files": files,
        "settings": preprocessing_settings(read_plans(preprocessed, "nnUNetPlans"), "2d"),
        "plans": "nnUNetPlans",
    }


def test_a_trainer_refuses_data_of_other_plans(nnunet_folders: Path) -> None:
    trainer = build(PaperTrainer, nnunet_folders)
    folder = Path(trainer.preprocessed_dataset_folder)
    for path in folder.iterdir():
        path.unlink()
    write_case(folder, "a", (4, 20, 24))
    trainer.plans_manager.plans |= {"transpose_forward": [0, 1, 2]}
    trainer.plans_manager.plans["configurations"]["2d"]["spacing"] = [2.0, 2.0]
    with pytest.raises(InputError, match="does not belong to SegANPlans: a has 4 x 20 x 24 .* 4 x 10 x 12"):
        trainer.on_train_start()


# --- Complete data are not replaced, whatever numTraining says


@pytest.mark.usefixtures("no_preprocessing")
@pytest.mark.parametrize("number", [4, "2", 0])
def test_a_wrong_number_of_cases_gives_a_warning_and_replaces_no_data(
    preprocessed: Path, number: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    described = preprocessed / "dataset.json"
    described.write_text(json.dumps({"numTraining": number, "file_ending": ".mha"}))
    preprocess(preprocessed)
    output = capsys.readouterr().out
    assert f'{described} says "numTraining": {number}, and the dataset has 3 training cases' in output


@pytest.mark.usefixtures("no_preprocessing")
def test_preprocessed_data_are_complete_without_the_raw_data(
    preprocessed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("nnUNet_raw")
    preprocess(preprocessed)


@pytest.mark.parametrize(("trained", "refused"), [("nnUNetPlans", True), ("OtherPlans", False), ("GonePlans", True)])
def test_planning_does_not_replace_data_of_a_running_training(
    preprocessed: Path, trained: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    replaced: list[Any] = []
    monkeypatch.setattr(nnunet, "preprocess", lambda *arguments: replaced.append(arguments))
    write_plans(preprocessed, "OtherPlans", data_identifier="OtherPlans_2d")
    (preprocessed / "nnUNetPlans_2d" / "b.pkl").unlink()
    fold = Path(os.environ["nnUNet_results"]) / DATASET / f"A__{trained}__2d" / "fold_0"
    fold.mkdir(parents=True)
    with file_lock(fold / FOLD_LOCK):
        if refused:
            with pytest.raises(InputError, match=f"lacks 1 training cases, the first b.* but .*{trained}__2d/fold_0"):
                preprocess(preprocessed)
        else:
            preprocess(preprocessed)
    assert bool(replaced) != refused
    preprocess(preprocessed)
    assert replaced, "the lock was released"


def test_planning_names_a_wrong_number_of_cases_before_it_begins(preprocessed: Path) -> None:
    (preprocessed / "nnUNetPlans.json").unlink()
    raw = Path(os.environ["nnUNet_raw"]) / DATASET / "dataset.json"
    raw.write_text(json.dumps(DESCRIBED | {"numTraining": 2}))
    with pytest.raises(InputError, match='"numTraining": 2, and the dataset has 3 training cases. Correct that'):
        plan(7)


# --- Errors that nnU-Net would report with a traceback


def edit_raw(**parts: Any) -> Path:
    raw = Path(os.environ["nnUNet_raw"]) / DATASET
    (raw / "dataset.json").write_text(json.dumps(DESCRIBED | parts))
    return raw


def test_planning_names_the_first_missing_image_or_label(preprocessed: Path) -> None:
    (preprocessed / "nnUNetPlans.json").unlink()
    for parts, message in (
        ({"file_ending": ".nii.gz"}, "holds no image named CASE_0000.nii.gz; the first that it holds is a_0000.mha"),
        (
            {"channel_names": {"0": "T1", "1": "T2"}},
            "imagesTr/a_0001.mha is missing: every .* has 2 images and a label",
        ),
    ):
        edit_raw(**parts)
        with pytest.raises(InputError, match=message):
            plan(7)
    raw = edit_raw()
    (raw / "labelsTr" / "b.mha").unlink()
    with pytest.raises(InputError, match="labelsTr/b.mha is missing"):
        plan(7)
    for case in CASES:
        (raw / "imagesTr" / f"{case}_0000.mha").rename(raw / "imagesTr" / f"{case}.mha")
    with pytest.raises(InputError, match="holds no image named CASE_0000.mha; the first that it holds is a.mha"):
        plan(7)


def test_planning_turns_an_nnunet_error_into_one_message_with_the_unreadable_file(preprocessed: Path) -> None:
    raw = Path(os.environ["nnUNet_raw"]) / DATASET
    with pytest.raises(InputError, match=r"imagesTr/a_0000.mha is no image, or damaged"), nnunet_refusals(DATASET):
        raise RuntimeError("Some background worker is 6 feet under")
    for path in raw.glob("*Tr/*"):
        write_volume(path, np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(InputError, match="nnU-Net refuses Dataset007_Tiny: It is so"), nnunet_refusals(DATASET):
        raise AssertionError("It is\n so")


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"inherits_from": "3d_fullres"}, "Bare.json: the configuration 2d inherits from a missing one"),
        ({"inherits_from": "2d"}, "Bare.json: the configuration 2d inherits from .* itself"),
        ({"spacing": [1, 1]}, "2d of Bare has no 'data_identifier'"),
    ],
)
def test_planning_refuses_incomplete_configurations(
    preprocessed: Path, configuration: dict[str, Any], message: str
) -> None:
    plans = {"dataset_name": DATASET, "plans_name": "Bare", "configurations": {"2d": configuration}}
    (preprocessed / "Bare.json").write_text(json.dumps(plans))
    preprocess(preprocessed)  # plans that were not requested
    with pytest.raises(InputError, match=message):
        preprocess(preprocessed, "Bare")


def test_planning_refuses_incomplete_source_plans(preprocessed: Path) -> None:
    with pytest.raises(InputError, match="2d of nnUNetPlans has no 'patch_size'"):
        plan(7)


@pytest.mark.usefixtures("no_preprocessing")
def test_data_that_are_not_resampled_may_have_any_size(preprocessed: Path) -> None:
    write_plans(preprocessed, "nnUNetPlans", spacing=[1.5, 1.5], resampling_fn_data="no_resampling_hack")
    preprocess(preprocessed)
    write_plans(preprocessed, "nnUNetPlans", spacing=[3.0, 3.0], preprocessor_name="OfMyOwn")
    record_path(preprocessed / "nnUNetPlans_2d").write_text('{"settings": {}}')  # broken by hand
    preprocess(preprocessed)
