"""Statistics of scores, paired by patient: intervals, tests with Holm's correction, effect sizes.

Units are patients: the scans of one are not independent, and with several of them a test of cases finds what is not
there. Where no case table knows the patients, or each has one scan, units are the cases. Where a method is the mean
over several seeds, these are a level of their own (`seed_level`), in its intervals and in its tests.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.scores import FURTHER, SCORES, TABLE_1
from segan_nnunet.evaluation.statistics.intervals import FEWEST, mean_interval, median_interval
from segan_nnunet.evaluation.statistics.seed_level import by_method_and_seed, estimate

ALPHA = 0.05
FEW_UNITS = 20
UNKNOWN_GRADE = "unknown"
MOST_COUNTED = 9  # pairs with ties whose p is exact
ALL_CASES = "all"  # the stratum of every case
OF_UNITS, OF_SEEDS = "Wilcoxon", "seeds and units"  # the tests
FAMILIES = {score.column: family for family, scores in enumerate((TABLE_1, FURTHER)) for score in scores}


def strata(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All cases, and the cases of each grade where there are several; those of unknown grade are one of them."""
    parts = {ALL_CASES: scores}
    grades = scores["grade"].replace("", UNKNOWN_GRADE) if "grade" in scores else pd.Series(dtype=str)
    if set(grades) - {UNKNOWN_GRADE} and grades.nunique() > 1:
        named = {f"grade {grade}" if grade == ALL_CASES else grade: grade for grade in sorted(grades.unique())}
        parts |= {name: scores[grades == grade] for name, grade in named.items()}
    return parts


def of_units(by_case: pd.DataFrame, patients: pd.Series | None = None) -> NDArray[np.float64]:
    """Values of cases, cases x seeds, as values of units, seeds x units; cases that define none are left out.

    Args:
        by_case: as `by_method_and_seed` has them.
        patients: of the cases, whose scans are averaged; None where units are the cases.
    """
    defined = by_case.dropna()
    if patients is not None:
        defined = defined.groupby(patients).mean()
    return defined.to_numpy(float).T


def patients_of(scores: pd.DataFrame) -> pd.Series | None:
    """Patients by case, where one has several scans."""
    if "patient" not in scores:
        return None
    patients = scores.drop_duplicates("case").set_index("case")["patient"]
    return None if patients.is_unique else patients


def summarise(
    scores: pd.DataFrame, of_seeds: pd.DataFrame | None = None, columns: Iterable[str] = FAMILIES
) -> pd.DataFrame:
    """Mean and median with their intervals, for every stratum, method, score and region.

    Args:
        scores: one row per method, case and region.
        of_seeds: the same of each seed, with `seed`, of the methods that are means over seeds.
        columns: of the scores.

    Returns:
        One row per stratum, method, score and region: stratum, method, score, region, cases (units in which the score
        is defined), scans (cases in which it is), mean, mean_low, mean_high, median, median_low, median_high, sd,
        quartile_1, quartile_3 (of the units).
    """
    rows = []
    for stratum, part in strata(scores).items():
        patients, methods, regions = patients_of(part), part["method"].unique(), part["region"].unique()
        for column in columns:
            by_case = by_method_and_seed(part, of_seeds, column)
            for method in methods:
                for region in regions:
                    scans = int(by_case[method, region].iloc[:, 0].count())
                    by_seed = of_units(by_case[method, region], patients)
                    values = by_seed.mean(axis=0)
                    ends = mean_interval(values) if len(by_seed) == 1 else estimate(by_seed).interval()
                    mean = values.mean() if len(values) else np.nan
                    sd = values.std(ddof=1) if len(values) > 1 else np.nan
                    low, median, high = np.percentile(values, (25, 50, 75)) if len(values) else [np.nan] * 3
                    key = (stratum, method, column, region, len(values), scans)
                    rows.append((*key, mean, *ends, median, *median_interval(values), sd, low, high))
    names = ["stratum", "method", "score", "region", "cases", "scans", "mean", "mean_low", "mean_high", "median"]
    return pd.DataFrame(rows, columns=[*names, "median_low", "median_high", "sd", "quartile_1", "quartile_3"])


