"""Statistics of scores, paired by case: bootstrap intervals, Wilcoxon's test with Holm's correction, effect sizes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.scores import FURTHER, SCORES, TABLE_1

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
RESAMPLES = 2000
SEED = 0  # of the bootstrap
FEW_CASES = 20
MOST_COUNTED = 9  # pairs with ties whose p is exact
ALL_CASES = "all"  # the stratum of every case
FAMILIES = {score.column: family for family, scores in enumerate((TABLE_1, FURTHER)) for score in scores}


def mean_and_median(values: NDArray, axis: int = -1) -> NDArray:
    """Stack mean and median along an axis."""
    return np.stack([values.mean(axis=axis), np.median(values, axis=axis)])


def bootstrap_interval(values: NDArray, statistic: object = mean_and_median) -> NDArray[np.float64]:
    """Percentile bootstrap interval of a statistic over cases, resampled with replacement by a fixed seed.

    Args:
        values: one per case.
        statistic: vectorised, as scipy.stats.bootstrap takes it; by default mean and median, on the same resamples.

    Returns:
        Lower and upper ends, (2, ...) with the statistic's shape; NaN for fewer than two cases.
    """
    if len(values) < 2:
        return np.full((2, 2) if statistic is mean_and_median else (2,), np.nan)
    interval = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, 1_000_000 // len(values)),  # bounds the memory
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",  # BCa's jackknife is quadratic in the cases, and undefined where all agree
        rng=SEED,
    ).confidence_interval
    return np.stack([interval.low, interval.high])


def strata(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All cases, and the cases of each grade where there are several."""
    parts = {ALL_CASES: scores}
    if "grade" in scores:
        grades = sorted(grade for grade in scores["grade"].unique() if grade)
        if len(grades) > 1:
            parts |= {grade: scores[scores["grade"] == grade] for grade in grades}
    return parts


def wide(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """One score as cases x (method, region), in the order of the table."""
    return scores.pivot(index="case", columns=["method", "region"], values=column)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and median with their bootstrap intervals, for every stratum, method, score and region.

    Args:
        scores: one row per method, case and region.

    Returns:
        One row per stratum, method, score and region: stratum, method, score, region, cases (in which the score is
        defined), mean, mean_low, mean_high, median, median_low, median_high.
    """
    rows = []
    for stratum, part in strata(scores).items():
        methods, regions = part["method"].unique(), part["region"].unique()
        for column in (score.column for score in SCORES):
            by_case = wide(part, column)
            for method in methods:
                for region in regions:
                    values = by_case[method, region].dropna().to_numpy(float)
                    mean, median = mean_and_median(values) if len(values) else (np.nan, np.nan)
                    low, high = bootstrap_interval(values)
                    rows.append(
                        (stratum, method, column, region, len(values), mean, low[0], high[0], median, low[1], high[1])
                    )
    names = ["stratum", "method", "score", "region", "cases", "mean", "mean_low", "mean_high"]
    return pd.DataFrame(rows, columns=[*names, "median", "median_low", "median_high"])


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


def paired_tests(scores: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Test every method against a baseline, for every stratum, score and region, on the cases that define both.

    Holm's correction holds the chance of any false finding at 5 % within each family: all comparisons of one stratum in
    Table 1's scores, and all of them in the further scores.

    Args:
        scores: one row per method, case and region.
        baseline: the method to compare with.

    Returns:
        One row per stratum, method, score and region: stratum, method, baseline, score, region, pairs, difference (mean
        of method minus baseline), difference_low, difference_high, effect (rank-biserial), p, p_holm.

    Raises:
        InputError: there is no such method.
    """
    methods = list(scores["method"].unique())
    if baseline not in methods:
        raise InputError(f"there is no method '{baseline}'; --baseline takes one of {', '.join(methods)}")
    rows = []
    for stratum, part in strata(scores).items():
        for column in FAMILIES:
            by_case = wide(part, column)
            for method in (method for method in methods if method != baseline):
                for region in part["region"].unique():
                    both = (by_case[method, region] - by_case[baseline, region]).dropna().to_numpy(float)
                    p, effect = wilcoxon(both)
                    low, high = bootstrap_interval(both, np.mean)
                    mean = both.mean() if len(both) else np.nan
                    rows.append((stratum, method, baseline, column, region, len(both), mean, low, high, effect, p))
    names = ["stratum", "method", "baseline", "score", "region", "pairs", "difference", "difference_low"]
    tests = pd.DataFrame(rows, columns=[*names, "difference_high", "effect", "p"])
    tests["p_holm"] = np.nan
    for _, family in tests.dropna(subset="p").groupby(["stratum", tests["score"].map(FAMILIES)]):
        tests.loc[family.index, "p_holm"] = holm(family["p"])
    return tests


def holm(p: Sequence[float] | NDArray) -> NDArray[np.float64]:
    """Holm's adjusted p of one family: in rising order times the number of hypotheses that remain, never falling."""
    return multipletests(p, method="holm")[1]


def significant(tests: pd.DataFrame) -> pd.Series:
    """Whether a difference is significant after Holm's correction."""
    return tests["p_holm"] < ALPHA


def smallest_p(pairs: int) -> float:
    """The smallest p that the two-sided test can give: all differences of one sign, 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - pairs))


def few_cases(number: int, comparisons: int) -> str:
    """Say what so few cases can show; nothing where they are not few.

    Args:
        number: of cases.
        comparisons: in the family that Holm corrects.
    """
    if number >= FEW_CASES:
        return ""
    what = f"{number} case{' is' if number == 1 else 's are'} few: the intervals are rough"
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
        said.append(
            f"{subject}: {row.method} {verdict} {row.baseline} (mean difference {row.difference:+.3f}{interval}; "
            f"p = {row.p:.2g}, {row.p_holm:.2g} after Holm; rank-biserial {row.effect:+.2f}; {row.pairs} pairs)."
        )
    return said


def count_findings(tests: pd.DataFrame, stratum: str = ALL_CASES) -> str:
    """Say how many comparisons of Table 1 are significant."""
    chosen = tests[(tests["stratum"] == stratum) & tests["score"].isin([score.column for score in TABLE_1])]
    found = int(significant(chosen).sum())
    return (
        f"After Holm's correction {found or 'none'} of {len(chosen)} comparisons with {chosen['baseline'].iloc[0]} in "
        f"Table 1's scores {'is' if found == 1 or not found else 'are'} significant (p < 0.05)."
    )
