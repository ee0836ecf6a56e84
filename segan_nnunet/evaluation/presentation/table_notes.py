"""Write the notes below the tables: the origin of the cases, the units, the cases that were left out."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from segan_nnunet.errors import shorten
from segan_nnunet.evaluation.conclusions import Conclusions
from segan_nnunet.evaluation.methods.methods_on_cases import MethodsOnCases
from segan_nnunet.evaluation.presentation.published_rows import SOURCE
from segan_nnunet.evaluation.scores.scores import DICE, Score
from segan_nnunet.evaluation.scores.seeds import numbers_of_seeds, single_trainings
from segan_nnunet.evaluation.statistics.paired import (
    BETTER,
    DISAGREE,
    SEED_TEST,
    SINGLE_TRAINING_TEST,
    WILCOXON_TEST,
    WORSE,
)
from segan_nnunet.evaluation.statistics.sentences import USUALLY, equivalence_notes, few_units
from segan_nnunet.evaluation.wording import amount

MARKS = {BETTER: "†", WORSE: "‡", DISAGREE: "§"}
TEST_DESCRIPTIONS = {
    WILCOXON_TEST: "Wilcoxon's signed-rank test over paired units",
    SEED_TEST: "where both methods have several seeds, a test over seeds and units",
    SINGLE_TRAINING_TEST: "where one of two methods has several seeds, the same test, in which the variance of these "
    "seeds stands for the single training too",
}


def comparison_notes(conclusions: Conclusions, part: pd.DataFrame, comparisons: int, grade: str = "") -> list[str]:
    """Write the notes that hold for every table of a comparison.

    Args:
        conclusions: the results of the comparison.
        part: the scores of the table's cases.
        comparisons: number of comparisons in the primary endpoint's family; for a grade, in its smallest family.
        grade: the grade of the cases; all grades by default.
    """
    compared = conclusions.compared
    number, patients = part["case"].nunique(), part["patient"].nunique()
    where = f"{compared.title}, grade {grade} only" if grade else compared.title
    unit = "patient" if named_patients(compared) else "case"
    definitions = conclusions.settings.definitions
    policy = f"{definitions.describe()} {definitions.policy.describe()}"
    cases = describe_cases(number, patients)
    notes = [f"Mean over {cases} ({where}). {units_note(compared, number, patients)} {policy}"]
    if compared.left_out:
        notes.append(f"Left out, because not every method has them: {len(compared.left_out)} cases, "
                     f"{shorten(compared.left_out)}.")  # fmt: skip
    notes += seed_notes(part)
    notes += scatter_notes(conclusions.seeds)
    notes += training_notes(part)
    notes += unfinished_notes(compared)
    notes += [compared.exported] if compared.exported else []
    if few := few_units(patients, comparisons, unit, "" if grade else " of the primary endpoint"):
        notes.append(few)
    return notes


def seed_notes(scores: pd.DataFrame) -> list[str]:
    """Write which methods are means over which seeds."""
    return [
        f"{method} is the mean over the seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))} of each case."
        for method, seeds in numbers_of_seeds(scores).items()
    ]


def scatter_notes(seeds: pd.DataFrame) -> list[str]:
    """Write the standard deviation of each method's mean Dice over its seeds, by region.

    Args:
        seeds: the result of `scores_of_seeds`.
    """
    notes = []
    for method, of_method in seeds.groupby("method", sort=False):
        scatter = of_method.groupby("region", sort=False)[DICE.column].std().dropna()
        if len(scatter):
            each = ", ".join(f"{value:.3f} ({region})" for region, value in scatter.items())
            notes.append(f"{method}'s mean Dice has a standard deviation over its seeds of {each}.")
    return notes


def describe_cases(number: int, patients: int) -> str:
    """Describe the number of cases, and the number of patients if it is smaller."""
    if patients < number:
        return f"{patients} patients, each the mean of its scans ({number} cases)"
    return amount(number, "case")


def units_note(compared: MethodsOnCases, number: int, patients: int) -> str:
    """Describe the units of intervals and tests."""
    too_much = "If several cases are of one patient, the intervals are too narrow and the tests find too much."
    named = named_patients(compared)
    if not named:
        return (
            "The units of intervals and tests are the cases, because no table names their patients (--patients FILE). "
            + too_much
        )
    note = f"The units of intervals and tests are the patients{'' if patients < number else ', one case each'}."
    if unnamed := sorted(set(compared.predictions[0].files) - named):
        note += (
            f" The table names no patient for {len(unnamed)} of the cases ({shorten(unnamed)}). They count as patients "
            f"of their own. {too_much}"
        )
    return note


def named_patients(compared: MethodsOnCases) -> set[str]:
    """Return the compared cases with a known patient."""
    return set(compared.predictions[0].files) & set(compared.patients)


def training_notes(scores: pd.DataFrame) -> list[str]:
    """Write which methods stand for a single training, and what follows for intervals and tests."""
    single, number = single_trainings(scores), scores["method"].nunique()
    if number < 2 or not single:
        return []
    names = "Every method" if len(single) == number else ", ".join(single)
    notes = [
        f"{names} stand{'s' if ', ' not in names else ''} for one training per fold, or for predictions of one origin. "
        "A comparison of two such methods is about these trainings, not about the methods: another seed may give "
        "another result."
    ]
    if len(single) < number:
        notes.append(
            "Where one of two compared methods has several seeds, their variance stands for the single training of the "
            "other method too."
        )
    return notes


def unfinished_notes(compared: MethodsOnCases) -> list[str]:
    """Name the folds that are missing or unfinished."""
    unfinished = [f"{method}: {first.unfinished}" for method, first in compared.methods.items() if first.unfinished]
    return [f"Not all folds are validated: {'. '.join(unfinished)}."] if unfinished else []


def score_notes(
    summary: pd.DataFrame, tests: pd.DataFrame, scores: Sequence[Score], regions: Sequence[str], published: bool
) -> list[str]:
    """Explain the marks, and list the scores to which fewer cases contribute."""
    notes = []
    if len(tests):
        kinds = [TEST_DESCRIPTIONS[test] for test in TEST_DESCRIPTIONS if test in set(tests["test"])]
        baseline = tests["baseline"].iloc[0]
        notes.append(
            "Bold: the best mean of a column. No mean is bold where the methods have scores of different numbers of "
            f"cases (in brackets), or where a § stands. {MARKS[BETTER]} significantly better than {baseline}, "
            f"{MARKS[WORSE]} significantly worse, "
            f"{MARKS[DISAGREE]} significant, but ranks and mean favour different methods, because one method "
            f"{USUALLY} (p < 0.05; {'; '.join(kinds)}; Holm's correction). Marks in brackets are exploratory."
        )
        notes += equivalence_notes(tests[tests["stratum"].isin(summary["stratum"])], scores)
    if published:
        notes.append(
            f"Published rows: as printed in {SOURCE}, reached on other data; no comparison with the rows above."
        )
    most = summary["scans"].max()
    fewer = [
        f"{score.title} {region}: {counts}"
        for score, region in product(scores, regions)
        if (counts := fewer_cases(summary[(summary["score"] == score.column) & (summary["region"] == region)], most))
    ]
    if fewer:
        notes.append("Some scores are not defined in all cases. Their numbers of cases: " + "; ".join(fewer) + ".")
    return notes


def dominance_notes(summary: pd.DataFrame, scores: Sequence[Score], regions: Sequence[str]) -> list[str]:
    """Write the means without the one or two units that dominate them, and the medians."""
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
    """Describe how many cases contribute to a column of the table; empty if there are `most` for every method."""
    parts = []
    for cases, rows in column[column["scans"] < most].groupby("scans"):
        methods = "" if len(rows) == len(column) else f" ({', '.join(rows['method'])})"
        parts.append(f"{cases}{methods}")
    return ", ".join(parts)