def wilcoxon(differences: NDArray) -> tuple[float, float]:
    """Wilcoxon's signed-rank test, two-sided, and the matched-pairs rank-biserial correlation.

    r = (W+ - W-) / (W+ + W-), in [-1, 1], where W+ and W- are the sums of the ranks of the positive and the negative
    differences; 1 where every difference is positive. Differences of 0 are left out, as Wilcoxon did.

    Returns:
        p and r; 1 and 0 where nothing differs, NaN where there is no pair.
    """
    if not len(differences):
        return float("nan"), float("nan")
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0, 0.0
    ranks = stats.rankdata(np.abs(nonzero))
    effect = float(np.sign(nonzero) @ ranks / ranks.sum())
    # with ties SciPy counts all 2^n signs of up to 13 pairs, which takes seconds for each of many tests
    tied = len(np.unique(ranks)) < len(ranks)
    method = "asymptotic" if tied and len(nonzero) > MOST_COUNTED else "auto"
    return float(stats.wilcoxon(nonzero, method=method).pvalue), effect


def paired_tests(
    scores: pd.DataFrame,
    baseline: str,
    of_seeds: pd.DataFrame | None = None,
    all_pairs: bool = False,
    families: Mapping[str, Any] = FAMILIES,
) -> pd.DataFrame:
    """Test every method against a baseline, for every stratum, score and region, on the cases that define both.

    Wilcoxon's test of units; where one of the two has several seeds, the test over seeds and units of `seed_level`.
    Holm's correction holds the chance of any false finding at 5 % within each family: all comparisons of one stratum in
    the scores of one table.

    Args:
        scores: one row per method, case and region.
        baseline: the method to compare with.
        of_seeds: the same as `scores` of each seed, with `seed`, of the methods that are means over seeds.
        all_pairs: test all pairs of methods, those with the baseline first; of the others the earlier is theirs.
        families: of the scores, by column.

    Returns:
        One row per stratum, pair, score and region: stratum, method, baseline, score, region, pairs, difference (mean
        of method minus baseline), difference_low, difference_high, effect (rank-biserial), p, p_holm, false_claim (the
        probability that it is false to call the one with the better mean better), test.

    Raises:
        InputError: there is no such method.
    """
    methods = list(scores["method"].unique())
    if baseline not in methods:
        raise InputError(f"there is no method '{baseline}'; --baseline takes one of {', '.join(methods)}")
    others = [method for method in methods if method != baseline]
    against = [(method, baseline) for method in others]
    against += [(later, earlier) for earlier, later in combinations(others, 2)] if all_pairs else []
    rows = []
    for stratum, part in strata(scores).items():
        patients = patients_of(part)
        for column in families:
            by_case = by_method_and_seed(part, of_seeds, column)
            for method, other in against:
                for region in part["region"].unique():
                    ours, theirs = by_case[method, region], by_case[other, region]
                    # scan by scan first: of a patient, methods may define different ones
                    both = ours.notna().all(axis=1) & theirs.notna().all(axis=1)
                    compared = compare_units(of_units(ours[both], patients), of_units(theirs[both], patients))
                    rows.append((stratum, method, other, column, region, *compared))
    names = ["stratum", "method", "baseline", "score", "region", "pairs", "difference", "difference_low"]
    tests = pd.DataFrame(rows, columns=[*names, "difference_high", "effect", "p", "false_claim", "test"])
    p_holm = pd.Series(np.nan, tests.index)
    for _, family in tests.dropna(subset="p").groupby(["stratum", tests["score"].map(families)]):
        p_holm[family.index] = holm(family["p"])
    tests.insert(tests.columns.get_loc("p") + 1, "p_holm", p_holm)
    return tests


