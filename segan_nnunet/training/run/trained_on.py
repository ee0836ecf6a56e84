"""What a fold's training rests on: its cases and its plans. A checkpoint records it, and continues nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segan_nnunet.errors import InputError
from segan_nnunet.fold_checkpoint import differing_settings

NOT_TRAINED_ON = {"next_stage"}  # of a configuration: what a training does not look at


def trained_on(split: tuple[Sequence[str], Sequence[str]] | None, configuration: dict[str, Any]) -> dict[str, Any]:
    """Record the cases and the configuration of a training.

    Args:
        split: training and validation cases; None where there is no split yet.
        configuration: of the plans, as nnU-Net has it.
    """
    train, val = ([*map(str, sorted(cases))] for cases in split) if split else (None, None)
    return {"train": train, "val": val, "configuration": json.loads(json.dumps(configuration, default=str))}


def check_trained_on(recorded: dict[str, Any] | None, now: dict[str, Any], path: Path) -> None:
    """Check that a training may go on: the same cases, the same configuration. Older checkpoints have no record.

    Raises:
        InputError: it may not; with what was changed since.
    """
    if recorded is None:
        return
    if recorded["train"] is not None:
        if now["train"] is None:
            raise InputError(f"{path} was trained on a split, and splits_final.json is gone; bring it back")
        leaked = sorted(set(now["val"]) & set(recorded["train"]))
        if moved := leaked or sorted(set(recorded["train"]) ^ set(now["train"])):
            raise InputError(
                f"{path} was trained on other cases than splits_final.json has for this fold now ({len(moved)} differ, "
                f"such as {moved[0]}): what validates may have been trained on. Restore the split, or remove the fold, "
                "to train it anew"
            )
    differing = differing_settings(recorded["configuration"], now["configuration"])
    if differing := [name for name in differing if name not in NOT_TRAINED_ON]:
        raise InputError(
            f"{path} was trained under other plans of this name: {', '.join(differing)} differ. Plan again as it was, "
            "give the new ones another name (segan_nnunet plan --plans-name), or remove the fold to train it anew"
        )
