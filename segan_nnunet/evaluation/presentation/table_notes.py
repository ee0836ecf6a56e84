"""Write the sentences below every table: the origin of the cases, the units, the cases that were left out."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from segan_nnunet.errors import shorten
from segan_nnunet.evaluation.methods.method import Contest
from segan_nnunet.evaluation.presentation.published_rows import SOURCE
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.statistics.paired import BETTER, DISAGREE, OF_SEEDS, OF_UNITS, ONE_TRAINING, WORSE
from segan_nnunet.evaluation.statistics.seeds import scatter_notes
from segan_nnunet.evaluation.statistics.sentences import USUALLY, few_units

MARKS = {BETTER: "†", WORSE: "‡", DISAGREE: "§"}
TEST_WORDS = {
    OF_UNITS: "Wilcoxon's signed-rank test over paired units",
    OF_SEEDS: "where both methods have several seeds, a test over seeds and units",
    ONE_TRAINING: "where one of two methods has several seeds, the same test, in which the variance of these seeds "
    "stands for the single training too",
}


def contest_notes(
    contest: Contest, number: int, patients: int, policy: EmptyPolicy, comparisons: int, grade: str = ""
) -> list[str]:
    """Say what holds for every table of a comparison.

    Args:
        contest: what is compared.
        number: of cases.
        patients: that they are of.
        policy: what empty masks score.
        comparisons: in the primary endpoint's family; of a grade, in its smallest family.
        grade: of the cases; all grades by default.
    """
    where = f"{contest.title}, grade {grade} only" if grade else contest.title
    unit = "patient" if named_patients(contest) else "case"
    notes = [f"Mean over {counted(number, patients)} ({where}). {units_note(contest, number, patients)} {policy.rule}"]
    if contest.left_out:
        notes.append(f"Left out, because not every method has them: {len(contest.left_out)} cases, "
                     f"{shorten(contest.left_out)}.")  # fmt: skip
    notes += contest.seed_notes
    notes += [] if contest.seeds is None else scatter_notes(contest.seeds)
    notes += training_notes(contest)
    notes += unfinished_notes(contest)
    notes += [contest.exported.strip()] if contest.exported else []
    if few := few_units(patients, comparisons, unit, "" if grade else " of the primary endpoint"):
        notes.append(few)
    return notes


def counted(number: int, patients: int) -> str:
    """Say how many cases there are, and of how many patients where these are fewer."""
    if patients < number:
        return f"{patients} patients, each the mean of its scans ({number} cases)"
    return f"{number} case{'s' if number > 1 else ''}"


def units_note(contest: Contest, number: int, patients: int) -> str:
    """Say what the units of intervals and tests are."""
    too_much = "If several cases are of one patient, the intervals are too narrow and the tests find too much."
    named = named_patients(contest)
    if not named:
        return (
            "The units of intervals and tests are the cases, because no table names their patients (--patients FILE). "
            + too_much
        )
    note = f"The units of intervals and tests are the patients{'' if patients < number else ', one case each'}."
    if unnamed := sorted(set(contest.methods[0].predictions) - named):
        note += (
            f" The table names no patient for {len(unnamed)} of the cases ({shorten(unnamed)}). They count as patients "
            f"of their own. {too_much}"
        )
    return note


def named_patients(contest: Contest) -> set[str]:
    """Return the compared cases whose patient a table names."""
    return set(contest.methods[0].predictions) & set(contest.patients)


def training_notes(contest: Contest) -> list[str]:
    """Say which methods stand for a single training, and what that means for intervals and tests."""
    if len(contest.rows) < 2:
        return []
    of_seeds = contest.scores_of_seeds
    seeds = pd.Series(dtype=int) if of_seeds is None else of_seeds.groupby("method")["seed"].nunique()
    single = [method for method in contest.rows if seeds.get(method, 1) == 1]
    if not single:
        return []
    names = "Every method" if len(single) == len(contest.rows) else ", ".join(single)
    notes = [
        f"{names} stand{'s' if ', ' not in names else ''} for one training per fold, or for predictions of one origin. "
        "A comparison of two such methods is about these trainings, not about the methods: another seed may give "
        "another result."
    ]
    if len(single) < len(contest.rows):
        notes.append(
            "Where one of two compared methods has several seeds, their variance stands for the single training of the "
            "other method too."
        )
    return notes


def unfinished_notes(contest: Contest) -> Sequence[str]:
    """Name the folds that are missing or unfinished."""
    unfinished = [f"{method.name}: {method.unfinished}" for method in contest.methods if method.unfinished]
    return [f"Not all folds are validated: {'. '.join(unfinished)}."] if unfinished else []


def score_notes(
    summary: pd.DataFrame, tests: pd.DataFrame, scores: Sequence[Score], regions: Sequence[str], published: bool
) -> list[str]:
    """Say what the marks mean, where fewer cases counted, and which means a few cases dominate."""
    notes = []
    if len(tests):
        kinds = [TEST_WORDS[test] for test in TEST_WORDS if test in set(tests["test"])]
        baseline = tests["baseline"].iloc[0]
        notes.append(
            "Bold: the best mean of a column. No mean is bold where the methods have scores of different numbers of "
            f"cases (in brackets), or where a § stands. {MARKS[BETTER]} significantly better than {baseline}, "
            f"{MARKS[WORSE]} significantly worse, "
            f"{MARKS[DISAGREE]} significant, but ranks and mean favour different methods, because one method "
            f"{USUALLY} (p < 0.05; {'; '.join(kinds)}; Holm's correction). Marks in brackets are exploratory."
        )
    if published:
        notes.append(
            f"Published rows: as printed in {SOURCE}, reached on other data; no comparison with the rows above."
        )
    most = summary["scans"].max()
    fewer = [
        f"{score.title} {region}: {found}"
        for score, region in product(scores, regions)
        if (found := fewer_cases(summary[(summary["score"] == score.column) & (summary["region"] == region)], most))
    ]
    if fewer:
        notes.append("Cases that counted, where not all did: " + "; ".join(fewer) + ".")
    return notes + dominance_notes(summary, scores, regions)


def dominance_notes(summary: pd.DataFrame, scores: Sequence[Score], regions: Sequence[str]) -> list[str]:
    """Say what means would be without the one or two units that dominate them, with the medians."""
    of_units: dict[tuple[str, str], list[str]] = {}
    for score, region in product(scores, regions):
        chosen = summary[(summary["score"] == score.column) & (summary["region"] == region)]
        for row in chosen[chosen["dominated_by"] != ""].itertuples():
            mean, without, median, low, high = (
                f"{value:.{score.decimals}f}"
                for value in (row.mean, row.mean_without, row.median, row.median_low, row.median_high)
            )
            if mean != without:
                interval = "" if np.isnan(row.median_low) else f" [{low}, {high}]"
                text = f"{score.title} {region} {without} instead of {mean}, median {median}{interval}"
                of_units.setdefault((row.method, row.dominated_by), []).append(text)
    if not of_units:
        return []
    each = [f"{method} without {units}: {'; '.join(texts)}" for (method, units), texts in of_units.items()]
    return [f"One or two patients or cases dominate some means. {'. '.join(each)}."]


def fewer_cases(column: pd.DataFrame, most: int) -> str:
    """How many cases counted in a column of the table, and for whom if not for all; empty where `most` did."""
    parts = []
    for cases, rows in column[column["scans"] < most].groupby("scans"):
        methods = "" if len(rows) == len(column) else f" ({', '.join(rows['method'])})"
        parts.append(f"{cases}{methods}")
    return ", ".join(parts)
