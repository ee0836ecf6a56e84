"""Write sentences about the statistics: each comparison, the number of findings, and the limits of few units."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.statistics.equivalence import AS_GOOD, NOT_SHOWN, NOT_WORSE
from segan_nnunet.evaluation.statistics.intervals import FEWEST_UNITS
from segan_nnunet.evaluation.statistics.paired import ALPHA, BETTER, DISAGREE, PRIMARY, WORSE, significant
from segan_nnunet.evaluation.wording import amount, join_names

FEW_UNITS = 20
EQUIVALENCE_CLAUSES = {  # with the other method and the margin
    AS_GOOD: "is as good as {} within {}",
    NOT_WORSE: "is not worse than {} by more than {}",
    NOT_SHOWN: "is not shown to be as good as {} within {}",
}
USUALLY = "is usually better and sometimes fails"


def sentences(tests: pd.DataFrame, scores: Sequence[Score]) -> list[str]:
    """Describe in which scores and regions two methods differ, one text per pair of methods.

    Equivalence is described only for the primary endpoint.

    Args:
        tests: rows of `paired_tests` of one stratum: the primary endpoint, or the exploratory comparisons.
        scores: all scores in `tests`, for their titles and directions.
    """
    texts = []
    for (method, _), pair in tests.groupby(["method", "baseline"], sort=False):
        equivalence = equivalence_clauses(pair[pair["family"] == PRIMARY], scores)
        texts.append(f"{method} {'. It '.join([*clauses(pair, scores), *equivalence])}.")
    return texts


def equivalence_clauses(tests: pd.DataFrame, scores: Sequence[Score], intervals: bool = True) -> list[str]:
    """Describe the regions in which one method of a pair is as good as the other within the margin, or not worse.

    Args:
        tests: rows of one pair of methods. Without the columns of `add_equivalence` the result is empty.
        scores: all scores in `tests`.
        intervals: whether to add the 90 % interval of each difference.
    """
    if "equivalence" not in tests:
        return []
    texts = []
    for score in scores:
        for verdict, clause in EQUIVALENCE_CLAUSES.items():
            rows = tests[(tests["score"] == score.column) & (tests["equivalence"] == verdict)]
            if len(rows):
                regions = list(rows["region"])
                if intervals:
                    regions = [f"{row['region']} ({interval90(row, score)})" for _, row in rows.iterrows()]
                claim = clause.format(rows["baseline"].iloc[0], f"{rows['margin'].iloc[0]:g} {score.title}")
                texts.append(f"{claim} in {join_names(regions)}")
    return texts


def interval90(row: pd.Series, score: Score) -> str:
    """Return the 90 % interval of a difference as a phrase."""
    if np.isnan(row["difference_low90"]):
        return f"fewer than {FEWEST_UNITS} units have no 90 % interval"
    low, high = (signed(row[end], score.decimals) for end in ("difference_low90", "difference_high90"))
    return f"90 % interval {low} to {high}"


def equivalence_notes(tests: pd.DataFrame, scores: Sequence[Score]) -> list[str]:
    """Describe the regions in which each method is as good as the other in the primary endpoint, or not worse.

    Args:
        tests: the result of `add_equivalence`. Without its columns the result is empty.
        scores: the scores to describe.
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


def clauses(tests: pd.DataFrame, scores: Sequence[Score]) -> list[str]:
    """Describe in which scores one method of a pair is better or worse, ranks and mean disagree, or nothing differs.

    Args:
        tests: rows of one pair of methods: of the primary endpoint, or exploratory ones.
        scores: all scores in `tests`.
    """
    method, baseline = tests.iloc[0][["method", "baseline"]]
    verdict, undefined = tests["verdict"], tests["pairs"] == 0
    lower = tests["score"].isin([score.column for score in scores if not score.higher_is_better])
    ranks_favour = np.where((tests["effect"] > 0) != lower, method, baseline)
    disagree = f"differs significantly from {{}}, but ranks and mean disagree, because {{usual}} {USUALLY}, in"
    kinds = {
        "is significantly better than {} in": verdict == BETTER,
        "is significantly worse than {} in": verdict == WORSE,
        **{
            disagree.replace("{usual}", usual): (verdict == DISAGREE) & (ranks_favour == usual)
            for usual in (method, baseline)
        },
        "does not differ significantly from {} in": (verdict == "") & ~undefined,
        "has no case in common with {} that defines": undefined,
    }
    named = {verb: name_scores(tests, rows, scores) for verb, rows in kinds.items()}
    texts = [f"{verb} {names}" for verb, names in named.items() if names]
    return [text.replace("{}", "it" if number else baseline, 1) for number, text in enumerate(texts)]


