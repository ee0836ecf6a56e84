"""Put statistics into words: each comparison, the number of significant ones, and what few units can show."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.scores.scores import SCORES, TABLE_1, Score
from segan_nnunet.evaluation.statistics.equivalence import AS_GOOD, NOT_SHOWN, NOT_WORSE
from segan_nnunet.evaluation.statistics.intervals import FEWEST
from segan_nnunet.evaluation.statistics.paired import ALPHA, BETTER, DISAGREE, OF_UNITS, PRIMARY, WORSE, significant
from segan_nnunet.evaluation.statistics.summary import ALL_CASES

FEW_UNITS = 20
USUALLY = "is usually better and sometimes fails"


def sentences(
    tests: pd.DataFrame,
    regions: Sequence[str],
    stratum: str = ALL_CASES,
    primary: bool = True,
    scores: Sequence[Score] = SCORES,
) -> list[str]:
    """Say each comparison in words.

    Args:
        tests: as `paired_tests` returns it.
        regions: the regions to write about.
        stratum: all cases, or a grade.
        primary: the comparisons of the primary endpoint; else the exploratory ones of Table 1.
        scores: all scores in `tests`, for their titles and directions.
    """
    by_column = {score.column: score for score in scores}
    in_table_1 = tests["score"].isin([score.column for score in TABLE_1])
    wanted = (tests["family"] == PRIMARY) if primary else (tests["family"] != PRIMARY) & in_table_1
    chosen = tests[(tests["stratum"] == stratum) & wanted & tests["region"].isin(regions)]
    return [sentence(row, by_column[row.score]) for row in chosen.itertuples()]


def sentence(row, score: Score) -> str:  # type: ignore[no-untyped-def]  # a row of itertuples has no type
    """Say one comparison in words."""
    subject = f"{score.title} of the {row.region}"
    if not row.pairs:
        return f"{subject}: no case defines it for both {row.method} and {row.baseline}."
    # the method that the ranks favour first, so that "better" and "worse" read alike in both directions
    usual, other = (
        (row.method, row.baseline) if (row.effect > 0) == score.higher_is_better else (row.baseline, row.method)
    )
    if row.verdict == DISAGREE:
        verdict = (
            f"{row.method} and {row.baseline} differ significantly, but ranks and mean disagree: the ranks favour "
            f"{usual}, the mean favours {other}, so {usual} {USUALLY}"
        )
    elif row.verdict:
        verdict = f"{row.method} is significantly {row.verdict} than {row.baseline}"
    else:
        verdict = f"{row.method} does not differ significantly from {row.baseline}"
    unit = score.decimals
    interval = ""
    if not np.isnan(row.difference_low):
        interval = f", 95 % interval {row.difference_low:+.{unit}f} to {row.difference_high:+.{unit}f}"
        if (row.difference_low > 0 or row.difference_high < 0) != bool(row.verdict):
            # of the mean of one comparison, where the test is of ranks and of all comparisons
            interval += ", not corrected" + (", of the mean and not of the ranks" if row.test == OF_UNITS else "")
    better = row.method if (row.difference > 0) == score.higher_is_better else row.baseline
    claim = "" if np.isnan(row.false_claim) else f"; P({better} is not better) = {row.false_claim:.2g}"
    return (
        f"{subject}: {verdict} (mean difference {row.difference:+.{unit}f}{interval}; p = {row.p:.2g}, "
        f"{row.p_holm:.2g} after Holm; rank-biserial {row.effect:+.2f}; {amount(row.pairs, 'pair')}{claim})."
        f"{dominated(row, score)}{equivalence(row, score)}"
    )


def equivalence(row, score: Score) -> str:  # type: ignore[no-untyped-def]  # a row of itertuples has no type
    """Say whether a method is as good as another within the margin; empty where that is not tested."""
    if not getattr(row, "equivalence", ""):
        return ""
    margin = f"{row.margin:g} {score.title}"
    claim = {
        AS_GOOD: f"{row.method} is as good as {row.baseline} within {margin}",
        NOT_WORSE: f"{row.method} is not worse than {row.baseline} by more than {margin}",
    }.get(
        row.equivalence,
        f"It is not shown that {row.method} is as good as {row.baseline} within {margin}, or not worse by more",
    )
    if np.isnan(row.difference_low90):
        return f" {claim} (fewer than {FEWEST} units have no 90 % interval)."
    unit = score.decimals
    return (
        f" {claim} (90 % interval {row.difference_low90:+.{unit}f} to {row.difference_high90:+.{unit}f}; after Holm "
        f"p = {row.p_equivalence_holm:.2g} of equivalence, {row.p_noninferiority_holm:.2g} of non-inferiority)."
    )


def equivalence_notes(tests: pd.DataFrame, scores: Sequence[Score] = SCORES) -> list[str]:
    """Say for the primary endpoint in which regions each method is as good as the other, or not worse.

    Args:
        tests: with the columns of `add_equivalence`; without them there is nothing to say.
        scores: to write about.
    """
    if "equivalence" not in tests:
        return []
    titles = {score.column: score.title for score in scores}
    chosen = tests[(tests["family"] == PRIMARY) & (tests["equivalence"] != "") & tests["score"].isin(list(titles))]
    pairs = []
    for (column, method, baseline), pair in chosen.groupby(["score", "method", "baseline"], sort=False):
        regions = pair.groupby("equivalence", sort=False)["region"].agg(", ".join)
        each = [f"{verdict}: {regions[verdict]}" for verdict in (AS_GOOD, NOT_WORSE, NOT_SHOWN) if verdict in regions]
        pairs.append(f"{titles[column]} of {method} against {baseline} is {'; '.join(each)}")
    if not pairs:
        return []
    return [
        f"Equivalence within a margin of {chosen['margin'].iloc[0]:g} (two one-sided t-tests with Holm's correction "
        f"over the primary endpoint, and the 90 % interval): {'. '.join(pairs)}."
    ]


def dominated(row, score: Score) -> str:  # type: ignore[no-untyped-def]  # a row of itertuples has no type
    """Say that one or two units dominate a mean difference; empty where none do."""
    if not row.dominated_by:
        return ""
    median = f"the median difference is {row.median_difference:+.{score.decimals}f}"
    if not np.isnan(row.median_low):
        median += f" [{row.median_low:+.{score.decimals}f}, {row.median_high:+.{score.decimals}f}]"
    return (
        f" {row.dominated_by} dominate{'' if ', ' in row.dominated_by else 's'} this mean: without "
        f"{'them' if ', ' in row.dominated_by else 'it'} the mean difference would be "
        f"{row.difference_without:+.{score.decimals}f}; {median}."
    )


def family_note(tests: pd.DataFrame, scores: Sequence[Score] = SCORES) -> str:
    """Name the primary endpoint, its family and what is exploratory; empty where it is not tested."""
    family = tests[tests["family"] == PRIMARY]
    if family.empty:
        return ""
    titles = {score.column: score.title for score in scores}
    endpoint = " and ".join(titles[column] for column in family["score"].unique())
    regions = ", ".join(family["region"].unique())
    baselines = family["baseline"].unique()
    against = f"with {baselines[0]}" if len(baselines) == 1 else "of all pairs of methods"
    return (
        f"Primary endpoint: {endpoint} of {regions}, in all cases. Holm's correction is over its family, the "
        f"{amount(len(family), 'comparison')} {against}. All other scores, and all grades, are exploratory: their p "
        "are corrected within their own table only, and a claim needs new data."
    )


def count_findings(tests: pd.DataFrame) -> str:
    """Say how many comparisons of the primary endpoint are significant, and in which direction."""
    family = tests[tests["family"] == PRIMARY]
    findings = family[significant(family)]
    baselines = family["baseline"].unique()
    directions = (
        {BETTER: f"better than {baselines[0]}", WORSE: f"worse than {baselines[0]}"} if len(baselines) == 1 else {}
    )
    directions[DISAGREE] = f"where {DISAGREE}"  # better than whom says nothing of all pairs
    counts = findings["verdict"].value_counts()
    listed = ", ".join(f"{counts[verdict]} {text}" for verdict, text in directions.items() if verdict in counts)
    number = len(findings)
    return (
        f"Primary endpoint: {number or 'none'} of {amount(len(family), 'comparison')} {'is' if number <= 1 else 'are'} "
        f"significant (p < {ALPHA} after Holm's correction){': ' + listed if listed else ''}."
    )


def amount(number: int, noun: str) -> str:
    """Return a number of things, such as `1 pair` or `20 pairs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def smallest_p(pairs: int) -> float:
    """Return the smallest p that the two-sided test can give: all differences of one sign, 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - pairs))


def few_units(number: int, comparisons: int, unit: str = "case", endpoint: str = "") -> str:
    """Say what so few units can show; empty where they are not few.

    Args:
        number: of units.
        comparisons: in the family that is corrected together; 0 where the test is not Wilcoxon's.
        unit: what they are.
        endpoint: whose family it is, such as " of the primary endpoint"; empty where it is any family's.
    """
    if number >= FEW_UNITS:
        return ""
    intervals = "the intervals are rough" if number >= FEWEST else "there are no intervals"
    few = f"{amount(number, unit)} {'is' if number == 1 else 'are'} few: {intervals}"
    if comparisons and smallest_p(number) * comparisons >= ALPHA:
        return (
            f"{few}, and no difference{endpoint} can be significant: the smallest p that {amount(number, 'pair')} can "
            f"give is {smallest_p(number):.2g}, before Holm's correction for {amount(comparisons, 'comparison')}."
        )
    return f"{few}, and only large differences could be found."
