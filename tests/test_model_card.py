"""The model card of an export: scores derived by hand, and its text for missing facts."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from segan_nnunet.models.model_card import model_card

DATASET = {
    "channel_names": {"0": "T1c", "1": "FLAIR"},
    "labels": {"background": 0, "whole tumor": [1, 2], "tumor core": 2},
    "numTraining": 24,
    "file_ending": ".nii.gz",
    "description": "BRATS 2015",
    "reference": "Menze et al., 2015",
    "licence": "CC BY-NC-SA 3.0 CH",
}
HALF, FULL = {"TP": 1, "FP": 1, "FN": 1, "TN": 5}, {"TP": 4, "FP": 0, "FN": 0, "TN": 4}
MISSED, NOTHING = {"TP": 0, "FP": 0, "FN": 2, "TN": 6}, {"TP": 0, "FP": 0, "FN": 0, "TN": 8}


@pytest.fixture
def model(nnunet_folders: Path) -> Path:
    folder = nnunet_folders / "nnUNet_results" / "Dataset015_BRATS2015" / "SegANTrainer__SegANPlans__2d"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    return folder


def validate(model: Path, fold: int | str, cases: Mapping[str, tuple[dict[str, int], dict[str, int]]]) -> None:
    """Write the summary of a fold with the voxel counts of whole tumour and core per case."""
    entries = [
        {"prediction_file": f"/elsewhere/{case}.nii.gz", "metrics": {"(1, 2)": whole, "2": core}}
        for case, (whole, core) in cases.items()
    ]
    validation = model / f"fold_{fold}" / "validation"
    validation.mkdir(parents=True)
    (validation / "summary.json").write_text(json.dumps({"metric_per_case": entries}))


def test_card_scores_are_means_over_the_cases_of_the_exported_folds(model: Path) -> None:
    validate(model, 0, {"a": (HALF, MISSED)})
    validate(model, 1, {"b": (FULL, NOTHING)})
    validate(model, 2, {"c": (MISSED, MISSED)})  # not exported
    card = model_card(model, [0, 1], DATASET, "checkpoint_final.pth")
    assert "Means over 2 cases" in card
    assert "| whole tumor | 0.750 | 0.750 | 0.750 |" in card  # the mean of 2/(2 + 1 + 1) and 1
    assert "| tumor core | 0.000 | 0.000 | 0.000 |" in card  # only a: b has no core in truth and prediction
    assert "/elsewhere" not in card and str(model.parent) not in card


def test_the_card_has_an_interval_from_ten_cases_on(model: Path) -> None:
    validate(model, 0, {f"case{number}": (HALF, FULL if number else HALF) for number in range(10)})
    card = model_card(model, [0], DATASET, "checkpoint_final.pth")
    assert "| whole tumor | 0.500 (0.500 to 0.500) |" in card  # all cases are equal
    core = next(line for line in card.splitlines() if line.startswith("| tumor core"))
    assert core.startswith("| tumor core | 0.950 (0.")  # (9 + 1/2) / 10


def test_the_card_counts_the_scans_of_one_patient_once(model: Path) -> None:
    raw = model.parents[2] / "nnUNet_raw" / model.parent.name
    raw.mkdir()
    (raw / "cases.csv").write_text("case,patient\na1,a\na2,a\nb,b\n")
    validate(model, 0, {"a1": (HALF, FULL), "a2": (FULL, FULL), "b": (MISSED, FULL)})
    card = model_card(model, [0], DATASET, "checkpoint_final.pth")
    assert "Means over 2 patients (3 scans)" in card
    assert "| whole tumor | 0.375 |" in card  # ((1/2 + 1) / 2 + 0) / 2


def test_the_card_takes_data_and_licence_from_dataset_json(model: Path) -> None:
    card = model_card(model, [0], DATASET, "checkpoint_final.pth")
    for line in (
        "Dataset: Dataset015_BRATS2015, BRATS 2015",
        "Cases with a reference: 24",
        "Channels: T1c, FLAIR",
        "Regions or labels: whole tumor, tumor core",
        "Licence of the data: CC BY-NC-SA 3.0 CH.",
        "Plans and configuration: SegANPlans, 2d",
    ):
        assert f"- {line}" in card
    assert "not for clinical use" in card and "None: no exported fold was validated." in card


def test_the_card_marks_missing_facts_as_unknown(model: Path) -> None:
    # nnU-Net's default without a licence
    lazy = {"licence": "Whoever converted this dataset was lazy and didn't look it up!", "reference": ""}
    card = model_card(model, [0], {**DATASET, **lazy}, "checkpoint_final.pth")
    assert "Licence of the data: not known." in card and "- Reference: not known\n" in card


def test_the_card_has_no_scores_for_fold_all_and_names_another_checkpoint(model: Path) -> None:
    validate(model, "all", {"a": (FULL, FULL)})
    assert "None: fold all is trained on every case" in model_card(model, ["all"], DATASET, "checkpoint_final.pth")
    validate(model, 0, {"a": (FULL, FULL)})
    card = model_card(model, [0, 1], DATASET, "checkpoint_best.pth")
    assert "Fold 1: not validated." in card and "these weights are of checkpoint_best.pth" in card
