"""Whether a fold may be continued, counted, compared or exported: a table of reasons, each a function.

To add a reason, write a function and name it in `REASONS`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from segan_nnunet.errors import InputError
from segan_nnunet.folds.checkpoint import check_checkpoint
from segan_nnunet.folds.record import (
    NOT_TRAINED_ON,
    RECORD,
    FoldRecord,
    changed_objective,
    differing_settings,
    names,
    read_record,
)
from segan_nnunet.folds.state import (
    CHECKPOINTS,
    SUMMARY,
    describe_exported,
    is_exported,
    missing_predictions,
    validated_cases,
    validated_entries,
)
from segan_nnunet.text_enum import TextEnum

NOTHING = FoldRecord()
NOT_ONE_METHOD = "They are no one method: train the folds of one of them anew, or take the folds or seeds of one"
Reason = Callable[[Path, FoldRecord, FoldRecord], str]  # of the fold, its record then, and now; empty if it is none


class Purpose(TextEnum):
    """What a fold is wanted for."""

    CONTINUE = "to be trained on, from its newest checkpoint"
    COUNT = "to count as finished in a grid"
    COMPARE = "to have its predictions of validation cases scored"
    EXPORT = "to be handed on, with its scores"


def check_fold(path: Path, purpose: Purpose, now: FoldRecord = NOTHING, then: FoldRecord | None = None) -> None:
    """Check that a fold may be continued, counted, compared or exported, as far as it is known.

    Args:
        path: the fold's folder; or the checkpoint in which `then` is recorded.
        purpose: what the fold is wanted for.
        now: what it would rest on now.
        then: what it rests on; by default as `read_record` returns it.

    Raises:
        InputError: it may not; with the reason and the remedy.
    """
    then = read_record(path) if then is None else then
    for reason in REASONS[purpose]:
        if said := reason(path, then, now):
            raise InputError(said)


def exported(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """An exported model was not trained here."""
    return describe_exported(fold) if is_exported(fold) else ""


def exported_to_compare(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """An exported model has no predictions."""
    return (
        f"{describe_exported(fold)}. It has no predictions of validation cases: to compare it, predict a test set "
        "and give --predictions NAME=FOLDER --reference FOLDER"
    ) if is_exported(fold) else ""  # fmt: skip


def exported_before(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """An exported model is in a zip already."""
    return f"{describe_exported(fold)}. To hand it on, hand on the zip that it came from" if is_exported(fold) else ""


def no_checkpoint(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The newest checkpoint, from which nnU-Net would go on, is something else under this name."""
    newest = next((path for name in CHECKPOINTS if (path := fold / name).is_file()), None)
    try:
        if newest:
            check_checkpoint(newest)
    except InputError as error:
        return str(error)
    return ""


