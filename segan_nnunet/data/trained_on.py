"""What a fold's training rests on: cases, plans, labels, objective. A fold that rests on others is not continued.

Our trainers record cases, plans and objective in their checkpoints. A grid records cases, plans and labels beside every
fold that it begins, whoever trains it.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from segan_nnunet.errors import InputError
from segan_nnunet.exported_folds import validated_entries
from segan_nnunet.fold_checkpoint import (
    CHECKPOINTS,
    changed_objective,
    configuration_of,
    differing_settings,
    outputs_in,
    read_fold,
)
from segan_nnunet.text_files import optional_object

RECORD = "trained_on.json"  # in a fold's folder
NOT_TRAINED_ON = {"next_stage"}  # of a configuration: what a training does not look at


def trained_on(
    split: tuple[Sequence[str], Sequence[str]] | None,
    configuration: dict[str, Any],
    labels: Mapping[str, str] | None = None,
    objective: Mapping[str, Any] | None = None,
    outputs: Sequence[Any] | None = None,
) -> dict[str, Any]:
    """Record the cases, the configuration, the labels and the objective of a training.

    Args:
        split: training and validation cases; None where there is no split yet.
        configuration: of the plans, as nnU-Net has it.
        labels: digests by case, as `label_digests` has them; None where they are not recorded.
        objective: of one of our trainers; None where it is not known.
        outputs: label values of the network's outputs, as `output_values` has them; None where they are not known.
    """
    train, val = ([*map(str, sorted(cases))] for cases in split) if split else (None, None)
    record = {"train": train, "val": val, "configuration": configuration, "labels": labels or None}
    return json.loads(json.dumps({**record, "objective": objective, "outputs": outputs}, default=str))


def label_digests(files: Mapping[str, Path]) -> dict[str, str]:
    """Digests of whole files of labels, by case; compressed, a thousand of them are some tens of megabytes."""
    return {case: digest(path) for case, path in files.items()}


def digest(path: Path) -> str:
    """A short digest of a whole file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def write_trained_on(fold: Path, record: dict[str, Any]) -> None:
    """Write beside a fold what it is trained on, atomically."""
    partial = fold / f".{RECORD}.partial"
    partial.write_text(json.dumps(record))
    os.replace(partial, fold / RECORD)


def has_begun(fold: Path) -> bool:
    """Whether a fold has a checkpoint, from which a training would go on."""
    return any((fold / name).is_file() for name in CHECKPOINTS)


def read_trained_on(fold: Path) -> dict[str, Any]:
    """Read what a fold was trained on, as far as anything says it; what is not known is None.

    Its newest checkpoint is asked first, because it cannot be older than the training; then the grid's record; then the
    cases that nnU-Net has validated.
    """
    in_checkpoint = (read_fold(fold) or {}).get("trained_on") or {}
    beside = optional_object(fold / RECORD)
    return {
        "train": in_checkpoint.get("train") or beside.get("train"),
        "val": in_checkpoint.get("val") or beside.get("val") or validated_cases(fold),
        "configuration": configuration_of(fold) or beside.get("configuration"),
        "labels": beside.get("labels"),
        "objective": in_checkpoint.get("objective"),
        "outputs": outputs_in(read_fold(fold)),
    }


def validated_cases(fold: Path) -> list[str] | None:
    """The cases of a finished fold's validation; None where it is not finished."""
    ending = optional_object(fold.parent / "dataset.json").get("file_ending")
    entries = validated_entries(fold)
    if not (ending and entries and (fold / CHECKPOINTS[0]).is_file()):
        return None
    return sorted({Path(entry["prediction_file"]).name.removesuffix(ending) for entry in entries})


def check_trained_on(recorded: dict[str, Any] | None, now: dict[str, Any], path: Path) -> None:
    """Check that a fold rests on what there is now, as far as it is recorded: cases, configuration, labels, objective.

    Args:
        recorded: as `trained_on` or `read_trained_on` have it; None, or None in it, where nothing is.
        now: as `trained_on` has it.
        path: of the fold or its checkpoint.

    Raises:
        InputError: it does not; with what was changed since, and what helps.
    """
    if recorded is None:
        return
    if recorded["train"] is not None and now["train"] is None:
        raise InputError(f"{path} was trained on a split, and splits_final.json is gone; bring it back")
    if moved := moved_cases(recorded, now):
        raise InputError(
            f"{path} was trained on other cases than splits_final.json has for this fold now ({len(moved)} differ, "
            f"such as {moved[0]}): what validates may have been trained on. Restore the split, or remove the fold, "
            "to train it anew"
        )
    then, outputs = recorded.get("outputs"), now.get("outputs")
    if then and outputs and then != outputs:
        raise InputError(
            f"{path} was trained on other labels than dataset.json in nnUNet_preprocessed has now: the outputs of its "
            f"network are the values {then}, and would be {outputs}. Bring dataset.json back, or remove the fold to "
            "train it anew"
        )
    differing = differing_settings(recorded["configuration"] or now["configuration"], now["configuration"])
    if differing := [name for name in differing if name not in NOT_TRAINED_ON]:
        raise InputError(
            f"{path} was trained under other plans of this name: {', '.join(differing)} differ. Plan again as it was, "
            "give the new ones another name (segan_nnunet plan --plans-name), or remove the fold to train it anew"
        )
    if changed_how := changed_objective(recorded.get("objective"), now.get("objective")):
        raise InputError(
            f"{path} was trained under another objective than its trainer has now: {changed_how}. Undo the change to "
            "continue this training. To train under the new objective, give the changed trainer a name of its own, or "
            "remove the fold"
        )
    labels, labels_now = recorded.get("labels") or {}, now.get("labels") or {}
    if changed := sorted(case for case in labels.keys() & labels_now.keys() if labels[case] != labels_now[case]):
        raise InputError(
            f"{path} was trained on other labels than are preprocessed now ({len(changed)} cases differ, such as "
            f"{changed[0]}). Bring them back and preprocess again, or remove the fold, to train it anew; or, if that "
            f"was done without crossval, its {RECORD}"
        )


def check_not_trained_on(fold: Path, cases: Collection[str]) -> None:
    """Check that a fold was not trained on cases that it predicts, as far as its training cases are recorded.

    Raises:
        InputError: it was: its scores are too good.
    """
    if both := sorted(set(read_trained_on(fold)["train"] or ()) & set(cases)):
        raise InputError(
            f"{fold} was trained on {len(both)} of the cases that it is scored on, such as {both[0]}: its scores are "
            "too good. Correct the split, remove this folder, and train the fold anew"
        )


def moved_cases(recorded: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Cases that are on another side of the split now; those that leak, if there are any."""
    if now["train"] is None:
        return []
    train, val = (set(now[side] if recorded[side] is None else recorded[side]) for side in ("train", "val"))
    leaked = set(now["val"]) & train if recorded["train"] is not None else set()
    return sorted(leaked or (train ^ set(now["train"])) | (val ^ set(now["val"])))
