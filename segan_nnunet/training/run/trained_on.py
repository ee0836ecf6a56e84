"""What a fold's training rests on: its cases and its plans. A checkpoint records it, and continues nothing else."""

import json
from pathlib import Path
from typing import Any

from segan_nnunet.errors import InputError


def trained_on(
    splits: Path, fold: int | str, configuration: dict[str, Any]
) -> dict[str, list[str] | dict[str, Any] | None]:
    """Record the cases and the configuration of a training.

    Args:
        splits: splits_final.json of the dataset; where there is none yet, or for fold `all`, no cases are recorded.
        fold: which of them.
        configuration: of the plans, as nnU-Net has it.
    """
    split = json.loads(splits.read_text())[fold] if splits.is_file() and fold != "all" else {}
    cases = {part: sorted(split[part]) if part in split else None for part in ("train", "val")}
    return {**cases, "configuration": json.loads(json.dumps(configuration, default=str))}


def check_trained_on(recorded: dict[str, Any] | None, now: dict[str, Any], path: Path) -> None:
    """Check that a training may go on: the same cases, the same configuration. Older checkpoints have no record.

    Raises:
        InputError: it may not; with what was changed since.
    """
    if recorded is None:
        return
    for part, words in (("train", "trained"), ("val", "validated")):
        if recorded[part] and now[part] and recorded[part] != now[part]:
            moved = sorted(set(recorded[part]) ^ set(now[part]))
            raise InputError(
                f"{path} was {words} on other cases than splits_final.json has for this fold now ({len(moved)} differ, "
                f"such as {moved[0]}): going on would train on what validates. Restore the split, or remove the fold, "
                "to train it anew"
            )
    differing = sorted(
        key
        for key in {*recorded["configuration"], *now["configuration"]}
        if recorded["configuration"].get(key) != now["configuration"].get(key)
    )
    if differing:
        raise InputError(
            f"{path} was trained under other plans of this name: {', '.join(differing)} differ. Plan again as it was, "
            "give the new ones another name (segan_nnunet plan --plans-name), or remove the fold to train it anew"
        )
