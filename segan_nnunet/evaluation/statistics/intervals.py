"""95 % intervals of a mean and a median over units, whose coverage holds also where units are few and skewed."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 0
FEWEST = 10  # units that an interval needs
MOST_DRAWN = 4_000_000  # numbers at a time, which bounds the memory


def mean_interval(values: NDArray) -> tuple[float, float]:
    """Studentised bootstrap: the mean's error over its standard error, as resampling with replacement gives it.

    The percentile interval is too narrow where units are few: it covers the mean in 77 to 88 of 100 cases at 10 units.

    Args:
        values: one per unit.

    Returns:
        Lower and upper end; NaN for fewer than `FEWEST` units.
    """
    number = len(values)
    if number < FEWEST:
        return np.nan, np.nan
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(number)
    if error <= 1e-12 * abs(mean):
        return float(mean), float(mean)
    ratios = []
    for drawn in draws(number):
        resampled = values[drawn]
        spread = resampled.std(axis=1, ddof=1) / np.sqrt(number)
        distance = resampled.mean(axis=1) - mean
        defined = spread > 1e-9 * np.abs(values).max()  # of equal values it is a rounding, not 0
        ratios.append(distance[defined] / spread[defined])
    low, high = np.quantile(np.concatenate(ratios), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(mean - high * error), float(mean - low * error)


@lru_cache(maxsize=8)
def draws(number: int) -> list[NDArray[np.intp]]:
    """Indices of all resamples of so many units, in parts; the same for every score, so that methods are compared."""
    random = np.random.default_rng(SEED)
    parts = max(1, number * RESAMPLES // MOST_DRAWN)
    return [random.integers(0, number, (len(part), number)) for part in np.array_split(np.arange(RESAMPLES), parts)]


def median_interval(values: NDArray) -> tuple[float, float]:
    """Between two order statistics, whatever the distribution: the number below the median is binomial.

    Args:
        values: one per unit.

    Returns:
        Lower and upper end, which cover the median with at least 95 %; NaN for fewer than `FEWEST` units.
    """
    number = len(values)
    if number < FEWEST:
        return np.nan, np.nan
    rank = int(stats.binom.ppf((1 - CONFIDENCE) / 2, number, 0.5))  # P(fewer than so many below) <= 2.5 %
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[number - rank])
