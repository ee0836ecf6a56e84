"""Test methods against each other, paired by unit: differences, intervals, p, Holm's correction, direction.

If a method has several seeds, the seeds are a level of their own in its intervals and tests (`seed_level`).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.statistics.intervals import dominating_units, median_interval
from segan_nnunet.evaluation.statistics.seed_level import by_method_and_seed, estimate
from segan_nnunet.evaluation.statistics.summary import ALL_CASES, paired_units, patients_of, strata

ALPHA = 0.05
MOST_EXACT_WITH_TIES = 9  # pairs
WILCOXON_TEST, SEED_TEST = "Wilcoxon", "seeds and units"  # the tests
SINGLE_TRAINING_TEST = "seeds and units, one training"  # the seeds' variance holds for it too
PRIMARY = "primary"  # the family of the primary endpoint
BETTER, WORSE, DISAGREE = "better", "worse", "mean and ranks disagree"  # verdicts; "" if not significant


class PairResult(NamedTuple):
    """The comparison of two methods in one score and region. The attributes are columns of `paired_tests`."""

    pairs: int
    difference: float = np.nan
    difference_low: float = np.nan
    difference_high: float = np.nan
    effect: float = np.nan
    p: float = np.nan
    false_claim: float = np.nan
    test: str = WILCOXON_TEST
    median_difference: float = np.nan
    median_low: float = np.nan
    median_high: float = np.nan
    dominated_by: str = ""
    difference_without: float = np.nan
    error: float = np.nan
    freedom: float = np.nan


def wilcoxon(differences: NDArray) -> tuple[float, float]:
    """Return p of Wilcoxon's signed-rank test, two-sided, and the matched-pairs rank-biserial correlation.

    r = (W+ - W-) / (W+ + W-), in [-1, 1], where W+ and W- are the sums of the ranks of the positive and the negative
    differences; r is 1 if all differences are positive. Differences of 0 are left out, as in Wilcoxon's paper.
    Differences that are equal up to rounding error share their ranks.

    Returns:
        p and r; 1 and 0 if nothing differs, NaN without any pair.
    """
    if not len(differences):
        return float("nan"), float("nan")
    differences = differences.round(12)
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0, 0.0
    ranks = stats.rankdata(np.abs(nonzero))
    effect = float(np.sign(nonzero) @ ranks / ranks.sum())
    # with ties SciPy enumerates the 2^n signs of up to 13 pairs, which takes seconds per test
    tied = len(np.unique(ranks)) < len(ranks)
    method = "asymptotic" if tied and len(nonzero) > MOST_EXACT_WITH_TIES else "auto"
    return float(stats.wilcoxon(nonzero, method=method).pvalue), effect


def paired_tests(
    scores: pd.DataFrame,
    baseline: str,
    tables: Mapping[str, Sequence[Score]],
    primary: Sequence[str],
    all_pairs: bool = False,
) -> pd.DataFrame:
    """Test every method against a baseline, for every stratum, score and region, on the cases that define both.

    The test is Wilcoxon's over units. If one of the two methods has several seeds, it is the test of `seed_level` over
    seeds and units. Holm's correction keeps the chance of any false finding within a family at 5 %. The comparisons of
    the primary endpoint in all cases are one family. All other comparisons are exploratory. The exploratory comparisons
    of one table and stratum are one family, except for scores that have their own family. A score without a good
    direction is not tested.

    Args:
        scores: one row per method, seed, case and region; without `seed` each method is a single training.
        baseline: the method to compare with.
        tables: the scores to test, by the name of their table.
        primary: columns of the scores of the primary endpoint.
        all_pairs: test all pairs of methods, those with the baseline first. In the others the earlier method is the
            baseline.

    Returns:
        One row per stratum, pair, score and region: stratum, method, baseline, score, region, pairs, difference (mean
        of method minus baseline), difference_low, difference_high, effect (rank-biserial), p, p_holm, false_claim
        (`Estimate.false_claim`), test, median_difference, median_low, median_high, dominated_by (one or two units that
        dominate the mean difference), difference_without (the mean difference of the other units), error and freedom
        (standard error of the difference, and its degrees of freedom), family (`primary`, or exploratory with table
        and stratum), verdict.
    """
    others = [method for method in scores["method"].unique() if method != baseline]
    against = [(method, baseline) for method in others]
    against += [(later, earlier) for earlier, later in combinations(others, 2)] if all_pairs else []
    rows = []
    for stratum, part in strata(scores).items():
        patients = patients_of(part)
        tested = ((name, s) for name, chosen in tables.items() for s in chosen if s.higher_is_better is not None)
        for table, score in tested:
            by_case = by_method_and_seed(part, score.column)
            is_primary = score.column in primary and stratum == ALL_CASES
            family = PRIMARY if is_primary else f"exploratory: {score.family or table}, {stratum}"
            for method, other in against:
                for region in part["region"].unique():
                    units = paired_units(by_case[method, region], by_case[other, region], patients)
                    result = compare_units(*units, score.largest_difference)
                    rows.append((stratum, method, other, score.column, region, *result, family))
    names = ["stratum", "method", "baseline", "score", "region", *PairResult._fields, "family"]
    tests = pd.DataFrame(rows, columns=names)
    tests.insert(tests.columns.get_loc("p") + 1, "p_holm", holm_by_family(tests["p"], tests["family"]))
    good = {score.column: 1 if score.higher_is_better else -1 for chosen in tables.values() for score in chosen}
    return tests.assign(verdict=verdicts(tests, tests["score"].map(good).astype(int)))


def compare_units(ours: pd.DataFrame, theirs: pd.DataFrame, largest: float) -> PairResult:
    """Compare two methods on the same units.

    Args:
        ours, theirs: scores of the two methods, (units, seeds).
        largest: the largest possible difference of two scores.
    """
    by_name = ours.mean(axis=1) - theirs.mean(axis=1)
    differences = by_name.to_numpy()
    if not len(differences):
        return PairResult(0)
    p, effect = wilcoxon(differences)
    test = WILCOXON_TEST
    difference = estimate(ours.to_numpy().T, theirs.to_numpy().T)
    if (seeds := {ours.shape[1], theirs.shape[1]}) != {1}:
        p, test = difference.p(), SINGLE_TRAINING_TEST if 1 in seeds else SEED_TEST
    low, high = difference.interval(-largest, largest)
    dominating = dominating_units(by_name)
    return PairResult(
        len(differences),
        difference.mean,
        low,
        high,
        effect,
        p,
        difference.false_claim(),
        test,
        float(np.median(differences)),
        *median_interval(differences),
        ", ".join(dominating.units) if dominating else "",
        dominating.mean_without if dominating else np.nan,
        difference.error,
        difference.freedom,
    )


def holm(p: Sequence[float] | NDArray) -> NDArray[np.float64]:
    """Return Holm's adjusted p of one family: sorted p times the number of remaining hypotheses, never decreasing."""
    return multipletests(p, method="holm")[1]


