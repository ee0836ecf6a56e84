"""Seeds as a level of their own: what the mean of some trainings on some patients says of others to come.

Seeds and units cross: every seed has a score of every unit. A bootstrap that draws both with replacement (Owen's
pigeonhole bootstrap, 2007) has a variance that can be written down, and so nothing is drawn here.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from segan_nnunet.evaluation.statistics.intervals import CONFIDENCE, FEWEST


@dataclass(frozen=True)
class Estimate:
    """A mean, or a mean difference, of units and seeds.

    Attributes:
        mean: of the units.
        error: its standard error; NaN of fewer than two units.
        freedom: degrees of freedom of that error, as Satterthwaite joins those of its parts.
        units: that it is of.
    """

    mean: float
    error: float
    freedom: float
    units: int

    def interval(self) -> tuple[float, float]:
        """Lower and upper end, by Student's t; NaN for fewer than `FEWEST` units."""
        if self.units < FEWEST:
            return np.nan, np.nan
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom)) * self.error
        return self.mean - half, self.mean + half

    def p(self) -> float:
        """Two-sided p of a mean of 0, by Student's t; 1 where nothing differs."""
        return 2 * self.false_claim() if self.mean else 1.0

    def false_claim(self) -> float:
        """The probability that the true mean is not on the side of 0 on which this one is, in [0, 0.5].

        P(A <= B | data) = t_{n-1}(-√n |mean| / s) of n paired differences with the standard deviation s: the posterior
        of their mean under the non-informative prior, "the probability of a false claim" of Christodoulou et al.
        (arXiv 2505.04720). With several seeds, s/√n and n - 1 become the error and the freedom of both levels.

        Returns:
            NaN where the mean is 0, and nothing can be claimed, or of a single unit.
        """
        if not self.mean or np.isnan(self.error):
            return np.nan
        return float(stats.t.cdf(-abs(self.mean) / self.error, self.freedom)) if self.error else 0.0


def estimate(ours: NDArray[np.float64], theirs: NDArray[np.float64] | None = None) -> Estimate:
    """The mean over units and seeds, or the difference of two such means on the same units, with its error.

    The error's square is the variance under a bootstrap that draws S - 1 of each method's S seeds, independently, and
    n - 1 of the n units, with replacement; one fewer than there are, which leaves the variance unbiased (Rao and Wu
    1988). With d the differences of seeds and units from their means, M the mean square of what neither explains:

        variance of unit means / n + Σ over methods (variance of seed means / S + M / (S n))

    The first two parts hold M / (S n) already, so that the error is rather too large than too small.

    Args:
        ours: (seeds, units); a method without seeds has one row, and only units are drawn.
        theirs: of the other method, on the same units.
    """
    methods = [ours] if theirs is None else [ours, -theirs]
    number = ours.shape[1]
    by_unit = np.sum([method.mean(axis=0) for method in methods], axis=0)
    if number < 2:
        return Estimate(float(by_unit.mean()) if number else np.nan, np.nan, np.nan, number)
    parts = [(by_unit.var(ddof=1) / number, number - 1)]
    for method in methods:
        seeds = len(method)
        if seeds > 1:
            of_seed = method.mean(axis=1)
            rest = method - method.mean(axis=0) - of_seed[:, None] + method.mean()
            freedom = (seeds - 1) * (number - 1)
            parts += [(of_seed.var(ddof=1) / seeds, seeds - 1), ((rest**2).sum() / freedom / (seeds * number), freedom)]
    variances, freedoms = np.array(parts).T
    total = variances.sum()
    mean, error = float(by_unit.mean()), float(np.sqrt(total))
    if error <= 1e-12 * np.abs(ours).max():  # a rounding, not a spread
        return Estimate(mean, 0.0, float(number - 1), number)
    return Estimate(mean, error, float(total**2 / (variances**2 / freedoms).sum()), number)


def by_method_and_seed(
    scores: pd.DataFrame, of_seeds: pd.DataFrame | None, column: str
) -> dict[tuple[str, str], pd.DataFrame]:
    """One score of every method and region, as cases x seeds; one column of a method without seeds.

    A score that one seed does not define is the mean over the others, which leaves the mean over the seeds as it is.

    Args:
        scores: one row per method, case and region.
        of_seeds: the same of each seed, with `seed`, of those methods that are means over seeds; None where none is.
        column: of the score.
    """
    table = scores.pivot(index="case", columns=["method", "region"], values=column)
    found = {key: table[[key]] for key in table.columns}
    if of_seeds is not None:
        chosen = of_seeds[of_seeds["case"].isin(table.index)]
        seeded = chosen.pivot(index="case", columns=["method", "region", "seed"], values=column).sort_index(axis=1)
        for key in {(method, region) for method, region, _ in seeded.columns} & set(found):
            each = seeded[key].reindex(table.index)
            found[key] = each.where(each.notna(), each.mean(axis=1), axis=0)
    return found
