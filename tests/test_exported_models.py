"""Any trainer's model can be exported, and an installed model is never mistaken for a local training."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.model_sharing.model_import import install_model_from_zip_file
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.data.labelling import read_labelling
from segan_nnunet.errors import InputError
from segan_nnunet.folds.checkpoint import read_checkpoint
from segan_nnunet.folds.state import is_exported
from segan_nnunet.grid.checks import check_plans
from segan_nnunet.grid.fold_records import check_folds
from segan_nnunet.grid.jobs import Job, State, is_finished, read_state
from segan_nnunet.grid.run_job import run_job
from segan_nnunet.models.export import PACKAGE, TRAINER_FOLDER, export_model, plans_of_export
from segan_nnunet.validations.trained_models import Model, exported_models, find_models, trained_predictions
from tests.small_trainers import build, nnunet_architecture

NAME = "Dataset001_Tiny"
COUNTS = {"TP": 1, "FP": 1, "FN": 1, "TN": 5}
OWN_TRAINER = """
from segan_trainers import UNetSoftmaxTrainer
from segan_nnunet.training import SoftmaxTrainer

class OnTheCatalogue(UNetSoftmaxTrainer):
    pass

class OnThePackage(SoftmaxTrainer):
    pass
"""


@pytest.fixture
def folders(nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set nnU-Net's folders, the catalogue of trainers and a user's trainer file."""
    (nnunet_folders / "own").mkdir()
    (nnunet_folders / "own" / "own_trainers.py").write_text(OWN_TRAINER)
    monkeypatch.setenv("nnUNet_extTrainer", f"{nnunet_folders / 'own'}:{catalogue_folder('trainers')}")
    return nnunet_folders


def trained(name: str, folders: Path, validated: bool = True, **settings: Any) -> Job:
    """Write the finished fold 0 of a trainer, as nnU-Net leaves it."""
    trainer = build(recursive_find_trainer_class_by_name(name), folders, **settings)
    trainer._best_ema = np.float64(0.5)  # nnU-Net's own checkpoints hold more than tensors and plain values
    fold = Path(trainer.output_folder)
    trainer.save_checkpoint(str(fold / "checkpoint_final.pth"))
    dataset = trainer.dataset_json | {"file_ending": ".mha"}
    for described in (fold.parent, folders / "nnUNet_preprocessed" / NAME):
        (described / "dataset.json").write_text(json.dumps(dataset))
    for plans in (fold.parent / "plans.json", folders / "nnUNet_preprocessed" / NAME / "SegANPlans.json"):
        plans.write_text(json.dumps(trainer.plans_manager.plans))
    (fold.parent / "dataset_fingerprint.json").write_text("{}")
    if validated:
        (fold / "validation").mkdir()
        (fold / "validation" / "a.mha").touch()
        metrics = {"(1, 2, 3, 4)": COUNTS, "(1, 3, 4)": COUNTS, "4": COUNTS}
        summary = {"metric_per_case": [{"prediction_file": "/elsewhere/a.mha", "metrics": metrics}], "mean": {}}
        (fold / "validation" / "summary.json").write_text(json.dumps(summary))
    return Job(NAME, "2d", name, "SegANPlans", 0, "cpu")


@pytest.mark.parametrize(
    ("trainer", "settings", "goes_under", "needs"),
    [
        ("nnUNetTrainer_seed3", {"architecture": nnunet_architecture()}, "nnUNetTrainer", ()),
        ("nnUNetTrainerBN_seed3", {"architecture": nnunet_architecture()}, "nnUNetTrainerBN", ()),
        ("nnUNetTrainerNoDeepSupervision", {}, "nnUNetTrainer", (PACKAGE,)),
        ("SegANTrainer_short_seed1", {"architecture": nnunet_architecture()}, "nnUNetTrainer", ()),
        ("UNetSoftmaxTrainer_PaperDA_short", {}, "UNetSoftmaxTrainer", (PACKAGE, TRAINER_FOLDER)),
        ("OnTheCatalogue_seed2", {}, "UNetSoftmaxTrainer", (PACKAGE, TRAINER_FOLDER)),
        ("OnThePackage_seed2", {}, "OnThePackage", (PACKAGE, "the file that declares the trainer OnThePackage, in a "
                                                    "folder of nnUNet_extTrainer")),
    ],
)  # fmt: skip
def test_an_export_needs_the_simplest_trainer_and_replaces_nothing(
    folders: Path, trainer: str, settings: dict[str, Any], goes_under: str, needs: tuple[str, ...]
) -> None:
    job = trained(trainer, folders, validated="seed" not in trainer, **settings)
    own = {path: path.read_bytes() for path in job.folder.parent.rglob("*") if path.is_file()}
    export = export_model(1, trainer, "SegANPlans", "2d", [0], folders / "model.zip")
    assert export.model == f"{goes_under}__SegANPlans_{trainer}__2d" and export.needs == needs
    readme = zipfile.ZipFile(export.path).read(f"{NAME}/{export.model}/README.txt").decode()
    assert trainer in readme and all(need in readme for need in needs)
    install_model_from_zip_file(str(export.path))
    assert all(path.read_bytes() == content for path, content in own.items())
    installed = folders / "nnUNet_results" / NAME / export.model / "fold_0"
    assert is_exported(installed) and not is_exported(job.folder)
    ours, theirs = (read_checkpoint(fold / "checkpoint_final.pth") for fold in (job.folder, installed))
    assert theirs["trainer_name"] == goes_under and "optimizer_state" not in theirs
    assert ours["network_weights"].keys() == theirs["network_weights"].keys()
    assert all(torch.equal(value, theirs["network_weights"][key]) for key, value in ours["network_weights"].items())
    predictor = nnUNetPredictor(device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(installed.parent), (0,), "checkpoint_final.pth")
    predictor.network.load_state_dict(predictor.list_of_parameters[0])
    with pytest.raises(InputError, match="exported model.*hand on the zip"):
        export_model(1, goes_under, f"SegANPlans_{trainer}", "2d", [0], folders / "again.zip")
    assert not (folders / "again.zip").exists()
    with pytest.raises(InputError, match=f"{export.model}/fold_0 holds an exported model"):
        check_plans(folders / "nnUNet_preprocessed" / NAME, [f"SegANPlans_{trainer}"], "2d")


