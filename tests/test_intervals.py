"""Intervals that cover what they say, and tests whose units are independent: by simulation, with fixed seeds."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from segan_nnunet.evaluation.statistics.intervals import FEWEST, mean_interval, median_interval
from segan_nnunet.evaluation.statistics.paired import wilcoxon

Draw = Callable[[np.random.Generator, int], np.ndarray]
REPETITIONS = 1500


def normal(random: np.random.Generator, number: int) -> np.ndarray:
    return random.normal(0, 1, number)


def skewed(random: np.random.Generator, number: int) -> np.ndarray:
    """As Dice is: most near the top, a tail to the bottom. Mean 0."""
    return 1 - random.exponential(1, number)


@pytest.mark.parametrize("number", [10, 20])
@pytest.mark.parametrize("draw", [normal, skewed])
def test_the_mean_s_interval_covers_it(draw: Draw, number: int) -> None:
    """At least .93 where it says .95; a binomial's standard deviation is .006 here."""
    random = np.random.default_rng(number)
    intervals = (mean_interval(draw(random, number)) for _ in range(REPETITIONS))
    covered = sum(low <= 0 <= high for low, high in intervals)
    assert covered / REPETITIONS >= 0.93 - 0.006


def test_the_mean_s_interval_is_the_t_interval_of_many_normal_values() -> None:
    values = np.random.default_rng(2).normal(0, 1, 400)
    half = stats.t.ppf(0.975, 399) * values.std(ddof=1) / 20
    np.testing.assert_allclose(mean_interval(values), values.mean() + np.array([-half, half]), atol=0.1 * half)


def test_intervals_of_nothing_to_estimate() -> None:
    assert mean_interval(np.full(30, 0.7)) == pytest.approx((0.7, 0.7)), "no spread, no width"
    # resamples of equal values have no spread but rounding's, and do not count
    low, high = mean_interval(np.array([np.sqrt(2)] * 18 + [5.0, 5.0]))
    assert 1.3 < low < high < 6
    for few in (0, 1, FEWEST - 1):
        assert np.isnan([*mean_interval(np.arange(float(few))), *median_interval(np.arange(float(few)))]).all()


@pytest.mark.parametrize("number", [10, 11, 20, 57])
def test_the_median_s_interval_is_the_sign_test_s(number: int) -> None:
    """The ends are the outermost values that a sign test does not reject."""
    values = np.random.default_rng(3).permutation(np.arange(float(number)))
    low, high = median_interval(values)
    for end, inside in ((low, True), (low - 0.5, False), (high, True), (high + 0.5, False)):
        below, above = (values < end).sum(), (values > end).sum()
        fewer = int(min(below, above) + (values == end).sum() * inside)  # an end itself may be on either side
        assert (stats.binomtest(fewer, number).pvalue > 0.05) == inside


def test_scans_of_a_patient_taken_for_cases_find_what_is_not_there() -> None:
    """30 patients with one to six scans that differ by chance: a test of scans errs far above 5 %, of patients not."""
    random = np.random.default_rng(4)
    wrong = {"scans": 0, "patients": 0}
    for _ in range(REPETITIONS):
        scans = random.integers(1, 7, 30)
        of_patient = random.normal(0, 1, 30)
        differences = [mean + random.normal(0, 0.5, number) for mean, number in zip(of_patient, scans, strict=True)]
        wrong["scans"] += wilcoxon(np.concatenate(differences))[0] < 0.05
        wrong["patients"] += wilcoxon(np.array([part.mean() for part in differences]))[0] < 0.05
    assert wrong["scans"] / REPETITIONS > 0.15
    assert wrong["patients"] / REPETITIONS < 0.05 + 3 * 0.006
