"""Seeds as a second level of variance, and the probability of a false claim: by resampling, simulation and hand."""

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from segan_nnunet.evaluation.presentation.report.rows import COMPARISON_HEAD, comparison_rows, two_digits
from segan_nnunet.evaluation.presentation.table_notes import scatter_notes
from segan_nnunet.evaluation.scores.scores import SCORES
from segan_nnunet.evaluation.scores.seeds import UNSEEDED, seed_means
from segan_nnunet.evaluation.statistics.intervals import mean_interval
from segan_nnunet.evaluation.statistics.paired import SINGLE_TRAINING_TEST, WILCOXON_TEST, significant
from segan_nnunet.evaluation.statistics.seed_level import estimate
from segan_nnunet.evaluation.statistics.summary import summarise
from tests.hand_made_scores import paired_tests

pytestmark = pytest.mark.usefixtures("quick_correction")

REPETITIONS = 800
BINOMIAL = 3 * np.sqrt(0.05 * 0.95 / REPETITIONS)  # three standard deviations of a rate of 5 %
PLANTED = [0.06, 0.04, 0.05, 0.055, 0.045]  # a difference of all seeds

# of seeds, of units, of what is particular to both
MOSTLY_UNITS, MOSTLY_SEEDS, NEITHER = (0.2, 1.0, 0.5), (1.0, 0.5, 0.5), (0.0, 0.0, 1.0)


def crossed(
    random: np.random.Generator, seeds: int, units: int, scatter: tuple[float, float, float], skewed: bool = False
) -> np.ndarray:
    """Return scores (seeds, units) with a true mean of 0. They are skewed like Dice: most values are near the top."""
    of_seed, of_unit, of_both = scatter
    return (
        random.normal(0, of_seed, (seeds, 1))
        + (of_unit * (1 - random.exponential(1, units)) if skewed else random.normal(0, of_unit, units))
        + random.normal(0, of_both, (seeds, units))
    )


def test_the_error_equals_that_of_a_bootstrap_over_seeds_and_units() -> None:
    random = np.random.default_rng(0)
    ours, theirs = crossed(random, 3, 12, (0.5, 1, 0.7)), crossed(random, 4, 12, (0.5, 0.3, 0.7))
    draws, weights = 200_000, partial(random.multinomial)
    units = weights(11, np.full(12, 1 / 12), draws) / 11
    means = np.zeros(draws)
    for method, sign in ((ours, 1), (theirs, -1)):
        seeds = len(method)
        multiplicities = weights(seeds - 1, np.full(seeds, 1 / seeds), draws) / (seeds - 1)
        means += sign * ((multiplicities @ method) * units).sum(axis=1)
    result = estimate(ours, theirs)
    assert result.mean == pytest.approx(ours.mean() - theirs.mean())
    assert result.error == pytest.approx(means.std(), rel=0.01)


@pytest.mark.parametrize(
    ("scatter", "at_least", "skewed"),
    [(MOSTLY_UNITS, 0.95, False), (MOSTLY_UNITS, 0.94, True), (MOSTLY_SEEDS, 0.92, False), (NEITHER, 0.99, False)],
)
@pytest.mark.parametrize(("seeds", "units"), [(3, 20), (5, 10)])
def test_the_interval_over_seeds_and_units_covers_the_mean(
    seeds: int, units: int, scatter: tuple[float, float, float], at_least: float, skewed: bool
) -> None:
    random = np.random.default_rng(seeds)
    covered, taken_for_one = 0, 0
    for _ in range(REPETITIONS):
        scores = crossed(random, seeds, units, scatter, skewed)
        low, high = estimate(scores).interval()
        covered += low <= 0 <= high
        error = stats.t.ppf(0.975, units - 1) * scores.mean(axis=0).std(ddof=1) / np.sqrt(units)
        taken_for_one += abs(scores.mean()) <= error
    assert covered / REPETITIONS >= at_least - BINOMIAL
    if scatter == MOSTLY_SEEDS:
        assert taken_for_one / REPETITIONS < 0.6, "of the seeds' mean alone an interval is far too narrow"


@pytest.mark.parametrize("scatter", [MOSTLY_UNITS, MOSTLY_SEEDS])
def test_the_test_over_seeds_and_units_errs_in_5_percent_without_a_difference(
    scatter: tuple[float, float, float],
) -> None:
    random = np.random.default_rng(1)
    wrong = sum(
        estimate(crossed(random, 3, 20, scatter), crossed(random, 3, 20, scatter)).p() < 0.05
        for _ in range(REPETITIONS)
    )
    assert wrong / REPETITIONS <= 0.05 + BINOMIAL


def seeded_scores(gains: list[float]) -> pd.DataFrame:
    """Return scores of B and of several seeds of A. Each seed is better than B by its gain."""
    random = np.random.default_rng(7)
    base = random.normal(0.7, 0.1, 40)
    regions, columns = ["whole", "core"], [score.column for score in SCORES]

    def rows(values: np.ndarray, **more: object) -> list[dict[str, object]]:
        return [
            {"case": f"c{index:02d}", "region": region, **dict.fromkeys(columns, value), **more}
            for (index, value), region in product(enumerate(values), regions)
        ]

    seeds = [
        row
        for seed, gain in enumerate(gains)
        for row in rows(base + gain + random.normal(0, 0.01, 40), method="A", seed=seed)
    ]
    return pd.DataFrame([*rows(base, method="B", seed=UNSEEDED), *seeds])


