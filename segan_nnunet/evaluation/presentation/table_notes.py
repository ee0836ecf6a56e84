"""The sentences below every table: where the cases come from, how many they are, what was left out."""

from collections.abc import Sequence

from segan_nnunet.evaluation.methods.method import Contest, shorten
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.statistics.paired import few_units
from segan_nnunet.evaluation.statistics.seeds import scatter_notes


def contest_notes(
    contest: Contest, number: int, patients: int, policy: EmptyPolicy, comparisons: int, grade: str = ""
) -> list[str]:
    """What holds for every table of a comparison.

    Args:
        contest: what is compared.
        number: of cases.
        patients: that they are of.
        policy: what empty masks score.
        comparisons: with the baseline, in the family that Holm corrects.
        grade: of the cases; all grades by default.
    """
    where = f"{contest.title}, grade {grade} only" if grade else contest.title
    counted = f"{number} case{'s' if number > 1 else ''}"
    if patients < number:
        counted = f"{patients} patients, each the mean of its scans ({number} cases)"
    notes = [f"Mean over {counted} ({where}). {policy.rule}"]
    if contest.left_out:
        notes.append(f"Left out, because not every method has them: {len(contest.left_out)} cases, "
                     f"{shorten(contest.left_out)}.")  # fmt: skip
    notes += contest.seed_notes
    notes += [] if contest.seeds is None else scatter_notes(contest.seeds)
    notes += unfinished_notes(contest)
    notes += [contest.exported.strip()] if contest.exported else []
    if few := few_units(patients, comparisons, "patient" if patients < number else "case"):
        notes.append(few)
    return notes


def unfinished_notes(contest: Contest) -> Sequence[str]:
    """Name the folds that are missing or unfinished."""
    said = [f"{method.name}: {method.unfinished}" for method in contest.methods if method.unfinished]
    return [f"Not all folds are validated: {'. '.join(said)}."] if said else []