def lost_split(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The split is gone."""
    if then.train is None or now.train is not None:
        return ""
    return f"{fold} was trained on a split, and splits_final.json is gone; bring it back"


def other_cases(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The split is another: what validates may have been trained on."""
    if not (moved := then.moved_cases(now)):
        return ""
    return (
        f"{fold} was trained on other cases than splits_final.json has for this fold now ({len(moved)} differ, "
        f"such as {moved[0]}): what validates may have been trained on. Restore the split, or remove the fold, "
        "to train it anew"
    )


def other_outputs(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The outputs of the network would mean something else."""
    if not then.outputs or not now.outputs or then.outputs == now.outputs:
        return ""
    return (
        f"{fold} was trained on other labels than dataset.json in nnUNet_preprocessed has now: the outputs of its "
        f"network are the values {then.outputs}, and would be {now.outputs}. Bring dataset.json back, or remove the "
        "fold to train it anew"
    )


def other_plans(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The plans of this name are others, in a setting that a training looks at."""
    if not then.configuration or not now.configuration:
        return ""
    differing = differing_settings(then.configuration, now.configuration)
    if not (differing := [name for name in differing if name not in NOT_TRAINED_ON]):
        return ""
    return (
        f"{fold} was trained under other plans of this name: {', '.join(differing)} differ. Plan again as it was, "
        "give the new ones another name (segan_nnunet plan --plans-name), or remove the fold to train it anew"
    )


def other_objective(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The trainer of this name has another objective."""
    if not (changed := changed_objective(then.objective, now.objective)):
        return ""
    return (
        f"{fold} was trained under another objective than its trainer has now: {changed}. Undo the change to "
        "continue this training. To train under the new objective, give the changed trainer a name of its own, or "
        "remove the fold"
    )


def other_labels(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """Labels were corrected since."""
    labels, labels_now = then.labels or {}, now.labels or {}
    changed = sorted(case for case in labels.keys() & labels_now.keys() if labels[case] != labels_now[case])
    if not changed:
        return ""
    return (
        f"{fold} was trained on other labels than are preprocessed now ({len(changed)} cases differ, such as "
        f"{changed[0]}). Bring them back and preprocess again, or remove the fold, to train it anew; or, if that "
        f"was done without crossval, its {RECORD}"
    )


def no_summary(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The fold was not validated."""
    path = fold / SUMMARY
    if path.is_file():
        return ""
    return f"{path} is missing: the training has not finished, or its validation; run it again with --c"


def damaged_summary(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The summary of the validation names no case."""
    path = fold / SUMMARY
    if not path.is_file() or validated_entries(fold):
        return ""
    return f"{path} is damaged; run the training's validation again: nnUNetv2_train ... --val"


def lost_predictions(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """Predictions of the validation are not here."""
    if not (missing := missing_predictions(fold)):
        return ""
    return (
        f"{fold / 'validation'} lacks predictions that its summary.json scores ({len(missing)}, such as {missing[0]}): "
        "they were removed, or the model was installed without them. Validate again: nnUNetv2_train ... --val"
    )


def other_validation(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The fold validated other cases than it would now."""
    if now.val is None or set(validated_cases(fold)) == names(now.val):
        return ""
    return (
        f"{fold / 'validation'} holds other cases than splits_final.json has for {fold.name.replace('_', ' ')} now: "
        "the split was changed since. A case may have trained the model that predicts it; restore the split, or "
        f"remove {fold} and train it anew"
    )


def scored_in_training(fold: Path, then: FoldRecord, now: FoldRecord) -> str:
    """The fold was trained on cases that it is scored on; fold all is, and has no scores."""
    both = sorted(names(then.train) & set(validated_cases(fold)))
    if not both or fold.name == "fold_all":
        return ""
    return (
        f"{fold} was trained on {len(both)} of the cases that it is scored on, such as {both[0]}: its scores are "
        "too good. Correct the split, remove this folder, and train the fold anew"
    )


RESTS_ON_OTHERS: tuple[Reason, ...] = (
    lost_split, other_cases, other_outputs, other_plans, other_objective, other_labels,
)  # fmt: skip
REASONS: dict[Purpose, tuple[Reason, ...]] = {
    Purpose.CONTINUE: (exported, no_checkpoint, *RESTS_ON_OTHERS),
    Purpose.COUNT: (exported, *RESTS_ON_OTHERS),
    Purpose.COMPARE: (
        exported_to_compare, no_summary, damaged_summary, lost_predictions, other_validation, scored_in_training,
    ),
    Purpose.EXPORT: (exported_before, damaged_summary, scored_in_training),
}  # fmt: skip


def check_one_method(folds: Sequence[Path]) -> None:
    """Check that folds, of one model or of several seeds, were trained under the same configuration and objective.

    As far as it is recorded.

    Raises:
        InputError: they were not, and are no one method.
    """
    records = {fold: read_record(fold) for fold in folds}
    objectives = [(fold, record.objective) for fold, record in records.items() if record.objective]
    for fold, objective in objectives[1:]:
        first, other = objectives[0]
        if changed := changed_objective(other, objective):
            raise InputError(f"{fold} was trained under another objective than {first}: {changed}. {NOT_ONE_METHOD}")
    configurations = [(fold, record.configuration) for fold, record in records.items() if record.configuration]
    for fold, configuration in configurations[1:]:
        first, planned = configurations[0]
        if differing := differing_settings(configuration, planned):
            raise InputError(
                f"{fold} was trained under other plans of this name than {first}: {', '.join(differing)} differ. "
                f"{NOT_ONE_METHOD}"
            )