def holm_by_family(p: pd.Series, family: pd.Series) -> pd.Series:
    """Return Holm's adjusted p within each family; NaN if p is undefined."""
    adjusted = pd.Series(np.nan, p.index)
    for _, members in p.dropna().groupby(family):
        adjusted[members.index] = holm(members)
    return adjusted


def significant(tests: pd.DataFrame) -> pd.Series:
    """Return whether each difference is significant after Holm's correction."""
    return tests["p_holm"] < ALPHA


def verdicts(tests: pd.DataFrame, good: pd.Series) -> NDArray[np.object_]:
    """Return the direction of each significant comparison.

    Ranks can favour one method significantly, because it is better in most cases, while the mean favours the other
    one, because the first one fails in a few cases. Then the verdict is DISAGREE.

    Args:
        tests: a table with difference, effect and p_holm.
        good: for each row 1 if high values are good, else -1.

    Returns:
        For each row BETTER or WORSE (the method against the baseline), DISAGREE, or "" if it is not significant.
    """
    by_mean, by_ranks = (np.sign(tests[column].fillna(0)) * good for column in ("difference", "effect"))
    direction = np.where(by_mean + by_ranks > 0, BETTER, np.where(by_mean + by_ranks < 0, WORSE, DISAGREE))
    return np.where(significant(tests), direction, "").astype(object)