def name_scores(tests: pd.DataFrame, rows: pd.Series, scores: Sequence[Score]) -> str:
    """Name the scores and regions of some rows of one pair. Scores of the primary endpoint have their differences.

    Exploratory scores without a finding are named only if they have no finding in any region.
    """
    is_primary, has_findings = (tests["family"] == PRIMARY).all(), (tests["verdict"][rows] != "").any()
    named = []
    for score in scores:
        in_score = tests["score"] == score.column
        of_score = tests[rows & in_score]
        regions = list(of_score["region"])
        if has_findings and is_primary:
            differences = zip(regions, of_score["difference"], strict=True)
            regions = [f"{region} ({signed(difference, score.decimals)})" for region, difference in differences]
        elif len(regions) == in_score.sum() > 1:
            regions = ["all regions"]
        if regions and (has_findings or is_primary):
            named.append(f"{score.title} of {join_names(regions)}")
        elif regions and not (tests["verdict"][in_score] != "").any():
            named.append(score.title)
    return ("; " if has_findings or is_primary else ", ").join(named)


def signed(value: float, decimals: int) -> str:
    """Return a difference with its sign; a dash if it is undefined."""
    return "–" if np.isnan(value) else f"{value:+.{decimals}f}".replace("-", "−")


def family_note(tests: pd.DataFrame, scores: Sequence[Score]) -> str:
    """Describe the primary endpoint, its family and the exploratory comparisons; empty if it is not tested."""
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
    """Write how many comparisons of the primary endpoint are significant, and in which direction."""
    family = tests[tests["family"] == PRIMARY]
    findings = family[significant(family)]
    baselines = family["baseline"].unique()
    directions = (
        {BETTER: f"better than {baselines[0]}", WORSE: f"worse than {baselines[0]}"} if len(baselines) == 1 else {}
    )
    directions[DISAGREE] = f"where {DISAGREE}"  # with all pairs, "better than" has no single object
    counts = findings["verdict"].value_counts()
    by_direction = ", ".join(f"{counts[verdict]} {text}" for verdict, text in directions.items() if verdict in counts)
    number = len(findings)
    return (
        f"Primary endpoint: {number or 'none'} of {amount(len(family), 'comparison')} {'is' if number <= 1 else 'are'} "
        f"significant (p < {ALPHA} after Holm's correction){': ' + by_direction if by_direction else ''}."
    )


def smallest_p(pairs: int) -> float:
    """Return the smallest possible p of the two-sided test: 2 / 2^n, if all differences have one sign."""
    return min(1.0, 2.0 ** (1 - pairs))


def few_units(number: int, comparisons: int, unit: str = "case", endpoint: str = "") -> str:
    """Describe the limits of few units; empty for many units.

    Args:
        number: number of units.
        comparisons: number of comparisons in the family of Holm's correction; 0 if the test is not Wilcoxon's.
        unit: the noun for a unit.
        endpoint: the endpoint of the family, such as " of the primary endpoint"; empty for any family.
    """
    if number >= FEW_UNITS:
        return ""
    intervals = "the intervals are rough" if number >= FEWEST_UNITS else "there are no intervals"
    few = f"{amount(number, unit)} {'is' if number == 1 else 'are'} few: {intervals}"
    if comparisons and smallest_p(number) * comparisons >= ALPHA:
        return (
            f"{few}, and no difference{endpoint} can be significant: the smallest p that {amount(number, 'pair')} can "
            f"give is {smallest_p(number):.2g}, before Holm's correction for {amount(comparisons, 'comparison')}."
        )
    return f"{few}, and only large differences could be found."
