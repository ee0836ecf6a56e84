"""Run every trainer on regions, plain labels and regions with ignored voxels, in 2-D and 3-D, with nnU-Net's commands.

The test compares its table with docs/trainers.md. With SEGAN_WRITE_DOCS=1 it writes the table (`make tables`).
"""

import json
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tests.conftest import Commands
from tests.hand_made import REGIONS, write_balls

pytestmark = pytest.mark.end_to_end

DOCS = Path(__file__).parent.parent / "docs" / "trainers.md"
MARKS = ("<!-- matrix: made by tests/test_matrix.py -->\n", "<!-- end of matrix -->")
LABELS: dict[int, tuple[str, dict[str, object]]] = {
    1: ("regions", REGIONS),
    2: ("labels", {"background": 0, "edema": 1, "core": 2, "enhancing tumor": 3}),
    3: ("regions + ignore", {**REGIONS, "ignore": 4}),
}
CONFIGURATIONS = ("2d", "3d_fullres")
# base trainers and one suffix that changes the data, without controls that change one attribute
TRAINERS = (
    "SegANTrainer", "UNetSoftmaxTrainer", "SegANTrainer_S1_1C", "SegANTrainer_S3_1C", "SegANTrainer_s0",
    "SegANDiceTrainer", "SegANTrainer_PaperDA", "nnUNetTrainerSegAN",
)  # fmt: skip
# one trainer per way to a prediction: networks and decoding of SegAN and of the softmax baseline, and nnU-Net's own
PREDICTING = ("SegANTrainer", "UNetSoftmaxTrainer", "nnUNetTrainerSegAN")
PLANS = {trainer: "SegANPlans" for trainer in TRAINERS} | {"nnUNetTrainerSegAN": "nnUNetPlans_width2"}
TINY = f"""
from segan_nnunet.catalogues import load_trainers
settings = {{"num_epochs": 2, "num_iterations_per_epoch": 2, "num_val_iterations_per_epoch": 1}}
for name in {TRAINERS}:
    globals()[f"{{name}}_tiny"] = type(f"{{name}}_tiny", (getattr(load_trainers(), name),), settings)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    folder = tmp_path_factory.mktemp("matrix")
    commands = Commands(folder)
    for number, (_, labels) in LABELS.items():
        write_balls(folder, number, labels)
    (folder / "images").mkdir()
    for path in (folder / "nnUNet_raw" / "Dataset001_Balls" / "imagesTr").glob("case_0_*"):
        (folder / "images" / path.name).symlink_to(path)
    (folder / "tiny").mkdir()
    (folder / "tiny" / "tiny_trainers.py").write_text(TINY)
    commands.environment["nnUNet_extTrainer"] += os.pathsep + str(folder / "tiny")
    commands.environment["nnUNet_n_proc_DA"] = "0"
    commands.environment["nnUNet_def_n_proc"] = "1"
    plan = ("segan_nnunet", "plan", "-c", *CONFIGURATIONS, "--width", "2", "--batch-size", "2")
    for network in ("segan", "nnunet"):
        planned = commands.forked(*((*plan, "-d", str(number), "--network", network) for number in LABELS))
        assert [status for status, _ in planned] == [0] * len(LABELS), planned
    for preprocessed in (folder / "nnUNet_preprocessed").glob("Dataset*"):
        splits = [{"train": ["case_1", "case_2"], "val": ["case_0"]}]
        (preprocessed / "splits_final.json").write_text(json.dumps(splits))
    return commands


def test_every_trainer_runs_on_every_kind_of_dataset(run: Commands) -> None:
    cells = list(product(TRAINERS, LABELS, CONFIGURATIONS))
    training, predicting = [], []
    for trainer, number, configuration in cells:
        model = ("-tr", f"{trainer}_tiny", "-p", PLANS[trainer], "-device", "cpu")
        training.append(("nnUNetv2_train", str(number), configuration, "0", *model))
        if trainer in PREDICTING:
            folders = ("-i", str(run.folder / "images"), "-o", str(output(run, trainer, number, configuration)))
            what = ("-d", str(number), "-c", configuration, "-f", "0", *model)
            predicting.append(("nnUNetv2_predict", *folders, *what, "--disable_tta", "-npp", "0", "-nps", "0"))
    for commands in (training, predicting):
        failed = [
            f"{' '.join(command)}:\n{printed[-3000:]}"
            for command, (status, printed) in zip(commands, run.forked(*commands), strict=True)
            if status
        ]
        assert not failed, "\n\n".join(failed)
    for cell in cells:
        check(run, *cell)

    lines = ["| trainer | " + " | ".join(f"{kind}, {c}" for (kind, _), c in product(LABELS.values(), CONFIGURATIONS))]
    lines += ["| --- |" + " :---: |" * (len(LABELS) * len(CONFIGURATIONS))]
    lines[0] += " |"
    lines += [f"| `{trainer}` |" + " ✓ |" * (len(LABELS) * len(CONFIGURATIONS)) for trainer in TRAINERS]
    text = DOCS.read_text(encoding="utf-8")
    begin, end = (text.index(mark) for mark in MARKS)
    updated = text[:begin] + MARKS[0] + "\n".join(lines) + "\n" + text[end:]
    if os.environ.get("SEGAN_WRITE_DOCS"):
        DOCS.write_text(updated, encoding="utf-8")
    assert text == updated or os.environ.get("SEGAN_WRITE_DOCS"), (
        "the table in docs/trainers.md is out of date: run `make tables`"
    )


def output(run: Commands, trainer: str, number: int, configuration: str) -> Path:
    return run.folder / "predicted" / f"{trainer}_{number}_{configuration}"


def check(run: Commands, trainer: str, number: int, configuration: str) -> None:
    """Check that the log has both epochs, the validation a score per label map, and predictions only real labels."""
    model = f"{trainer}_tiny__{PLANS[trainer]}__{configuration}"
    fold = run.folder / "nnUNet_results" / f"Dataset{number:03d}_Balls" / model / "fold_0"
    (log,) = fold.glob("training_log*.txt")
    assert "epoch 2/2  segmentor loss" in log.read_text(), model
    summary = json.loads((fold / "validation" / "summary.json").read_text())
    assert len(summary["mean"]) == 3, model
    predictions = [fold / "validation" / "case_0.nii.gz"]
    predictions += [output(run, trainer, number, configuration) / "case_0.nii.gz"] if trainer in PREDICTING else []
    for path in predictions:
        predicted = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        assert predicted.shape == (36, 36, 36) and set(np.unique(predicted)) <= {0, 1, 2, 3}, path
