"""Statistics of scores, paired by patient: intervals, Wilcoxon's test with Holm's correction, effect sizes.

Units are patients: the scans of one are not independent, and with several of them a test of cases finds what is not
there. Where no case table knows the patients, or each has one scan, units are the cases.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.scores import FURTHER, SCORES, TABLE_1
from segan_nnunet.evaluation.statistics.intervals import FEWEST, mean_interval, median_interval

ALPHA = 0.05
FEW_UNITS = 20
UNKNOWN_GRADE = "unknown"
MOST_COUNTED = 9  # pairs with ties whose p is exact
ALL_CASES = "all"  # the stratum of every case
FAMILIES = {score.column: family for family, scores in enumerate((TABLE_1, FURTHER)) for score in scores}


def strata(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All cases, and the cases of each grade where there are several; those of unknown grade are one of them."""
    parts = {ALL_CASES: scores}
    grades = scores["grade"].replace("", UNKNOWN_GRADE) if "grade" in scores else pd.Series(dtype=str)
    if set(grades) - {UNKNOWN_GRADE} and grades.nunique() > 1:
        named = {f"grade {grade}" if grade == ALL_CASES else grade: grade for grade in sorted(grades.unique())}
        parts |= {name: scores[grades == grade] for name, grade in named.items()}
    return parts


def wide(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """One score as cases x (method, region), in the order of the table."""
    return scores.pivot(index="case", columns=["method", "region"], values=column)


def of_units(by_case: pd.Series, scores: pd.DataFrame) -> NDArray[np.float64]:
    """Values of cases as values of units, the mean over a patient's scans; undefined ones are left out before."""
    defined = by_case.dropna()
    if "patient" in scores:
        defined = defined.groupby(scores.drop_duplicates("case").set_index("case")["patient"]).mean()
    return defined.to_numpy(float)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and median with their intervals, for every stratum, method, score and region.

    Args:
        scores: one row per method, case and region.

    Returns:
        One row per stratum, method, score and region: stratum, method, score, region, cases (units in which the score
        is defined), scans (cases in which it is), mean, mean_low, mean_high, median, median_low, median_high.
    """
    rows = []
    for stratum, part in strata(scores).items():
        methods, regions = part["method"].unique(), part["region"].unique()
        for column in (score.column for score in SCORES):
            by_case = wide(part, column)
            for method in methods:
                for region in regions:
                    scans = int(by_case[method, region].count())
                    values = of_units(by_case[method, region], part)
                    mean, median = (values.mean(), np.median(values)) if len(values) else (np.nan, np.nan)
                    ends = (*mean_interval(values), median, *median_interval(values))
                    rows.append((stratum, method, column, region, len(values), scans, mean, *ends))
    names = ["stratum", "method", "score", "region", "cases", "scans", "mean", "mean_low", "mean_high"]
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
                    # scan by scan first: of a patient, methods may define different ones
                    both = of_units(by_case[method, region] - by_case[baseline, region], part)
                    p, effect = wilcoxon(both)
                    low, high = mean_interval(both)
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
            interval += ", not corrected, of the mean and not of the ranks"
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
