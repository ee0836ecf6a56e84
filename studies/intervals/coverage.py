"""Simulate coverage and width of intervals of a mean.

usage: python studies/intervals/coverage.py [OUTPUT.csv]

All candidates use the same samples. The output has one row per distribution, sample size and candidate:

coverage    share of samples whose interval contains the true mean (nominal: .95)
low, high   share of samples whose interval lies above, or below, the true mean (nominal: .025 each)
width       median over the samples of the interval's width, divided by BCa's width on the same sample
outside     share of samples whose interval leaves the range of the score
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from segan_nnunet.evaluation.statistics.intervals import CONFIDENCE, mean_interval, t_quantile

Values = NDArray[np.float64]  # (samples, units)
Ends = NDArray[np.float64]  # (2, samples)
Interval = Callable[[Values, "Scores"], Ends]
Function = Callable[[Values], Values]

SAMPLES = 2000
RESAMPLES = 2000
SIZES = (10, 20, 50)
SEED = 20261128
ALPHA = 1 - CONFIDENCE


@dataclass(frozen=True)
class Scores:
    """A distribution of scores.

    Attributes:
        draw: function that draws samples of a given shape.
        mean: the true mean.
        low, high: range of the score.
    """

    draw: Callable[[np.random.Generator, tuple[int, int]], Values]
    mean: float
    low: float = 0.0
    high: float = 1.0


def beta(a: float, b: float) -> Scores:
    """Return Beta(a, b), the shape of many overlap scores."""
    return Scores(lambda random, shape: random.beta(a, b, shape), a / (a + b))


def with_failures(rate: float, value: float, other: Scores, high: float) -> Scores:
    """Return a distribution in which a share of the cases has the same value, such as a penalty."""

    def draw(random: np.random.Generator, shape: tuple[int, int]) -> Values:
        return np.where(random.random(shape) < rate, value, other.draw(random, shape))

    return Scores(draw, rate * value + (1 - rate) * other.mean, high=high)


UNBOUNDED = Scores(lambda random, shape: random.normal(0, 1, shape), 0.0, -np.inf, np.inf)
DISTANCES = Scores(lambda random, shape: random.lognormal(np.log(5), 0.8, shape), 5 * np.exp(0.32), high=np.inf)
DISTRIBUTIONS = {
    "normal, .8 ± .05": Scores(lambda random, shape: random.normal(0.8, 0.05, shape), 0.8, -np.inf, np.inf),
    "uniform, 0 to 1": Scores(lambda random, shape: random.random(shape), 0.5),
    "Laplace, of differences": Scores(lambda random, shape: random.laplace(0, 0.03, shape), 0.0, -np.inf, np.inf),
    "exponential, of differences": Scores(lambda random, shape: 1 - random.exponential(1, shape), 0.0, -np.inf, np.inf),
    "Beta(5, 5)": beta(5, 5),
    "Beta(8, 2)": beta(8, 2),
    "Beta(4, 1)": beta(4, 1),
    "difference of Beta(8, 2) and Beta(8, 2)": Scores(
        lambda random, shape: random.beta(8, 2, shape) - random.beta(8, 2, shape), 0.0, -1.0
    ),
    "difference of Beta(30, 3), one method fails in 10 %": Scores(
        lambda random, shape: (
            np.where(random.random(shape) < 0.1, 0.0, random.beta(30, 3, shape)) - random.beta(30, 3, shape)
        ),
        -0.1 * 30 / 33,
        -1.0,
    ),
    "log-normal distances": DISTANCES,
    "Beta(30, 3), 10 % of cases 0": with_failures(0.1, 0.0, beta(30, 3), 1.0),
    "log-normal distances, 5 % of cases 374 mm": with_failures(0.05, 374.0, DISTANCES, np.inf),
}


def student_t(values: Values, scores: Scores) -> Ends:
    """Return mean ± t · standard error."""
    return np.array(stats.ttest_1samp(values, 0, axis=1).confidence_interval(CONFIDENCE))


def ours(values: Values, scores: Scores) -> Ends:
    """Return the interval of `compare`: Student's, on the scale on which the score is unbounded."""
    return np.array([mean_interval(sample, scores.low, scores.high) for sample in values]).T


def expanded_confidence(number: int) -> float:
    """Return the confidence that makes a bootstrap as wide as Student's interval (Hesterberg 2015, section 5.3)."""
    return float(2 * stats.norm.cdf(np.sqrt(number / (number - 1)) * t_quantile(number - 1)) - 1)


