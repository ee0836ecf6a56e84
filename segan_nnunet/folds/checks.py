"""Whether a fold may be continued, counted, compared or exported: all reasons against it are here, one `yield` each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from segan_nnunet.errors import InputError
from segan_nnunet.folds import state
from segan_nnunet.folds.checkpoint import check_checkpoint
from segan_nnunet.folds.record import RECORD, FoldRecord, changed_objective, differing_settings, names, read_record
from segan_nnunet.text_enum import TextEnum

NOTHING = FoldRecord()
NOT_TRAINED_ON = {"next_stage"}  # of a configuration: what a training does not look at
NOT_ONE_METHOD = "They are no one method: train the folds of one of them anew, or take the folds or seeds of one"


class Purpose(TextEnum):
    """What a fold is wanted for."""

    CONTINUE = "to train on from its newest checkpoint"
    COUNT = "to count as finished in a grid"
    COMPARE = "to score its predictions of validation cases"
    EXPORT = "to hand it on, with its scores"


EXPORTED_ALREADY = {
    Purpose.COMPARE: ". It has no predictions of validation cases: to compare it, predict a test set and give "
    "--predictions NAME=FOLDER --reference FOLDER",
    Purpose.EXPORT: ". To hand it on, hand on the zip that it came from",
}


def check_fold(path: Path, purpose: Purpose, now: FoldRecord = NOTHING, then: FoldRecord | None = None) -> None:
    """Check that a fold may be continued, counted, compared or exported, as far as its record goes.

    Args:
        path: the fold's folder; or the checkpoint that holds `then`.
        purpose: what the fold is wanted for.
        now: what it would rest on now.
        then: what it rests on; by default as `read_record` returns it.

    Raises:
        InputError: it may not; with the first reason and its remedy.
    """
    for reason in reasons(path, purpose, now, read_record(path) if then is None else then):
        raise InputError(reason)


def reasons(fold: Path, purpose: Purpose, now: FoldRecord, then: FoldRecord) -> Iterator[str]:
    """Yield the reasons against a fold; the arguments are those of `check_fold`."""
    if state.is_exported(fold):
        yield state.describe_exported(fold) + EXPORTED_ALREADY.get(purpose, "")
    if purpose is Purpose.CONTINUE and (newest := state.newest_checkpoint(fold)):
        try:
            check_checkpoint(newest)
        except InputError as error:
            yield str(error)
    if purpose in (Purpose.CONTINUE, Purpose.COUNT):
        yield from changes(fold, now, then)
    if purpose is Purpose.COMPARE:
        yield from lacks_of_validation(fold, now)
    if purpose in (Purpose.COMPARE, Purpose.EXPORT):
        yield from flaws_of_scores(fold, then)


def changes(fold: Path, now: FoldRecord, then: FoldRecord) -> Iterator[str]:
    """Yield what a fold rests on that was changed since."""
    if then.train is not None and now.train is None:
        yield f"{fold} was trained on a split, and splits_final.json is gone; bring it back"
    if moved := then.moved_cases(now):
        yield (
            f"{fold} was trained on other cases than splits_final.json has for this fold now ({len(moved)} differ, "
            f"such as {moved[0]}): what validates may have been trained on. Restore the split, or remove the fold, "
            "to train it anew"
        )
    if then.outputs and now.outputs and then.outputs != now.outputs:
        yield (
            f"{fold} was trained on other labels than dataset.json in nnUNet_preprocessed has now: the outputs of its "
            f"network are the values {then.outputs}, and would be {now.outputs}. Bring dataset.json back, or remove "
            "the fold to train it anew"
        )
    if differing := sorted({*differing_settings(then.configuration, now.configuration)} - NOT_TRAINED_ON):
        yield (
            f"{fold} was trained under other plans of this name: {', '.join(differing)} differ. Plan again as it was, "
            "give the new ones another name (segan_nnunet plan --plans-name), or remove the fold to train it anew"
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
            f"{others[0]}). Bring them back and preprocess again, or remove the fold, to train it anew; or, if that "
            f"was done without crossval, its {RECORD}"
        )


def lacks_of_validation(fold: Path, now: FoldRecord) -> Iterator[str]:
    """Yield what a validation lacks."""
    validation = fold / "validation"
    if not (path := fold / state.SUMMARY).is_file():
        yield f"{path} is missing: the training has not finished, or its validation; run it again with --c"
    if missing := state.missing_predictions(fold):
        yield (
            f"{validation} lacks predictions that its summary.json scores ({len(missing)}, such as {missing[0]}): "
            "they were removed, or the model was installed without them. Validate again: nnUNetv2_train ... --val"
        )
    if now.val is not None and names(now.val) != (cases := {*state.validated_cases(fold)}) and cases:
        yield (
            f"{validation} holds other cases than splits_final.json has for {fold.name.replace('_', ' ')} now: the "
            "split was changed since. A case may have trained the model that predicts it; restore the split, or remove "
            f"{fold} and train it anew"
        )


def flaws_of_scores(fold: Path, then: FoldRecord) -> Iterator[str]:
    """Yield why the scores of a validation say nothing. Fold all has none: it validates where it was trained."""
    if (path := fold / state.SUMMARY).is_file() and not state.validated_entries(fold):
        yield f"{path} is damaged; run the training's validation again: nnUNetv2_train ... --val"
    both = sorted(names(then.train) & {*state.validated_cases(fold)})
    if both and fold.name != "fold_all":
        yield (
            f"{fold} was trained on {len(both)} of the cases that it is scored on, such as {both[0]}: its scores are "
            "too good. Correct the split, remove this folder, and train the fold anew"
        )


def check_one_method(folds: Sequence[Path]) -> None:
    """Check that folds, of one model or of several seeds, were trained under the same objective and configuration.

    As far as they are recorded.

    Raises:
        InputError: they were not, and are no one method.
    """
    records = {fold: read_record(fold) for fold in folds}
    objectives = [(fold, record.objective) for fold, record in records.items() if record.objective]
    for fold, objective in objectives[1:]:
        first, other = objectives[0]
        if changed := changed_objective(other, objective):
            raise InputError(f"{fold} was trained under another objective than {first}: {changed}. {NOT_ONE_METHOD}")
    known = [fold for fold, record in records.items() if record.configuration]
    for fold in known[1:]:
        if differing := differing_settings(records[fold].configuration, records[known[0]].configuration):
            raise InputError(
                f"{fold} was trained under other plans of this name than {known[0]}: {', '.join(differing)} differ. "
                f"{NOT_ONE_METHOD}"
            )
