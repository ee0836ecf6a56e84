"""Intervals have their nominal coverage, by simulation with fixed seeds and by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from segan_nnunet.evaluation.statistics.intervals import FEWEST_UNITS, bounded_interval, mean_interval, median_interval

REPETITIONS = 1500
DEVIATION = np.sqrt(0.95 * 0.05 / REPETITIONS)  # of a coverage of .95
Draw = Callable[[np.random.Generator, int], np.ndarray]
# scores, their true mean and the range in which they are defined
DISTRIBUTIONS: dict[str, tuple[Draw, float, float, float]] = {
    "normal": (lambda random, number: random.normal(0.8, 0.05, number), 0.8, -np.inf, np.inf),
    "uniform": (lambda random, number: random.random(number), 0.5, 0, 1),
    "heavy tails": (lambda random, number: random.laplace(0, 0.03, number), 0, -1, 1),
    "Beta(8, 2)": (lambda random, number: random.beta(8, 2, number), 0.8, 0, 1),
    "Beta(1, 6)": (lambda random, number: random.beta(1, 6, number), 1 / 7, 0, 1),
}


@pytest.mark.parametrize("number", [10, 20])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_interval_of_the_mean_covers_the_true_mean(name: str, number: int) -> None:
    """The coverage is at least .93 for a nominal .95."""
    draw, mean, least, most = DISTRIBUTIONS[name]
    random = np.random.default_rng(number)
    intervals = (mean_interval(draw(random, number), least, most) for _ in range(REPETITIONS))
    covered = sum(low <= mean <= high for low, high in intervals)
    assert covered / REPETITIONS >= 0.93 - DEVIATION


@pytest.mark.parametrize(("least", "most"), [(0, 1), (0, np.inf), (-1, 1), (1, 3)])
def test_the_interval_of_the_mean_stays_inside_the_range(least: float, most: float) -> None:
    """Yield random scores with outliers, ties, ends of the range, and constants."""
    random = np.random.default_rng(1)
    end = most if np.isfinite(most) else 400.0
    for shape in range(400):
        number = int(random.integers(FEWEST_UNITS, 60))
        a, b = random.uniform(0.05, 20, 2)
        values = least + (end - least) * random.beta(a, b, number)
        values[: shape % 4] = (least, end, values[-1])[shape % 3]  # none to three outliers or ties
        values = values.round(int(random.integers(1, 8))) if shape % 2 else values
        values = np.full(number, values[0]) if shape % 25 == 0 else values
        low, high = mean_interval(values.clip(least, end), least, most)
        assert least <= low <= values.clip(least, end).mean() + 1e-12 and low <= high <= most
        assert high >= values.clip(least, end).mean() - 1e-12


def missed_case() -> dict[str, tuple[np.ndarray, float, float]]:
    """Return twenty cases like real ones with extremely wide intervals. The last case is missed, which costs 374 mm."""
    dice = np.append(np.linspace(0.90, 0.982, 19), 0)
    return {
        "HD95": (np.append(np.geomspace(1, 5.5, 19), 374), 0, np.inf),
        "Dice": (dice, 0, 1),
        "difference": (np.append(np.linspace(-0.004, 0.008, 19), -0.94), -1, 1),
    }


def test_one_missed_case_of_twenty_keeps_the_interval_narrow() -> None:
    """The interval is t_19 = 2.093 times the standard error, on the logit or the logarithm.

    Half of HD95's interval exceeds the mean, so the factor between mean and end is e times their ratio. SciPy's BCa
    interval overlaps ours, which is at most 1.3 times as wide.
    """
    quantile = 2.0930
    for name, (values, least, most) in missed_case().items():
        mean, error = values.mean(), values.std(ddof=1) / np.sqrt(20)
        if name == "HD95":
            ratio = quantile * error / mean
            assert ratio > 1
            expected = [mean / (np.e * ratio), mean * np.e * ratio]
        else:
            share, slope = (mean - least) / (most - least), (mean - least) * (most - mean) / (most - least)
            logits = [np.log(share / (1 - share)) + sign * quantile * error / slope for sign in (-1, 1)]
            expected = [least + (most - least) / (1 + np.exp(-logit)) for logit in logits]
        interval = mean_interval(values, least, most)
        assert interval == pytest.approx(expected, rel=1e-4)
        bca = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(0)).confidence_interval
        assert least < interval[0] and interval[1] < most and interval[0] < bca.high and bca.low < interval[1]
        assert interval[1] - interval[0] < 1.3 * (bca.high - bca.low)


@pytest.mark.parametrize("ratio", [0.01, 0.999, 1.001, 6.5, 40.0])
def test_the_upper_end_of_an_interval_is_bounded(ratio: float) -> None:
    """Up to a half width of one mean, the upper end is mean · exp(half / mean). Beyond, it is at most e · half.

    Two seeds with a mean HD95 of 10 and 30 mm have a half width of 127 mm. Unbounded, the upper end is 11,000 mm.
    """
    low, high = bounded_interval(20, 20 * ratio, 0)
    assert 0 < low < 20 < high and low * high == pytest.approx(400), "symmetric on the logarithm"
    assert 20 * (1 + ratio) < high <= 20 * np.e * max(ratio, 1)
    assert ratio > 1 or high == pytest.approx(20 * np.exp(ratio))
    assert bounded_interval(23, 20 * ratio, 3) == pytest.approx((low + 3, high + 3)), "from another lower end"


def test_the_interval_of_many_normal_values_equals_the_t_interval() -> None:
    values = np.random.default_rng(2).normal(0, 1, 400)
    half = stats.t.ppf(0.975, 399) * values.std(ddof=1) / 20
    np.testing.assert_allclose(mean_interval(values), values.mean() + np.array([-half, half]))


def test_constant_values_have_intervals_without_width_and_few_values_have_none() -> None:
    assert mean_interval(np.full(30, 0.7)) == pytest.approx((0.7, 0.7)), "no spread, no width"
    assert mean_interval(np.ones(12), 0, 1) == (1, 1) and mean_interval(np.zeros(12), 0, np.inf) == (0, 0)
    for few in (0, 1, FEWEST_UNITS - 1):
        assert np.isnan([*mean_interval(np.arange(float(few))), *median_interval(np.arange(float(few)))]).all()


@pytest.mark.parametrize("number", [10, 11, 20, 57])
def test_the_interval_of_the_median_equals_that_of_the_sign_test(number: int) -> None:
    """The ends are the outermost values that a sign test does not reject."""
    values = np.random.default_rng(3).permutation(np.arange(float(number)))
    low, high = median_interval(values)
    for end, inside in ((low, True), (low - 0.5, False), (high, True), (high + 0.5, False)):
        below, above = (values < end).sum(), (values > end).sum()
        fewer = int(min(below, above) + (values == end).sum() * inside)  # an end itself may be on either side
        assert (stats.binomtest(fewer, number).pvalue > 0.05) == inside
