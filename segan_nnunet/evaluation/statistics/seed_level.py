"""Estimate means over seeds and units, with an error that also holds for other seeds and other patients.

Seeds and units cross: every seed has a score of every unit. A bootstrap that draws both with replacement (Owen's
pigeonhole bootstrap, 2007) has a variance in closed form, so no resampling is needed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from segan_nnunet.evaluation.scores.seeds import with_seeds
from segan_nnunet.evaluation.statistics.intervals import CONFIDENCE, FEWEST_UNITS, bounded_interval, t_quantile


@dataclass(frozen=True)
class Estimate:
    """A mean, or a mean difference, over units and seeds.

    Attributes:
        mean: the mean over the units.
        error: its standard error; NaN for fewer than two units.
        freedom: degrees of freedom of the error, by Satterthwaite's rule.
        units: number of units.
    """

    mean: float
    error: float
    freedom: float
    units: int

    def interval(
        self, low: float = -np.inf, high: float = np.inf, confidence: float = CONFIDENCE
    ) -> tuple[float, float]:
        """Return the ends of Student's interval within the range of the score; NaN for too few units."""
        if self.units < FEWEST_UNITS:
            return np.nan, np.nan
        return bounded_interval(self.mean, t_quantile(self.freedom, confidence) * self.error, low, high)

    def p(self) -> float:
        """Return the two-sided p of a mean of 0, by Student's t; 1 if the mean is exactly 0."""
        return 2 * self.false_claim() if self.mean else 1.0

    def false_claim(self) -> float:
        """Return the probability that the true mean and this mean lie on different sides of 0, in [0, 0.5].

        P(A <= B | data) = t_{n-1}(-√n |mean| / s) for n paired differences with the standard deviation s. This is the
        posterior of their mean under the non-informative prior, "the probability of a false claim" of Christodoulou et
        al. (arXiv 2505.04720). With several seeds, the error and the freedom of both levels replace s/√n and n - 1.

        Returns:
            NaN if the mean is 0, so that there is no claim, or for a single unit.
        """
        if not self.mean or np.isnan(self.error):
            return np.nan
        return float(stats.t.cdf(-abs(self.mean) / self.error, self.freedom)) if self.error else 0.0


def estimate(ours: NDArray[np.float64], theirs: NDArray[np.float64] | None = None) -> Estimate:
    """Return the mean over units and seeds, or the difference of two such means on the same units, with its error.

    The squared error is the variance under a bootstrap that draws, with replacement, S - 1 of each method's S seeds and
    n - 1 of the n units. Drawing one fewer makes the variance unbiased (Rao and Wu 1988). With M the mean square of the
    residuals that neither seeds nor units explain, the variance is

        variance of unit means / n + Σ over methods (variance of seed means / S + M / (S n))

    The first two terms already contain M / (S n), so the error tends to be too large rather than too small.

    The seed variance of a single training is unknown. If the other method has several seeds, its variances stand for
    the single training too, with S = 1. For two single trainings only the units are drawn, so the result holds for
    these two trainings only.

    Args:
        ours: scores of one method, (seeds, units); one row for a single training.
        theirs: scores of the other method on the same units.
    """
    methods = [ours] if theirs is None else [ours, -theirs]
    number = ours.shape[1]
    by_unit = np.sum([method.mean(axis=0) for method in methods], axis=0)
    if number < 2:
        return Estimate(float(by_unit.mean()) if number else np.nan, np.nan, np.nan, number)
    parts = [(by_unit.var(ddof=1) / number, number - 1)]
    for_single_training = 1.0 if {1} < {len(method) for method in methods} else 0.0  # 1 / S with S = 1
    for method in methods:
        seeds = len(method)
        if seeds > 1:
            of_seed = method.mean(axis=1)
            rest = method - method.mean(axis=0) - of_seed[:, None] + method.mean()
            freedom = (seeds - 1) * (number - 1)
            share = 1 / seeds + for_single_training
            parts += [(of_seed.var(ddof=1) * share, seeds - 1), ((rest**2).sum() / freedom * share / number, freedom)]
    variances, freedoms = np.array(parts).T
    mean = float(by_unit.mean())
    if np.sqrt(variances.sum()) <= 1e-12 * np.abs(ours).max():  # rounding error
        return Estimate(mean, 0.0, float(number - 1), number)
    error, freedom = join_errors(variances, freedoms)
    return Estimate(mean, float(error), float(freedom), number)


def join_errors(
    variances: NDArray[np.float64], freedoms: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the standard error of a sum of independent parts, and its degrees of freedom by Satterthwaite's rule.

    Args:
        variances: variances of the parts, along the first axis; not all 0.
        freedoms: degrees of freedom of the variances, in a shape that NumPy broadcasts.
    """
    total = variances.sum(axis=0)
    return np.sqrt(total), total**2 / (variances**2 / freedoms).sum(axis=0)


def by_method_and_seed(scores: pd.DataFrame, column: str) -> dict[tuple[str, str], pd.DataFrame]:
    """Return one score of every method and region as (cases, seeds). A single training has one column.

    If a score is undefined for a seed, it gets the mean of the other seeds, so the mean over the seeds stays the same.

    Args:
        scores: one row per method, seed, case and region.
        column: column of the score.
    """
    table = with_seeds(scores).pivot(index="case", columns=["method", "region", "seed"], values=column)
    table = table.sort_index(axis=1)
    by_method = {}
    for key in {(method, region) for method, region, _ in table.columns}:
        seeds = table[key]
        by_method[key] = seeds.where(seeds.notna(), seeds.mean(axis=1), axis=0)
    return by_method
