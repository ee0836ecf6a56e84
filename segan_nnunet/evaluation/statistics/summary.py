"""Means and medians of every method over units, with their intervals, and counts of missed and false regions.

Units are patients, because the scans of one patient are not independent. If no patients are known, or each has one
scan, units are the cases.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.scores.scores import SCORES, Score
from segan_nnunet.evaluation.scores.seeds import with_seeds
from segan_nnunet.evaluation.statistics.intervals import dominating_units, median_interval
from segan_nnunet.evaluation.statistics.seed_level import by_method_and_seed, estimate

ALL_CASES = "all"  # the stratum of all cases
UNKNOWN_GRADE = "unknown"
REGION_COUNTS = ["present", "missed", "absent", "false"]


def strata(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return all cases and, if there are several grades, the cases of each grade. Unknown is a grade too."""
    parts = {ALL_CASES: scores}
    grades = scores["grade"].replace("", UNKNOWN_GRADE) if "grade" in scores else pd.Series(dtype=str)
    if set(grades) - {UNKNOWN_GRADE} and grades.nunique() > 1:
        named = {f"grade {grade}" if grade == ALL_CASES else grade: grade for grade in sorted(grades.unique())}
        parts |= {name: scores[grades == grade] for name, grade in named.items()}
    return parts


def patients_of(scores: pd.DataFrame) -> pd.Series | None:
    """Return the patient of each case; None if each patient has one scan."""
    if "patient" not in scores:
        return None
    patients = scores.drop_duplicates("case").set_index("case")["patient"]
    return None if patients.is_unique else patients


def by_unit(by_case: pd.DataFrame, patients: pd.Series | None = None) -> pd.DataFrame:
    """Average values of cases, (cases, seeds), to values of units, (units, seeds), without undefined ones.

    Args:
        by_case: a table of `by_method_and_seed`.
        patients: the patient of each case; None if units are the cases.
    """
    defined = by_case.dropna().astype(float)
    return defined if patients is None else defined.groupby(patients).mean()


def paired_units(
    ours: pd.DataFrame, theirs: pd.DataFrame, patients: pd.Series | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the values of units of two methods, (units, seeds), from the cases that define both.

    Cases are paired before they are averaged, because methods may define different scans of a patient.

    Args:
        ours, theirs: tables of `by_method_and_seed`, (cases, seeds).
        patients: as for `by_unit`.
    """
    both = ours.notna().all(axis=1) & theirs.notna().all(axis=1)
    return by_unit(ours[both], patients), by_unit(theirs[both], patients)


def summarise(scores: pd.DataFrame, chosen: Sequence[Score] = SCORES) -> pd.DataFrame:
    """Return mean and median with their intervals, for every stratum, method, score and region.

    Args:
        scores: one row per method, seed, case and region. Without `seed` each method is a single training.
        chosen: the scores to summarise.

    Returns:
        One row per stratum, method, score and region: stratum, method, score, region, cases (number of units that
        define the score), scans (number of cases that define it), mean, mean_low, mean_high, median, median_low,
        median_high, sd, quartile_1, quartile_3 (of the units), dominated_by (one or two units that dominate the mean),
        mean_without (the mean of the other units).
    """
    rows = []
    for stratum, part in strata(scores).items():
        patients, methods, regions = patients_of(part), part["method"].unique(), part["region"].unique()
        for score in chosen:
            by_case = by_method_and_seed(part, score.column)
            for method in methods:
                for region in regions:
                    scans = int(by_case[method, region].iloc[:, 0].count())
                    each = by_unit(by_case[method, region], patients)
                    of_unit = each.mean(axis=1)
                    values = of_unit.to_numpy()
                    ends = estimate(each.to_numpy().T).interval(score.low, score.high)
                    mean = values.mean() if len(values) else np.nan
                    sd = values.std(ddof=1) if len(values) > 1 else np.nan
                    low, median, high = np.percentile(values, (25, 50, 75)) if len(values) else [np.nan] * 3
                    dominating = dominating_units(of_unit)
                    of_others = (", ".join(dominating.units), dominating.mean_without) if dominating else ("", np.nan)
                    key = (stratum, method, score.column, region, len(values), scans)
                    rows.append((*key, mean, *ends, median, *median_interval(values), sd, low, high, *of_others))
    names = ["stratum", "method", "score", "region", "cases", "scans", "mean", "mean_low", "mean_high", "median"]
    names += ["median_low", "median_high", "sd", "quartile_1", "quartile_3", "dominated_by", "mean_without"]
    return pd.DataFrame(rows, columns=names)


def missed_and_false(scores: pd.DataFrame) -> pd.DataFrame:
    """Count missed regions (only the reference has them) and false regions (only the prediction has them).

    Args:
        scores: one row per method, seed, case and region, with TP, FP, FN.

    Returns:
        One row per method and region: method, region, present (number of cases with the region in the reference),
        missed (number of these), absent, false (number of these). For several seeds, missed and false are means.
    """
    each = with_seeds(scores)
    present, predicted = each["TP"] + each["FN"] > 0, each["TP"] + each["FP"] > 0
    counted = each[["method", "region", "seed"]].assign(
        present=present, missed=present & ~predicted, absent=~present, false=~present & predicted
    )
    of_seed = counted.groupby(["method", "region", "seed"], sort=False)[REGION_COUNTS].sum()
    means = of_seed.groupby(["method", "region"], sort=False).mean()
    order = scores[["method", "region"]].drop_duplicates()
    return order.merge(means.reset_index(), how="left").astype({"present": int, "absent": int})


def pooled_f1_note(scores: pd.DataFrame) -> str:
    """Write F1 of the lesions of all cases together, for each method and each region with lesions.

    Args:
        scores: one row per method, seed, case and region, with LesionsFound, LesionsMissed, LesionsFalse.
    """
    counts = scores.groupby(["method", "region"], sort=False)[["LesionsFound", "LesionsMissed", "LesionsFalse"]].sum()
    pooled = 2 * counts["LesionsFound"] / (counts.sum(axis=1) + counts["LesionsFound"])
    each = [
        f"{method}: " + ", ".join(f"{region} {value:.3f}" for (_, region), value in of_method.items())
        for method, of_method in pooled.dropna().groupby("method", sort=False)
    ]
    return f"Lesion F1 of the lesions of all cases together: {'; '.join(each) or 'no case has a lesion'}."


def missed_note(counts: pd.DataFrame) -> str:
    """Write which methods missed a region, or predicted one that does not exist, and in how many cases."""
    by_method = []
    for method, of_method in counts.groupby("method", sort=False):
        each = [
            f"{row.region} {row.missed:.3g} of {row.present} missed, {row.false:.3g} of {row.absent} false"
            for row in of_method.itertuples()
            if row.missed or row.false
        ]
        by_method += [f"{method}: {', '.join(each)}"] if each else []
    if not by_method:
        return "No method missed a region that exists, and none predicted a region that does not."
    return (
        "Missed regions (only the reference has them) and false regions (only the prediction has them), in cases: "
        f"{'; '.join(by_method)}."
    )