def test_only_a_difference_of_all_seeds_is_significant() -> None:
    for gains, is_significant in (([0.25, 0, 0, 0, 0], False), (PLANTED, True), ([0.0] * 5, False)):
        scores = seeded_scores(gains)
        tests = paired_tests(scores, "B")
        assert set(tests["test"]) == {SINGLE_TRAINING_TEST}
        assert significant(tests).all() if is_significant else not significant(tests).any()
        row = tests.iloc[0]
        assert row["difference"] == pytest.approx(np.mean(gains), abs=0.01)
        assert (row["difference_low"] > 0) == is_significant
        assert row["p"] == pytest.approx(2 * row["false_claim"])
        taken_for_one = paired_tests(seed_means(scores), "B")
        assert set(taken_for_one["test"]) == {WILCOXON_TEST}
        if sum(gains):
            assert significant(taken_for_one).all(), "the mean over the seeds alone would have claimed it"


def test_the_probability_of_a_false_claim_is_reported_with_the_claim() -> None:
    tests = paired_tests(seeded_scores(PLANTED), "B")
    rows = comparison_rows(tests, SCORES)["A compared with B"]
    claims = [row[COMPARISON_HEAD.index("P(false claim)")] for row in rows]
    assert claims == [two_digits(claim) for claim in tests["false_claim"]]
    assert [two_digits(p) for p in (0.0123, 0.00004, np.nan)] == ["0.012", "< 0.0001", "–"]


def test_seed_variance_widens_the_interval_of_a_mean() -> None:
    scores = seeded_scores([-0.1, 0.0, 0.1])
    alone, with_seeds = (
        summarise(table).set_index(["method", "score", "region"]) for table in (seed_means(scores), scores)
    )
    key = ("A", "Dice", "whole")
    assert alone.loc[key, "mean"] == pytest.approx(with_seeds.loc[key, "mean"])
    assert with_seeds.loc[key, "mean_low"] < alone.loc[key, "mean_low"] - 0.05
    pd.testing.assert_series_equal(alone.loc[("B", "Dice", "whole")], with_seeds.loc[("B", "Dice", "whole")])


def test_one_seed_adds_no_level_and_an_undefined_seed_is_excluded_from_the_mean() -> None:
    scores = seeded_scores([0.05])
    pd.testing.assert_frame_equal(paired_tests(scores, "B"), paired_tests(seed_means(scores), "B"))
    scores = seeded_scores([0.05, 0.05])
    scores.loc[scores.index[scores["seed"] == 0][0], "Dice"] = np.nan
    averaged = seed_means(scores).set_index(["method", "case", "region"])
    of_seed_1 = scores[scores["seed"] == 1].set_index(["method", "case", "region"])
    assert averaged.loc[("A", "c00", "whole"), "Dice"] == of_seed_1.loc[("A", "c00", "whole"), "Dice"]
    seeded, averaged = summarise(scores), summarise(seed_means(scores))
    np.testing.assert_allclose(seeded["mean"], averaged["mean"])
    np.testing.assert_array_equal(seeded["cases"], averaged["cases"])


def test_the_probability_of_a_false_claim_equals_the_posterior() -> None:
    """It equals the published formula of means, deviations and correlation, and SciPy's one-sided paired test."""
    random = np.random.default_rng(2)
    a = random.normal(0.8, 0.1, 25)
    b = a - random.normal(0.01, 0.05, 25)
    spread = np.sqrt(a.var(ddof=1) + b.var(ddof=1) - 2 * np.cov(a, b)[0, 1])
    published = stats.t.cdf(np.sqrt(25) * (b.mean() - a.mean()) / spread, 24)
    assert estimate((a - b)[None]).false_claim() == pytest.approx(published)
    assert estimate((b - a)[None]).false_claim() == pytest.approx(published), "of the better, whichever it is"
    assert published == pytest.approx(stats.ttest_rel(a, b, alternative="greater").pvalue)


def test_equal_methods_and_single_cases_give_no_claim() -> None:
    assert np.isnan(estimate(np.zeros((1, 5))).false_claim()) and estimate(np.zeros((2, 5))).p() == 1
    assert np.isnan(estimate(np.ones((1, 1))).false_claim())
    assert estimate(np.full((1, 5), 0.1)).false_claim() == 0, "all cases agree"
    assert np.isnan(estimate(np.ones((3, 9))).interval()).all(), "fewer than ten have no interval"
    assert mean_interval(np.full(12, 0.5)) == estimate(np.full((2, 12), 0.5)).interval()


def test_a_note_states_the_standard_deviation_over_seeds() -> None:
    seeds = pd.DataFrame({"method": "A", "seed": [0, 1], "region": "whole", "Dice": [0.6, 0.7]})
    assert scatter_notes(seeds) == ["A's mean Dice has a standard deviation over its seeds of 0.071 (whole)."]
    assert scatter_notes(seeds[:1]) == [], "one seed has none"


def test_all_pairs_of_methods_form_one_family() -> None:
    scores = seeded_scores(PLANTED)
    both = [scores, scores[scores["method"] == "B"].assign(method="C")]
    tests = paired_tests(pd.concat(both, ignore_index=True), "B", all_pairs=True)
    dice = tests[(tests["score"] == "Dice") & (tests["region"] == "whole")]
    assert list(zip(dice["method"], dice["baseline"], strict=True)) == [("A", "B"), ("C", "B"), ("C", "A")]
    family = tests[tests["score"].isin(["Dice", "Precision", "Sensitivity"])].sort_values("p")
    assert len(family) == 3 * 3 * 2
    primary = tests[tests["family"] == "primary"].sort_values("p")
    assert len(primary) == 3 * 2, "three pairs, Dice of two regions"
    expected = np.maximum.accumulate(primary["p"].to_numpy() * np.arange(6, 0, -1)).clip(max=1)
    np.testing.assert_allclose(primary["p_holm"], expected)
