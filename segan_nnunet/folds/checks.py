"""Check whether a fold may be continued, counted, compared or exported. Each reason against it is one `yield`.

`changes` compares a fold with the present data and trainer. It applies only to CONTINUE and COUNT, because the scores
of a finished fold stay valid. `check_one_method` compares the folds of one method with each other.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from segan_nnunet.errors import InputError
from segan_nnunet.folds import state
from segan_nnunet.folds.checkpoint import check_checkpoint
from segan_nnunet.folds.record import (
    RECORD,
    FoldRecord,
    changed_objective,
    composed_names,
    differing_settings,
    read_record,
)
from segan_nnunet.text_enum import TextEnum

NOTHING = FoldRecord()
NOT_TRAINED_ON = {"next_stage"}  # a setting that training does not use
NOT_ONE_METHOD = "They are not one method: retrain the folds of one of them, or choose the folds or seeds of one"


class Purpose(TextEnum):
    """The use of a fold that `check_fold` allows or refuses."""

    CONTINUE = "to train on from its newest checkpoint"
    COUNT = "to count as finished in a grid"
    COMPARE = "to score its predictions of validation cases"
    EXPORT = "to hand it on, with its scores"


EXPORTED_REMEDIES = {
    Purpose.COMPARE: ". It has no predictions of validation cases: to compare it, predict a test set and give "
    "--predictions NAME=FOLDER --reference FOLDER",
    Purpose.EXPORT: ". To hand it on, hand on the zip that it came from",
}


def check_fold(path: Path, purpose: Purpose, now: FoldRecord = NOTHING, then: FoldRecord | None = None) -> None:
    """Check that a fold may be continued, counted, compared or exported, as far as its record tells.

    Args:
        path: the fold's folder, or the checkpoint that holds `then`.
        purpose: the intended use.
        now: what the fold would be trained on now.
        then: what it was trained on; by default `read_record(path)`.

    Raises:
        InputError: the fold may not be used; with the first reason and its remedy.
    """
    if reason := next(reasons(path, purpose, now, read_record(path) if then is None else then), ""):
        raise InputError(reason)


def reasons(fold: Path, purpose: Purpose, now: FoldRecord, then: FoldRecord) -> Iterator[str]:
    """Yield the reasons against a fold. The arguments are those of `check_fold`."""
    if state.is_exported(fold):
        yield state.describe_exported(fold) + EXPORTED_REMEDIES.get(purpose, "")
    if purpose is Purpose.CONTINUE and (newest := state.newest_checkpoint(fold)):
        try:
            check_checkpoint(newest)
        except InputError as error:
            yield str(error)
    if purpose in (Purpose.CONTINUE, Purpose.COUNT):
        yield from changes(fold, now, then)
    if purpose is Purpose.COMPARE:
        yield from validation_gaps(fold, now)
    if purpose in (Purpose.COMPARE, Purpose.EXPORT):
        yield from score_flaws(fold, then)


def changes(fold: Path, now: FoldRecord, then: FoldRecord) -> Iterator[str]:
    """Yield the differences between what a fold was trained on and what it would be trained on now."""
    if then.train is not None and now.train is None:
        yield f"{fold} was trained on a split, and splits_final.json is gone. Restore the file"
    if moved := then.moved_cases(now):
        yield (
            f"{fold} was trained on other cases than splits_final.json has for this fold now ({len(moved)} differ, "
            f"such as {moved[0]}): it may validate cases that it was trained on. Restore the split, or remove the fold "
            "to retrain it"
        )
    if then.outputs and now.outputs and then.outputs != now.outputs:
        yield (
            f"{fold} was trained on other labels than dataset.json in nnUNet_preprocessed has now: the outputs of its "
            f"network are the values {then.outputs}, and would be {now.outputs}. Restore dataset.json, or remove the "
            "fold to retrain it"
        )
    if differing := sorted({*differing_settings(then.configuration, now.configuration)} - NOT_TRAINED_ON):
        yield (
            f"{fold} was trained under other plans of this name: {', '.join(differing)} differ. Restore the earlier "
            "plans, give the new ones another name (segan_nnunet plan --plans-name), or remove the fold to retrain it"
        )
    if changed := changed_objective(then.objective, now.objective):
        yield (
            f"{fold} was trained under another objective than its trainer has now: {changed}. Undo the change to "
            "continue this training. To train under the new objective, give the changed trainer a name of its own, or "
            "remove the fold"
        )
    labels, labels_now = then.labels or {}, now.labels or {}
    if others := sorted(case for case in labels.keys() & labels_now.keys() if labels[case] != labels_now[case]):
        yield (
            f"{fold} was trained on other labels than are preprocessed now ({len(others)} cases differ, such as "
            f"{others[0]}). Restore the labels and preprocess again, or remove the fold to retrain it. If the fold was "
            f"retrained without crossval since, remove its {RECORD}"
        )


def validation_gaps(fold: Path, now: FoldRecord) -> Iterator[str]:
    """Yield the parts that a validation lacks."""
    validation = fold / "validation"
    if not (path := fold / state.SUMMARY).is_file():
        yield f"{path} is missing: the training or its validation has not finished. Run the training again with --c"
    if missing := state.missing_predictions(fold):
        yield (
            f"{validation} lacks predictions that its summary.json scores ({len(missing)}, such as {missing[0]}): "
            "they were removed, or the model was installed without them. Validate again: nnUNetv2_train ... --val"
        )
    validated = {*state.validated_cases(fold)}
    if validated and now.val is not None and composed_names(now.val) != validated:
        yield (
            f"{validation} holds other cases than splits_final.json has for {fold.name.replace('_', ' ')} now: the "
            "split was changed since, and the model may have been trained on a case that it predicts. Restore the "
            f"split, or remove {fold} and retrain it"
        )


def score_flaws(fold: Path, then: FoldRecord) -> Iterator[str]:
    """Yield the reasons why the scores of a validation are invalid."""
    if (path := fold / state.SUMMARY).is_file() and not state.validated_metrics(fold):
        yield f"{path} is damaged. Run the validation again: nnUNetv2_train ... --val"
    both = sorted(composed_names(then.train) & {*state.validated_cases(fold)})
    if both and fold.name != "fold_all":  # fold all always validates on its training cases; nobody reads its scores
        yield (
            f"{fold} was trained on {len(both)} of the cases that it is scored on, such as {both[0]}: its scores are "
            "too good. Correct the split, remove this folder, and retrain the fold"
        )


def check_one_method(folds: Sequence[Path]) -> None:
    """Check that folds or seeds were trained under one objective and one configuration, as far as they record it.

    Raises:
        InputError: two of them differ, so they are not one method.
    """
    records = [(fold, read_record(fold)) for fold in folds]
    objectives = [(fold, record.objective) for fold, record in records if record.objective]
    for (first, expected), (fold, objective) in product(objectives[:1], objectives[1:]):
        if changed := changed_objective(expected, objective):
            raise InputError(f"{fold} was trained under another objective than {first}: {changed}. {NOT_ONE_METHOD}")
    configurations = [(fold, record.configuration) for fold, record in records if record.configuration]
    for (first, expected), (fold, configuration) in product(configurations[:1], configurations[1:]):
        if differing := differing_settings(expected, configuration):
            raise InputError(
                f"{fold} was trained under other plans of this name than {first}: {', '.join(differing)} differ. "
                f"{NOT_ONE_METHOD}"
            )