def test_the_plans_name_of_an_export_has_no_double_underscore() -> None:
    assert plans_of_export("SegANPlans_2mm", "My__Net_") == "SegANPlans_2mm_My_Net"


def put_in_the_place_of(job: Job, zip_file: Path) -> None:
    """Put an export into the folder of a fold, as a zip of an earlier version or a manual copy does."""
    shutil.rmtree(job.folder.parent)
    install_model_from_zip_file(str(zip_file))
    (installed,) = (job.folder.parents[1]).glob(f"*_{job.trainer}__2d")
    installed.rename(job.folder.parent)


@pytest.mark.parametrize("validated", [True, False])
def test_every_verb_recognises_an_exported_model_in_the_place_of_a_fold(folders: Path, validated: bool) -> None:
    job = trained("UNetSoftmaxTrainer", folders, validated)
    put_in_the_place_of(job, export_model(1, job.trainer, job.plans, "2d", [0], folders / "model.zip").path)
    assert not is_finished(job.folder)
    assert str(read_state(job.folder).state) == "installed"
    assert run_job(job, {}).state is State.INSTALLED, "no training overwrites it"
    refused = f"{job.folder} holds an exported model: weights for nnUNetv2_predict, and nothing that --c or --val"
    with pytest.raises(InputError, match=refused):
        check_folds([job])
    results, preprocessed = job.folder.parents[1], folders / "nnUNet_preprocessed" / NAME
    with pytest.raises(InputError, match="no validated fold of UNetSoftmaxTrainer.*Exported models, .*--predictions"):
        find_models(results, ["2d"], ["UNetSoftmaxTrainer"], None)
    assert job.folder.parent.name in exported_models(results, ["2d"])
    labelling = read_labelling(preprocessed / "dataset.json")
    with pytest.raises(InputError, match="exported model.*--predictions"):
        trained_predictions(Model("row", job.folder.parent, "row"), [0], labelling, None)
    trainer = build(recursive_find_trainer_class_by_name(job.trainer), folders)
    with pytest.raises(InputError, match="checkpoint_final.pth holds an exported model"):
        trainer.load_checkpoint(str(job.folder / "checkpoint_final.pth"))


def test_a_model_exported_by_nnunet_needs_a_validation_before_it_counts_as_finished(folders: Path) -> None:
    """nnUNetv2_export_model_to_zip includes the whole checkpoint and the summary, but not the predictions."""
    job = trained("UNetSoftmaxTrainer", folders)
    assert is_finished(job.folder)
    (job.folder / "validation" / "a.mha").unlink()
    state = read_state(job.folder)
    assert (str(state.state), state.detail) == ("waiting", "trained, its predictions are not here")
    assert job.command()[-1] == "--val"
    preprocessed = folders / "nnUNet_preprocessed" / NAME
    labelling = read_labelling(preprocessed / "dataset.json")
    with pytest.raises(InputError, match=r"lacks predictions .* \(1, such as a.mha\).*--val"):
        trained_predictions(Model("row", job.folder.parent, "row"), None, labelling, None)


def test_a_trained_fold_without_its_optimiser_stays_finished(folders: Path) -> None:
    job = trained("UNetSoftmaxTrainer", folders)
    path = job.folder / "checkpoint_final.pth"
    checkpoint = read_checkpoint(path)
    del checkpoint["optimizer_state"]
    torch.save(checkpoint, path)
    assert is_finished(job.folder) and not is_exported(job.folder)
    (job.folder / "validation" / "summary.json").unlink()
    assert is_exported(job.folder), "it can be neither continued nor validated"
