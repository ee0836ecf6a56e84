"""95 % intervals of means and medians over units, and the units that dominate a mean.

The interval of a mean is Student's interval on a scale on which the score is unbounded. So it always stays inside the
score's range. `studies/intervals` compares it with the bootstraps (docs/decisions.md, 13).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 0
FEWEST_UNITS = 10  # for an interval
MOST_DRAWN = 4_000_000  # random numbers at a time, to bound the memory
MOST_DOMINATING = 2  # units
SHARE_OF_SPREAD = 0.5  # units dominate a mean if the others have a standard deviation below this share


def mean_interval(values: NDArray, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
    """Return Student's interval of a mean within the range of the score.

    Args:
        values: one value per unit.
        low, high: the range of the score.

    Returns:
        Lower and upper end; NaN for fewer than `FEWEST_UNITS` units.
    """
    number = len(values)
    if number < FEWEST_UNITS:
        return np.nan, np.nan
    error = 0.0 if is_constant(values) else values.std(ddof=1) / np.sqrt(number)
    return bounded_interval(float(values.mean()), t_quantile(number - 1) * float(error), low, high)


def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Return the quantile of Student's t for a two-sided interval: for 95 %, the one with 2.5 % above it."""
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def is_constant(values: NDArray) -> bool:
    """Return whether values differ by no more than rounding error."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def bounded_interval(mean: float, half: float, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
    """Return the interval mean ± half on an unbounded scale, transformed back to the scale of the score.

    The scale is the logit of a score with two bounds, and the logarithm of a score with a lower bound. The derivative
    at the mean converts `half` to this scale (delta method). Without bounds the interval is mean ± half. On the
    logarithmic scale the upper end grows exponentially only while `half` is less than the mean, and linearly from
    there. Otherwise the interval of two seeds, whose t quantile is 12.7, could reach a thousand times the mean.

    Args:
        mean: the mean of the score.
        half: half the width: a quantile times the standard error.
        low, high: the range of the score.
    """
    if half == 0 or np.isinf(low):
        return mean - half, mean + half
    if mean <= low or mean >= high:  # all values lie at one bound
        return mean, mean
    if np.isinf(high):
        above, step = mean - low, half / (mean - low)
        factor = float(np.exp(min(step, 1.0)) * max(step, 1.0))
        return low + above / factor, low + above * factor
    span = high - low
    share = (mean - low) / span
    step = half / (span * share * (1 - share))
    ends = low + span * special.expit(special.logit(share) + np.array([-step, step]))
    return float(ends[0]), float(ends[1])


@lru_cache(maxsize=8)
def draws(number: int) -> list[NDArray[np.intp]]:
    """Return the indices of all resamples of this number of units, in parts. They are the same for every score."""
    random = np.random.default_rng(SEED)
    parts = max(1, number * RESAMPLES // MOST_DRAWN)
    return [random.integers(0, number, (len(part), number)) for part in np.array_split(np.arange(RESAMPLES), parts)]


def median_interval(values: NDArray) -> tuple[float, float]:
    """Return the interval of a median: two order statistics, as the number of values below the median is binomial.

    Args:
        values: one value per unit.

    Returns:
        Lower and upper end, which cover the median with at least 95 % for any distribution; NaN for fewer than
        `FEWEST_UNITS` units.
    """
    number = len(values)
    if number < FEWEST_UNITS:
        return np.nan, np.nan
    rank = int(stats.binom.ppf((1 - CONFIDENCE) / 2, number, 0.5))  # P(fewer values below the median) <= 2.5 %
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[number - rank])


class Dominating(NamedTuple):
    """Units that dominate a mean.

    Attributes:
        units: names of the units.
        mean_without: the mean of the other units.
    """

    units: tuple[str, ...]
    mean_without: float


def dominating_units(values: pd.Series) -> Dominating | None:
    """Return the one or two units without which the standard deviation is less than half; None without such units.

    Args:
        values: one value per unit, indexed by the names of the units.
    """
    rest = values
    for _ in range(MOST_DOMINATING):
        if len(rest) < FEWEST_UNITS or is_constant(rest.to_numpy()):
            return None
        rest = rest.drop((rest - rest.mean()).abs().idxmax())
        if rest.std() < SHARE_OF_SPREAD * values.std():
            return Dominating(tuple(map(str, values.index.difference(rest.index))), float(rest.mean()))
    return None
