"""Write the rows of the report's tables of statistics: comparisons, means and medians with their intervals."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.presentation.table import UNDEFINED
from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.statistics.sentences import signed

COMPARISON_HEAD = (
    "Score and region", "Result", "Mean difference [95\u00a0% interval]", "p", "p after Holm", "Rank-biserial",
    "P(false claim)", "Pairs", "Median difference [95\u00a0% interval]",
    "Mean difference without cases that dominate it",
)  # fmt: skip
SUMMARY_HEAD = ("Method", "Score", "Region", "n", "Mean [95\u00a0% interval]", "Median [95\u00a0% interval]")


def comparison_rows(tests: pd.DataFrame, scores: Sequence[Score]) -> Mapping[str, list[list[str]]]:
    """Return the rows of comparisons by pair of methods, `A compared with B`, in the order of `COMPARISON_HEAD`.

    Args:
        tests: rows of `paired_tests`.
        scores: all scores in `tests`.
    """
    by_column = {score.column: score for score in scores}
    tables: dict[str, list[list[str]]] = {}
    for row in tests.itertuples():
        score = by_column[row.score]
        decimals = score.decimals
        means = with_interval(row.difference, row.difference_low, row.difference_high, decimals, signed)
        medians = with_interval(row.median_difference, row.median_low, row.median_high, decimals, signed)
        without = f"{signed(row.difference_without, decimals)} without {row.dominated_by}" if row.dominated_by else ""
        cells = [f"{score.title}, {row.region}", row.verdict or UNDEFINED, means, *map(two_digits, (row.p, row.p_holm))]
        cells += [signed(row.effect, 2), two_digits(row.false_claim), str(row.pairs), medians, without]
        tables.setdefault(f"{row.method} compared with {row.baseline}", []).append(cells)
    return tables


def summary_rows(summary: pd.DataFrame, scores: Sequence[Score]) -> list[list[str]]:
    """Return the rows of the table of means and medians, in the order of `SUMMARY_HEAD`.

    Args:
        summary: rows of `summarise` for one stratum.
        scores: all scores in `summary`.
    """
    by_column = {score.column: score for score in scores}
    rows = []
    for row in summary.itertuples():
        score = by_column[row.score]
        mean = with_interval(row.mean, row.mean_low, row.mean_high, score.decimals)
        median = with_interval(row.median, row.median_low, row.median_high, score.decimals)
        rows.append([row.method, score.title, row.region, str(row.cases), mean, median])
    return rows


def plain(value: float, decimals: int) -> str:
    """Return a value with its decimals; a dash if it is undefined."""
    return UNDEFINED if np.isnan(value) else f"{value:.{decimals}f}"


def with_interval(
    value: float, low: float, high: float, decimals: int, text: Callable[[float, int], str] = plain
) -> str:
    """Return a value with its interval, if the interval is defined."""
    interval = "" if np.isnan(low) else f" [{text(low, decimals)}, {text(high, decimals)}]"
    return text(value, decimals) + interval


def two_digits(p: float) -> str:
    """Return a probability with two significant digits; a dash if it is undefined."""
    return UNDEFINED if np.isnan(p) else "< 0.0001" if p < 0.0001 else f"{p:.2g}"
