"""Write the conclusion of a comparison: the three sentences that a reader sees first."""

from collections.abc import Mapping, Sequence

import pandas as pd

from segan_nnunet.evaluation.conclusions import Conclusions
from segan_nnunet.evaluation.presentation.table import mean_text
from segan_nnunet.evaluation.presentation.table_notes import describe_cases
from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.scores.seeds import single_trainings
from segan_nnunet.evaluation.statistics.equivalence import NOT_SHOWN
from segan_nnunet.evaluation.statistics.paired import ALPHA, BETTER, DISAGREE, PRIMARY, WORSE, significant
from segan_nnunet.evaluation.statistics.ranking import Ranking
from segan_nnunet.evaluation.statistics.sentences import FEW_UNITS, clauses, count_findings, equivalence_clauses
from segan_nnunet.evaluation.statistics.summary import ALL_CASES
from segan_nnunet.evaluation.wording import join_names

MOST_PAIRS = 3  # of methods that are named one by one
MOST_NAMES = 3


def name_methods(methods: list[str]) -> str:
    """Return the names of the methods; for many, the first ones and the number of the others."""
    if len(methods) <= MOST_NAMES + 1:
        return join_names(methods)
    return join_names([*methods[:MOST_NAMES], f"{len(methods) - MOST_NAMES} other methods"])


def conclusion(conclusions: Conclusions) -> list[str]:
    """Return three sentences: the primary endpoint, the exploratory scores, and what the result rests on."""
    return [primary_sentence(conclusions), exploratory_sentence(conclusions), basis_sentence(conclusions)]


def primary_sentence(conclusions: Conclusions) -> str:
    """Write which methods differ in the primary endpoint; for a single method its mean scores."""
    tests = conclusions.tests
    if not len(tests):
        return mean_sentence(conclusions)
    pairs = tests[tests["family"] == PRIMARY].groupby(["method", "baseline"], sort=False)
    if len(pairs) > MOST_PAIRS:
        return count_findings(tests)
    each = [f"{name} {', and '.join(pair_clauses(rows, conclusions.shown_scores))}" for (name, _), rows in pairs]
    return f"Primary endpoint: {'; '.join(each)}."


def pair_clauses(tests: pd.DataFrame, scores: Sequence[Score]) -> list[str]:
    """Describe one pair of methods in the primary endpoint: differences, then equivalence where nothing differs."""
    equal = tests[tests["verdict"] == ""]
    if "equivalence" in equal:
        equal = equal[equal["equivalence"] != NOT_SHOWN]
    return [*clauses(tests, scores), *equivalence_clauses(equal, scores, intervals=False)]


def mean_sentence(conclusions: Conclusions) -> str:
    """Write the means of a single method in the primary endpoint."""
    summary = conclusions.summary[conclusions.summary["stratum"] == ALL_CASES]
    means = [
        f"{score.title} of {row['region']} {mean_text(row, score)}"
        for score in conclusions.shown_scores
        for _, row in summary[summary["score"] == score.column].iterrows()
        if score.column in conclusions.settings.primary
    ]
    return f"Means of {conclusions.baseline}: {', '.join(means)}."


def exploratory_sentence(conclusions: Conclusions) -> str:
    """Write in which other scores methods differ, over all cases."""
    tests = conclusions.tests
    if not len(tests):
        return "There is only one method, so nothing is compared."
    rows = tests[(tests["family"] != PRIMARY) & (tests["stratum"] == ALL_CASES)]
    findings = rows[significant(rows)]
    number = f"{len(findings) or 'None'} of the {len(rows)} exploratory comparisons"
    if findings.empty or findings.groupby(["method", "baseline"]).ngroups > MOST_PAIRS:
        return f"{number} {'is' if len(findings) < 2 else 'are'} significant."
    titles = {score.column: score.title for score in conclusions.shown_scores}
    verbs = {BETTER: "is better than", WORSE: "is worse than", DISAGREE: f"differs ({DISAGREE}) from"}
    each = [
        f"{method} {verbs[verdict]} {baseline} in {join_names(scores_and_regions(of_kind, rows, titles))}"
        for (method, baseline, verdict), of_kind in findings.groupby(["method", "baseline", "verdict"], sort=False)
    ]
    return f"{number} {'is' if len(findings) < 2 else 'are'} significant: {'; '.join(each)}."


def scores_and_regions(findings: pd.DataFrame, rows: pd.DataFrame, titles: Mapping[str, str]) -> list[str]:
    """Return the titles of the scores with findings, each with its regions unless it has findings in all of them."""
    names = []
    for score, of_score in findings.groupby("score", sort=False):
        regions, tested = list(of_score["region"].unique()), rows[rows["score"] == score]["region"].unique()
        names.append(titles[score] + ("" if len(regions) == len(tested) else f" ({', '.join(regions)})"))
    return names


def basis_sentence(conclusions: Conclusions) -> str:
    """Write on how many cases, patients and trainings the result rests."""
    means = conclusions.means
    patients = means["patient"].nunique()
    text = f"This rests on {describe_cases(means['case'].nunique(), patients)}"
    text += ", which are few" if patients < FEW_UNITS else ""
    if single := single_trainings(conclusions.scores):
        text += f", and on one training (or one set of predictions) of {name_methods(single)}"
    return f"{text}."


def ranking_sentence(ranking: Ranking) -> str:
    """Write the order of the methods, and which neighbours in it differ significantly."""
    order = [f"{name} {mean:.2f}" for name, mean in zip(ranking.methods, ranking.mean_ranks, strict=True)]
    pairs = list(zip(ranking.methods, ranking.methods[1:], ranking.p_holm.diagonal(1), strict=False))
    apart = [f"{better} and {worse}" for better, worse, p in pairs if p < ALPHA]
    close = [f"{better} and {worse}" for better, worse, p in pairs if not p < ALPHA]
    each = [
        f"{join_names(names)} {verb}" for names, verb in ((apart, "differ significantly"), (close, "do not")) if names
    ]
    return f"Mean ranks, from the best: {', '.join(order)}. Of neighbours, {'; '.join(each)}."
