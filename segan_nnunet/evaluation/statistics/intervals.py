"""95 % intervals of a mean and a median over units, and the units that dominate a mean.

The interval of a mean is Student's, on a scale on which the score has no ends: it stays inside the score's range by
construction. `studies/intervals` compares it with the bootstraps (docs/decisions.md, 13).
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
FEWEST = 10  # units that an interval needs
MOST_DRAWN = 4_000_000  # numbers at a time, which bounds the memory
MOST_DOMINATING = 2  # units
SHARE_OF_SPREAD = 0.5  # units dominate a mean if the standard deviation without them is smaller than this share


def mean_interval(values: NDArray, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
    """Return Student's interval of a mean, inside the range of the score.

    Args:
        values: one per unit.
        low, high: range in which the score is defined.

    Returns:
        Lower and upper end; NaN for fewer than `FEWEST` units.
    """
    number = len(values)
    if number < FEWEST:
        return np.nan, np.nan
    error = 0.0 if is_constant(values) else values.std(ddof=1) / np.sqrt(number)
    return bounded_interval(float(values.mean()), t_quantile(number - 1) * float(error), low, high)


def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Return the quantile of Student's t that ends a two-sided interval; of 95 % it leaves 2.5 % above it."""
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def is_constant(values: NDArray) -> bool:
    """Return whether values differ by no more than rounding error."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def bounded_interval(mean: float, half: float, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
    """Return the interval mean ± half on a scale without ends, carried back to the scale of the score.

    The scale is the logit of a score with two ends, and the logarithm of a score with a lower end. The derivative at
    the mean carries `half` over (delta method). Without ends the interval is mean ± half. On the logarithmic scale
    the upper end grows exponentially only while `half` is less than the mean, and linearly from there. The means of
    two seeds, whose t quantile is 12.7, could else reach a thousand times the mean.

    Args:
        mean: of the score.
        half: half the width, a quantile times the standard error.
        low, high: range in which the score is defined.
    """
    if half == 0 or np.isinf(low):
        return mean - half, mean + half
    if mean <= low or mean >= high:  # all values lie at one end of the range
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
    """Return the indices of all resamples of so many units, in parts; the same for every score."""
    random = np.random.default_rng(SEED)
    parts = max(1, number * RESAMPLES // MOST_DRAWN)
    return [random.integers(0, number, (len(part), number)) for part in np.array_split(np.arange(RESAMPLES), parts)]


def median_interval(values: NDArray) -> tuple[float, float]:
    """Return two order statistics around the median; the number of values below it is binomial.

    Args:
        values: one per unit.

    Returns:
        Lower and upper end, which cover the median with at least 95 % whatever the distribution; NaN for fewer than
        `FEWEST` units.
    """
    number = len(values)
    if number < FEWEST:
        return np.nan, np.nan
    rank = int(stats.binom.ppf((1 - CONFIDENCE) / 2, number, 0.5))  # P(fewer than so many below) <= 2.5 %
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[number - rank])


class Dominating(NamedTuple):
    """Units that dominate a mean.

    Attributes:
        units: their names.
        mean_without: the mean of the other units.
    """

    units: tuple[str, ...]
    mean_without: float


def dominating_units(values: pd.Series) -> Dominating | None:
    """Return the one or two units without which the standard deviation is less than half; None where there are none.

    Args:
        values: one per unit, indexed by their names.
    """
    rest = values
    for _ in range(MOST_DOMINATING):
        if len(rest) < FEWEST or is_constant(rest.to_numpy()):
            return None
        rest = rest.drop((rest - rest.mean()).abs().idxmax())
        if rest.std() < SHARE_OF_SPREAD * values.std():
            return Dominating(tuple(map(str, values.index.difference(rest.index))), float(rest.mean()))
    return None