def scipy_bootstrap(method: str, expanded: bool = False) -> Interval:
    """Return SciPy's bootstrap interval, at the nominal confidence or at Hesterberg's expanded one."""

    def interval(values: Values, scores: Scores) -> Ends:
        level = expanded_confidence(values.shape[1]) if expanded else CONFIDENCE
        result = stats.bootstrap(
            (values,), np.mean, axis=1, confidence_level=level, n_resamples=RESAMPLES, method=method, batch=200,
            rng=np.random.default_rng(SEED),
        )  # fmt: skip
        return np.array(result.confidence_interval)

    return interval


def studentised(on_scale: bool) -> Interval:
    """Return the studentised bootstrap of the mean, on the score's scale or on the scale without bounds."""

    def interval(values: Values, scores: Scores) -> Ends:
        to_scale, slope, back = scale_of(scores) if on_scale else scale_of(UNBOUNDED)
        random = np.random.default_rng(SEED)
        number = values.shape[1]

        def moments(part: Values) -> tuple[Values, Values]:
            mean, error = part.mean(axis=1), part.std(axis=1, ddof=1) / np.sqrt(number)
            with np.errstate(divide="ignore", invalid="ignore"):
                return to_scale(mean), error * slope(mean)

        centre, error = moments(values)
        ratios = np.full((RESAMPLES, len(values)), np.nan)
        for row in ratios:
            of_drawn, of_error = moments(values[:, random.integers(0, number, number)])
            defined = np.isfinite(of_drawn) & (of_error > 0)
            row[defined] = (of_drawn - centre)[defined] / of_error[defined]
        high, low = np.nanquantile(ratios, [1 - ALPHA / 2, ALPHA / 2], axis=0)
        return np.array([back(centre - high * error), back(centre - low * error)])

    return interval


def scale_of(scores: Scores) -> tuple[Function, Function, Function]:
    """Return the scale without bounds, its derivative and its inverse."""
    low, high = scores.low, scores.high
    if np.isinf(low):
        return (lambda mean: mean), np.ones_like, (lambda scaled: scaled)
    if np.isinf(high):
        return (lambda mean: np.log(mean - low)), (lambda mean: 1 / (mean - low)), (lambda scaled: low + np.exp(scaled))
    span = high - low
    return (
        lambda mean: special.logit((mean - low) / span),
        lambda mean: span / ((mean - low) * (high - mean)),
        lambda scaled: low + span * special.expit(scaled),
    )


CANDIDATES: dict[str, Interval] = {
    "Student's t": student_t,
    "t, scale without ends (ours)": ours,
    "percentile": scipy_bootstrap("percentile"),
    "percentile, expanded": scipy_bootstrap("percentile", expanded=True),
    "BCa": scipy_bootstrap("BCa"),
    "BCa, expanded": scipy_bootstrap("BCa", expanded=True),
    "basic": scipy_bootstrap("basic"),
    "studentised": studentised(on_scale=False),
    "studentised, scale without ends": studentised(on_scale=True),
}


def simulate() -> pd.DataFrame:
    """Return one row per distribution, sample size and candidate."""
    rows = []
    for name, scores in DISTRIBUTIONS.items():
        for number in SIZES:
            values = scores.draw(np.random.default_rng([SEED, number]), (SAMPLES, number))
            values = values[np.ptp(values, axis=1) > 0]
            ends = {candidate: interval(values, scores) for candidate, interval in CANDIDATES.items()}
            widths = {candidate: high - low for candidate, (low, high) in ends.items()}
            for candidate, (low, high) in ends.items():
                rows.append(
                    {
                        "distribution": name,
                        "units": number,
                        "interval": candidate,
                        "coverage": ((low <= scores.mean) & (scores.mean <= high)).mean(),
                        "low": (scores.mean < low).mean(),
                        "high": (scores.mean > high).mean(),
                        "width": np.nanmedian(widths[candidate] / widths["BCa"]),
                        "outside": ((low < scores.low - 1e-12) | (high > scores.high + 1e-12)).mean(),
                    }
                )
            print(f"{name}, {number} units: done", file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Return a table of coverage, width relative to BCa's (in brackets), and share of intervals outside the range."""
    lines = ["| scores | units | " + " | ".join(CANDIDATES) + " |", "| --- | ---: |" + " ---: |" * len(CANDIDATES)]
    for (name, number), part in table.groupby(["distribution", "units"], sort=False):
        cells = [
            f"{row.coverage:.3f} ({row.width:.2f})" + (f", {row.outside:.0%} outside" if row.outside >= 0.005 else "")
            for row in part.itertuples()
        ]
        lines.append(f"| {name} | {number} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    table = simulate()
    if len(sys.argv) > 1:
        table.round(4).to_csv(sys.argv[1], index=False)
    print(markdown(table))
