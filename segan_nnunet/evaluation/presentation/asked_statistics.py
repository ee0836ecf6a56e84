"""Statistics of the scores that a comparison is asked for, in the form of `summarise` and `paired_tests`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.presentation.score_tables import ScoreTable
from segan_nnunet.evaluation.statistics.intervals import mean_interval, median_interval
from segan_nnunet.evaluation.statistics.paired import holm, of_units, strata, wide, wilcoxon


def summarise_asked(scores: pd.DataFrame, tables: Sequence[ScoreTable]) -> pd.DataFrame:
    """Mean and median with their intervals, one row per stratum, method, score and region, as `summarise` has them.

    Args:
        scores: one row per method, case and region.
        tables: whose scores to summarise.
    """
    rows = []
    for stratum, part in strata(scores).items():
        for column in (score.column for table in tables for score in table.scores):
            for (method, region), by_case in wide(part, column).items():
                values = of_units(by_case, part)
                mean, median = (values.mean(), np.median(values)) if len(values) else (np.nan, np.nan)
                ends = (*mean_interval(values), median, *median_interval(values))
                rows.append((stratum, method, column, region, len(values), int(by_case.count()), mean, *ends))
    names = ["stratum", "method", "score", "region", "cases", "scans", "mean", "mean_low", "mean_high"]
    return pd.DataFrame(rows, columns=[*names, "median", "median_low", "median_high"])


def asked_tests(scores: pd.DataFrame, baseline: str, tables: Sequence[ScoreTable]) -> pd.DataFrame:
    """Test every method against a baseline as `paired_tests` does, each table a family of Holm's correction.

    Args:
        scores: one row per method, case and region.
        baseline: the method to compare with.
        tables: whose scores to test.
    """
    rows = []
    for stratum, part in strata(scores).items():
        for column in (score.column for table in tables for score in table.scores):
            by_case = wide(part, column)
            for method, region in by_case:
                if method == baseline:
                    continue
                both = of_units(by_case[method, region] - by_case[baseline, region], part)
                p, effect = wilcoxon(both)
                low, high = mean_interval(both)
                mean = both.mean() if len(both) else np.nan
                rows.append((stratum, method, baseline, column, region, len(both), mean, low, high, effect, p))
    names = ["stratum", "method", "baseline", "score", "region", "pairs", "difference", "difference_low"]
    tests = pd.DataFrame(rows, columns=[*names, "difference_high", "effect", "p"]).assign(p_holm=np.nan)
    families = {score.column: table.name for table in tables for score in table.scores}
    for _, family in tests.dropna(subset="p").groupby(["stratum", tests["score"].map(families)]):
        tests.loc[family.index, "p_holm"] = holm(family["p"])
    return tests
