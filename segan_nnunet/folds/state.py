"""Read the progress of a fold from its files: started, validated, or an exported model that was installed here.

This module does not import torch, which takes seconds: `--status` reads every fold.
"""

import zipfile
from pathlib import Path
from typing import Any

from segan_nnunet.file_kinds import composed, read_pickles
from segan_nnunet.text_files import optional_object

FINAL = "checkpoint_final.pth"
CHECKPOINTS = (FINAL, "checkpoint_latest.pth", "checkpoint_best.pth")  # in nnU-Net's order of preference
SUMMARY = "validation/summary.json"


def newest_checkpoint(fold: Path) -> Path | None:
    """Return the checkpoint from which nnU-Net continues, or None if the fold has no checkpoint."""
    return next((path for name in CHECKPOINTS if (path := fold / name).is_file()), None)


def is_exported(fold: Path) -> bool:
    """Return whether a fold holds weights for prediction only: no optimiser and no validated cases.

    `export` writes such folds. If you remove the optimiser of your own fold to save space, the fold stays a training
    as long as its validation is complete.
    """
    if validated_metrics(fold):
        return False
    try:
        keys = read_pickles(fold / FINAL)
    except (OSError, zipfile.BadZipFile):  # missing, or not a checkpoint
        return False
    return b"network_weights" in keys and b"optimizer_state" not in keys


def describe_exported(path: Path) -> str:
    """Say that a fold or checkpoint is an exported model, and how to train the fold here instead."""
    return (
        f"{path} holds an exported model: weights for nnUNetv2_predict, and nothing that --c or --val could use. To "
        "train this fold here, move its folder away"
    )


def validated_metrics(fold: Path) -> dict[str, dict[str, Any]]:
    """Return nnU-Net's metrics of each validated file, by region.

    The keys are file names with composed letters, because the paths in the summary are those of the machine that
    validated. The result is empty if the fold has no readable summary.
    """
    entries = optional_object(fold / SUMMARY).get("metric_per_case")
    return {
        composed(Path(entry["prediction_file"]).name): entry.get("metrics") or {}
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("prediction_file"), str)
    }


def validated_cases(fold: Path) -> list[str]:
    """Return the cases that a fold validated, with composed letters."""
    ending = optional_object(fold.parent / "dataset.json").get("file_ending")  # nnU-Net's copy of dataset.json
    files = sorted(validated_metrics(fold))
    return [name.removesuffix(ending) if ending else name.partition(".")[0] for name in files]


def missing_predictions(fold: Path) -> list[str]:
    """Return the validated files that are not in the fold's folder.

    nnU-Net's own export leaves out the predictions. `--val` makes them again.
    """
    predicted = sorted(validated_metrics(fold))
    present = {composed(path.name) for path in (fold / SUMMARY).parent.iterdir()} if predicted else set()
    return [name for name in predicted if name not in present]
