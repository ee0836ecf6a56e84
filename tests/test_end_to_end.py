"""Run the whole job with the real commands, each in its own process, on a small simulated release."""

import json
import os
import signal
import sysconfig
import time
import venv
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

from segan_nnunet.data.releases.simulation import simulate_release
from tests.conftest import Commands

pytestmark = pytest.mark.end_to_end

TRAIN = ("nnUNetv2_train", "15", "2d", "0", "-device", "cpu")
EPOCHS = 3
SEGAN_TRAINER, SOFTMAX_TRAINER = "BriefSegAN", "BriefSoftmax"
TRAINERS = f"""
from segan_nnunet.training import AdversarialTrainer, ShortSchedule, SoftmaxTrainer

class BriefSegAN(ShortSchedule, AdversarialTrainer):
    num_epochs = {EPOCHS}

class BriefSoftmax(ShortSchedule, SoftmaxTrainer):
    num_epochs = 6
"""
SEGAN, SOFTMAX = (f"{trainer}__SegANPlans__2d" for trainer in (SEGAN_TRAINER, SOFTMAX_TRAINER))
NAME = "Dataset015_BRATS2015"


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Simulate a release, convert it, plan it for a tiny segmentor, and split it."""
    folder = tmp_path_factory.mktemp("end_to_end")
    release = simulate_release(folder, cases=5, seed=1)
    run = Commands(folder)
    run("segan_nnunet", "convert", "brats2015", str(release), "-d", "15", "--channels", "T1c", "FLAIR")
    run("segan_nnunet", "plan", "-d", "15", "--width", "4", "--batch-size", "4", "--patch-size", "48", "48")
    run("segan_nnunet", "split", "-d", "15", "-k", "5")
    (folder / "trainers").mkdir()
    (folder / "trainers" / "brief.py").write_text(TRAINERS)
    run.environment["nnUNet_extTrainer"] += f"{os.pathsep}{folder / 'trainers'}"
    run.small = False  # from here on as for users: with pictures and with spawned workers
    return run


def results(commands: Commands, model: str) -> Path:
    return commands.folder / "nnUNet_results" / NAME / model / "fold_0"


def wait_for(path: Path, seconds: int = 240) -> None:
    deadline = time.monotonic() + seconds
    while not path.is_file():
        assert time.monotonic() < deadline, f"{path} did not appear in {seconds} s"
        time.sleep(0.2)


def test_plans_with_equal_spacing_share_the_preprocessed_data(commands: Commands) -> None:
    preprocessed = commands.folder / "nnUNet_preprocessed" / NAME
    ours, theirs = (
        json.loads((preprocessed / f"{plans}.json").read_text())["configurations"]["2d"]
        for plans in ("SegANPlans", "nnUNetPlans")
    )
    assert ours["data_identifier"] == theirs["data_identifier"]
    before = {path: path.stat().st_mtime_ns for path in (preprocessed / ours["data_identifier"]).iterdir()}
    commands("segan_nnunet", "plan", "-d", "15", "--width", "4", "--batch-size", "4", "--patch-size", "48", "48")
    assert {path: path.stat().st_mtime_ns for path in before} == before, "no data are preprocessed again"


def test_a_killed_segan_training_continues_and_predicts(commands: Commands) -> None:
    fold = results(commands, SEGAN)
    latest = fold / "checkpoint_latest.pth"
    training = commands.start(*TRAIN, "-tr", SEGAN_TRAINER, "-p", "SegANPlans")
    try:
        wait_for(latest)
    finally:
        os.killpg(training.pid, signal.SIGKILL)
        training.wait()
    epochs_done = torch.load(latest, weights_only=True)["current_epoch"]
    assert 1 <= epochs_done < EPOCHS, "the training was interrupted"

    commands(*TRAIN, "-tr", SEGAN_TRAINER, "-p", "SegANPlans", "--c")
    checkpoint = torch.load(fold / "checkpoint_final.pth", weights_only=True)
    log = checkpoint["logging"]
    assert len(log["train_losses"]) == len(log["critic_losses"]) == len(log["distance_per_layer"]) == EPOCHS
    steps = {int(state["step"]) for state in checkpoint["critic_optimizer_state"]["state"].values()}
    assert steps == {EPOCHS * 50}, "the critic's optimiser also counts the steps before the kill"
    assert not latest.exists() and not list(fold.glob(".checkpoint*"))
    continued = max(fold.glob("training_log*.txt"), key=lambda path: path.stat().st_mtime).read_text()
    assert f"epoch {epochs_done + 1}/{EPOCHS}  segmentor loss" in continued and "time left" in continued
    assert f"epoch {epochs_done}/{EPOCHS}" not in continued
    for picture in ("progress.png", "progress_game.png"):
        assert (fold / picture).read_bytes().startswith(b"\x89PNG")
    assert json.loads((fold / "validation" / "summary.json").read_text())["metric_per_case"]

    case = next((fold / "validation").glob("*.mha"))
    predicted = predict(commands, SEGAN_TRAINER, "SegANPlans", case.stem)
    validated = sitk.GetArrayFromImage(sitk.ReadImage(str(case)))
    assert (predicted == validated).all(), "validation and prediction use the same checkpoint and precision"
    assert set(np.unique(predicted)) <= {0, 1, 2, 4}


def predict(commands: Commands, trainer: str, plans: str, case: str) -> np.ndarray:
    """Predict one case with nnUNetv2_predict, in a new process."""
    images, output = (commands.folder / f"{part}_{trainer}_{plans}" for part in ("input", "output"))
    images.mkdir()
    for image in (commands.folder / "nnUNet_raw" / NAME / "imagesTr").glob(f"{case}_*.mha"):
        (images / image.name).symlink_to(image.resolve())
    model = ("-d", "15", "-c", "2d", "-f", "0", "-tr", trainer, "-p", plans, "-device", "cpu")
    sequentially = ("-npp", "0", "-nps", "0", "--save_probabilities")
    commands("nnUNetv2_predict", "-i", str(images), "-o", str(output), *model, *sequentially)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(output / f"{case}.mha")))


def predict_without_this_package(commands: Commands, archive: Path, command: str) -> dict[str, np.ndarray]:
    """Install an exported model and predict the same images in an environment with nnU-Net but without this package."""
    bare = commands.folder / "bare"
    venv.create(bare, with_pip=False)
    (site,) = bare.glob("lib/python*/site-packages")
    (site / "nnunet.pth").write_text(
        sysconfig.get_paths()["purelib"]
    )  # .pth files of an editable install are not followed
    python = str(bare / "bin" / "python")
    environment = dict(commands.environment)
    try:
        commands.environment["nnUNet_results"] = str(bare / "results")
        del commands.environment["nnUNet_extTrainer"]
        (bare / "results").mkdir()
        if "No module named" not in commands(python, "-c", "import segan_nnunet.cli", succeeds=None):
            pytest.skip("this package is installed among nnU-Net's own files: install it editable, as `make test` does")
        entry = "from nnunetv2.{} import {} as run; run()"
        install = entry.format("model_sharing.entry_points", "install_from_zip_entry_point")
        commands(python, "-c", install, str(archive))
        output = commands.folder / "stock"
        (images,) = commands.folder.glob("input_MySegAN_narrow")
        predicting = entry.format("inference.predict_from_raw_data", "predict_entry_point")
        options = command.split()[1:]
        options[options.index("IN")], options[options.index("OUT")] = str(images), str(output)
        sequentially = ("-device", "cpu", "-npp", "0", "-nps", "0", "--save_probabilities")
        commands(python, "-c", predicting, *options, *sequentially)
        return dict(np.load(next(output.glob("*.npz"))))
    finally:
        commands.environment = environment


def test_the_softmax_baseline_trains_predicts_and_enters_the_comparison(commands: Commands) -> None:
    commands(*TRAIN, "-tr", SOFTMAX_TRAINER, "-p", "SegANPlans")
    fold = results(commands, SOFTMAX)
    case = next((fold / "validation").glob("*.mha"))
    predicted = predict(commands, SOFTMAX_TRAINER, "SegANPlans", case.stem)
    reference = sitk.GetArrayFromImage(
        sitk.ReadImage(str(commands.folder / "nnUNet_raw" / NAME / "labelsTr" / case.name))
    )
    overlap = ((predicted > 0) & (reference > 0)).sum()
    assert 2 * overlap / ((predicted > 0).sum() + (reference > 0).sum()) > 0.5, "300 steps find most of the tumour"

    if not (results(commands, SEGAN) / "validation" / "summary.json").is_file():
        commands(*TRAIN, "-tr", SEGAN_TRAINER, "-p", "SegANPlans")
    trainers = ("-tr", SEGAN_TRAINER, SOFTMAX_TRAINER)
    printed = commands("segan_nnunet", "compare", "-d", "15", *trainers, "--baseline", SOFTMAX_TRAINER)
    assert f"| {SEGAN_TRAINER} |" in printed and f"| {SOFTMAX_TRAINER} |" in printed
    folder = commands.folder / "nnUNet_results" / NAME / "comparison__2d"
    cases = pd.read_csv(folder / "cases.csv").set_index(["method", "region"])
    summary = json.loads((fold / "validation" / "summary.json").read_text())
    for key, region in (("(1, 2, 3, 4)", "whole tumor"), ("(1, 3, 4)", "tumor core"), ("4", "enhancing tumor")):
        ours = cases.loc[[(SOFTMAX_TRAINER, region)]]
        assert ours["Dice"].mean() == pytest.approx(summary["mean"][key]["Dice"], nan_ok=True), (
            "our Dice equals nnU-Net's"
        )
        for entry in summary["metric_per_case"]:
            of_case = ours[ours["case"] == Path(entry["prediction_file"]).stem].iloc[0]
            for count in ("TP", "FP", "FN", "TN"):
                assert of_case[count] == entry["metrics"][key][count], "our voxel counts equal nnU-Net's"
    for picture in ("figure2", "figure3", "distributions", "volumes", "training_curves"):
        assert (folder / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    assert f"nnUNetv2_train 15 2d 0 -tr {SEGAN_TRAINER} -p SegANPlans" in (folder / "report.html").read_text()


def test_a_user_trainer_on_the_nnunet_network_trains_and_predicts(commands: Commands) -> None:
    """Follow docs/trainers.md in a user folder, with few steps and a narrow U-Net of nnU-Net."""
    own = commands.folder / "my_trainers"
    own.mkdir()
    (own / "my_segan.py").write_text(
        "from segan_nnunet.training import AdversarialTrainer\n\n"
        "class MySegAN(AdversarialTrainer):\n"
        "    num_epochs, num_iterations_per_epoch, num_val_iterations_per_epoch, initial_lr = 1, 4, 1, 1e-3\n"
    )
    ours = commands.environment["nnUNet_extTrainer"]
    commands.environment["nnUNet_extTrainer"] = os.pathsep.join((ours, str(own)))
    preprocessed = commands.folder / "nnUNet_preprocessed" / NAME
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text())
    plans["plans_name"] = "narrow"
    network = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    network["features_per_stage"] = [max(2, features // 16) for features in network["features_per_stage"]]
    (preprocessed / "narrow.json").write_text(json.dumps(plans))
    try:
        commands(*TRAIN, "-tr", "MySegAN", "-p", "narrow")
        fold = results(commands, "MySegAN__narrow__2d")
        case = next((fold / "validation").glob("*.mha"))
        predicted = predict(commands, "MySegAN", "narrow", case.stem)
        assert predicted.shape == sitk.GetArrayFromImage(sitk.ReadImage(str(case))).shape

        export = ("segan_nnunet", "export", "-d", "15", "-f", "0", "-tr", "MySegAN", "-p", "narrow", "-o")
        printed = commands(*export, str(commands.folder / "model.zip"))
        assert "stock nnU-Net predicts with it" in printed
        card = zipfile.ZipFile(commands.folder / "model.zip").read(
            f"{NAME}/nnUNetTrainer__narrow_MySegAN__2d/MODEL_CARD.md"
        )
        assert b"Licence of the data: CC BY-NC-SA 3.0 CH" in card and b"Means over 1 case," in card
        assert "exists" in commands(*export, str(commands.folder / "model.zip"), succeeds=False)
        stock = predict_without_this_package(commands, commands.folder / "model.zip", printed.splitlines()[-1])
        here = np.load(commands.folder / "output_MySegAN_narrow" / f"{case.stem}.npz")["probabilities"]
        # up to rounding: two runs of one command also differ by it, because their arrays lie differently in memory
        np.testing.assert_allclose(stock["probabilities"], here, rtol=0, atol=1e-6)
        assert here.std() > 0.01
    finally:
        commands.environment["nnUNet_extTrainer"] = ours


def test_without_the_trainer_folder_nnunet_names_the_variable(commands: Commands) -> None:
    folder = commands.environment.pop("nnUNet_extTrainer")
    try:
        output = commands(*TRAIN, "-tr", "SegANTrainer", "-p", "SegANPlans", succeeds=False)
        assert "Could not find requested nnunet trainer SegANTrainer" in output and "nnUNet_extTrainer" in output
    finally:
        commands.environment["nnUNet_extTrainer"] = folder


def test_deep_supervision_on_segan_plans_is_refused_before_training(commands: Commands) -> None:
    output = commands(*TRAIN, "-tr", "nnUNetTrainer", "-p", "SegANPlans", succeeds=False)
    assert "nnUNetTrainerNoDeepSupervision" in output


def test_errors_print_one_message_without_a_traceback(commands: Commands) -> None:
    for command in (
        ("convert", "brats2015", "/nowhere", "-d", "16"),
        ("convert", "brats2015", "-d", "16"),
        ("plan", "-d", "99"),
        ("compare", "-d", "15", "-tr", "Typo"),
    ):
        output = commands("segan_nnunet", *command, succeeds=False)
        assert output.startswith("segan_nnunet: ") and "Traceback" not in output


def test_a_user_table_converts_the_six_patients(six_patients: Path, tmp_path: Path) -> None:
    run = Commands(tmp_path)
    layout = Path(__file__).parents[1] / "docs" / "six_patients.toml"
    printed = run("segan_nnunet", "convert", str(six_patients), "--layout", str(layout), "-d", "16")
    assert "6 training cases, images linked" in printed
    dataset = tmp_path / "nnUNet_raw" / "Dataset016_SixPatients"
    assert len(list((dataset / "imagesTr").iterdir())) == 12
    table = run("segan_nnunet", "split", "-d", "16", "-k", "3").split()
    assert table.count("2") >= 6  # each of three folds holds out two patients


def test_the_wheel_contains_both_catalogues(tmp_path: Path, python: str) -> None:
    root = Path(__file__).parents[1]
    run = Commands(tmp_path)
    run(python, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(root))
    names = zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))).namelist()
    assert "segan_nnunet/trainers/segan_trainers.py" in names
    assert "segan_nnunet/dataset_conversion/brats2015.toml" in names
    assert "segan_trainers.py" in names, "user trainers import it"
    for part in ("report.html.jinja", "report.css", "viewer.js", "case_list.js"):
        assert f"segan_nnunet/evaluation/presentation/report/{part}" in names
    assert not [name for name in names if name.startswith(("tests", "trainers", "dataset_conversion"))]
    run(python, "-m", "zipfile", "-e", str(next((tmp_path / "dist").glob("*.whl"))), str(tmp_path / "installed"))
    run.environment["PYTHONPATH"] = str(tmp_path / "installed")
    code = "import segan_nnunet.catalogues as c; print(c.catalogue_folder('trainers'))"
    assert run(python, "-c", code).strip() == str(tmp_path / "installed" / "segan_nnunet" / "trainers")
