"""How far a fold is, by its files: begun, validated, or an exported model that was installed here.

Nothing here imports torch, which takes seconds: `--status` asks this of every fold.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segan_nnunet.file_kinds import composed, read_pickles
from segan_nnunet.text_files import optional_object

FINAL = "checkpoint_final.pth"
CHECKPOINTS = (FINAL, "checkpoint_latest.pth", "checkpoint_best.pth")  # in the order in which nnU-Net takes them
SUMMARY = "validation/summary.json"


def newest_checkpoint(fold: Path) -> Path | None:
    """Return the checkpoint from which nnU-Net would go on; None where a fold has none."""
    return next((path for name in CHECKPOINTS if (path := fold / name).is_file()), None)


def is_exported(fold: Path) -> bool:
    """Return whether a fold holds weights for prediction only: no optimiser, and no cases that it validated.

    `export` writes such folds. A fold whose owner removed the optimiser to save space is not one of them as long as
    its validation is complete.
    """
    if validated_entries(fold):
        return False
    try:
        keys = read_pickles(fold / FINAL)
    except (OSError, zipfile.BadZipFile):  # missing, or no checkpoint
        return False
    return b"network_weights" in keys and b"optimizer_state" not in keys


def describe_exported(path: Path) -> str:
    """Say what an exported fold, or its checkpoint, is, and what can be done with it."""
    return (
        f"{path} holds an exported model: weights for nnUNetv2_predict, and nothing that --c or --val could use. To "
        "train this fold here, move its folder away"
    )


def validated_entries(fold: Path) -> list[dict[str, Any]]:
    """Return the cases in the summary of a fold's validation; none where there is no summary that can be read."""
    entries = optional_object(fold / SUMMARY).get("metric_per_case")
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("prediction_file"), str)]


def predicted_files(fold: Path) -> list[str]:
    """Return the names of the files that a fold predicted in its validation, letters composed."""
    return sorted({predicted_file(entry) for entry in validated_entries(fold)})


def predicted_file(entry: Mapping[str, Any]) -> str:
    """Return the name of the file that an entry of a summary is about, letters composed."""
    # nnU-Net writes the path on the machine that validated, which may not be this one, nor write letters in one form
    return composed(Path(entry["prediction_file"]).name)


def validated_cases(fold: Path) -> list[str]:
    """Return the cases that a fold validated, letters composed."""
    ending = optional_object(fold.parent / "dataset.json").get("file_ending")  # nnU-Net keeps a copy beside its folds
    return [name.removesuffix(ending) if ending else name.partition(".")[0] for name in predicted_files(fold)]


def missing_predictions(fold: Path) -> list[str]:
    """Return the names of the files that a fold predicted in its validation, and that are not here.

    nnU-Net's own export leaves them out; then `--val` makes them again.
    """
    predicted = predicted_files(fold)
    present = {composed(path.name) for path in (fold / SUMMARY).parent.iterdir()} if predicted else set()
    return [name for name in predicted if name not in present]
