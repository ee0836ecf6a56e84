"""Folds of models that were trained elsewhere and installed here: exported ones, and those without their predictions.

Nothing here imports torch, which takes seconds: `--status` asks this of every fold.
"""

import zipfile
from pathlib import Path
from typing import Any

from segan_nnunet.file_kinds import composed, read_pickles
from segan_nnunet.text_files import optional_object

FINAL = "checkpoint_final.pth"
SUMMARY = "validation/summary.json"


def is_exported(fold: Path) -> bool:
    """Whether a fold holds weights for prediction only: no optimiser to continue with, no cases that it validated.

    `export` writes such folds. A fold whose owner removed the optimiser to save space is not one of them as long as
    its validation is complete.
    """
    return not validated_entries(fold) and lacks_optimizer(fold / FINAL)


def lacks_optimizer(checkpoint: Path) -> bool:
    """Whether a checkpoint has weights and no optimiser; False for a file that is missing or no checkpoint."""
    try:
        keys = read_pickles(checkpoint)
    except (OSError, zipfile.BadZipFile):
        return False
    return b"network_weights" in keys and b"optimizer_state" not in keys


def validated_entries(fold: Path) -> list[dict[str, Any]]:
    """The cases of a fold's summary of its validation; empty where there is none that can be read."""
    entries = optional_object(fold / SUMMARY).get("metric_per_case")
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("prediction_file"), str)]


def missing_predictions(fold: Path) -> list[str]:
    """Names of the files that a fold predicted in its validation, and that are not here.

    nnU-Net's own export leaves them out; then `--val` makes them again.
    """
    # nnU-Net writes the path on the machine that validated, which may not be this one, nor write letters in one form
    names = {composed(Path(entry["prediction_file"]).name) for entry in validated_entries(fold)}
    present = {composed(path.name) for path in (fold / SUMMARY).parent.iterdir()} if names else set()
    return sorted(names - present)


def describe_exported(path: Path) -> str:
    """Say what an exported fold, or its checkpoint, is, and what can be done with it."""
    return (
        f"{path} holds an exported model: weights for nnUNetv2_predict, and nothing that --c or --val could use. To "
        "train this fold here, move its folder away"
    )