def compare_units(
    ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[int, float, float, float, float, float, float, str]:
    """Compare two methods on the same units; both (seeds, units).

    Returns:
        pairs, difference, its interval's ends, effect, p, false_claim, test: columns of `paired_tests`.
    """
    differences = ours.mean(axis=0) - theirs.mean(axis=0)
    if not len(differences):
        return 0, *[np.nan] * 6, OF_UNITS  # type: ignore[return-value]
    p, effect = wilcoxon(differences)
    if len(ours) == len(theirs) == 1:
        found = estimate(differences[None])
        return len(differences), found.mean, *mean_interval(differences), effect, p, found.false_claim(), OF_UNITS
    found = estimate(ours, theirs)
    return len(differences), found.mean, *found.interval(), effect, found.p(), found.false_claim(), OF_SEEDS


def holm(p: Sequence[float] | NDArray) -> NDArray[np.float64]:
    """Holm's adjusted p of one family: in rising order times the number of hypotheses that remain, never falling."""
    return multipletests(p, method="holm")[1]


def significant(tests: pd.DataFrame) -> pd.Series:
    """Whether a difference is significant after Holm's correction."""
    return tests["p_holm"] < ALPHA


def smallest_p(pairs: int) -> float:
    """The smallest p that the two-sided test can give: all differences of one sign, 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - pairs))


def few_units(number: int, comparisons: int, unit: str = "case") -> str:
    """Say what so few units can show; nothing where they are not few.

    Args:
        number: of units.
        comparisons: in the family that Holm corrects.
        unit: what they are.
    """
    if number >= FEW_UNITS:
        return ""
    intervals = "the intervals are rough" if number >= FEWEST else "there are no intervals"
    what = f"{number} {unit}{' is' if number == 1 else 's are'} few: {intervals}"
    if comparisons and smallest_p(number) * comparisons >= ALPHA:
        return (
            f"{what}, and no difference can be significant: the smallest p that {number} pairs can give is "
            f"{smallest_p(number):.2g}, before Holm's correction for {comparisons} comparisons."
        )
    return f"{what}, and only large differences could be found."


def sentences(tests: pd.DataFrame, regions: Sequence[str], stratum: str = ALL_CASES) -> list[str]:
    """Say each comparison of Table 1 in words."""
    said = []
    titles = {score.column: score.title for score in SCORES}
    good = {score.column: score.higher_is_better for score in SCORES}
    chosen = tests[(tests["stratum"] == stratum) & tests["score"].isin([score.column for score in TABLE_1])]
    for row in chosen.itertuples():
        if row.region not in regions:
            continue
        subject = f"{titles[row.score]} of the {row.region}"
        if not row.pairs:
            said.append(f"{subject}: no case defines it for both {row.method} and {row.baseline}.")
            continue
        verdict = "differs significantly from" if row.p_holm < ALPHA else "does not differ significantly from"
        low, high = row.difference_low, row.difference_high
        interval = "" if np.isnan(low) else f", 95 % interval {low:+.3f} to {high:+.3f}"
        if not np.isnan(low) and (low > 0 or high < 0) != (row.p_holm < ALPHA):
            # of the mean of one comparison, where the test is of ranks and of all comparisons
            interval += ", not corrected" + (", of the mean and not of the ranks" if row.test == OF_UNITS else "")
        better = row.method if (row.difference > 0) == good[row.score] else row.baseline
        claim = "" if np.isnan(row.false_claim) else f"; P({better} is not better) = {row.false_claim:.2g}"
        said.append(
            f"{subject}: {row.method} {verdict} {row.baseline} (mean difference {row.difference:+.3f}{interval}; "
            f"p = {row.p:.2g}, {row.p_holm:.2g} after Holm; rank-biserial {row.effect:+.2f}; {row.pairs} pairs{claim})."
        )
    return said


def count_findings(tests: pd.DataFrame, stratum: str = ALL_CASES) -> str:
    """Say how many comparisons of Table 1 are significant."""
    chosen = tests[(tests["stratum"] == stratum) & tests["score"].isin([score.column for score in TABLE_1])]
    found = int(significant(chosen).sum())
    baselines = chosen["baseline"].unique()
    among = f"with {baselines[0]}" if len(baselines) == 1 else "of all pairs"
    return (
        f"After Holm's correction {found or 'none'} of {len(chosen)} comparisons {among} in "
        f"Table 1's scores {'is' if found == 1 or not found else 'are'} significant (p < 0.05)."
    )
