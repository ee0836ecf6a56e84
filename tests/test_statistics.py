"""Statistics equal SciPy's, and known results for constructed data."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from segan_nnunet.evaluation.scores.scores import SCORES
from segan_nnunet.evaluation.statistics import paired as statistics
from segan_nnunet.evaluation.statistics.intervals import mean_interval, median_interval
from segan_nnunet.evaluation.statistics.paired import wilcoxon
from segan_nnunet.evaluation.statistics.sentences import count_findings, few_units, smallest_p
from segan_nnunet.evaluation.statistics.summary import pooled_f1_note, strata, summarise
from tests.hand_made_scores import paired_tests, primary_sentences

pytestmark = pytest.mark.usefixtures("quick_correction")

COLUMNS = [score.column for score in SCORES]


def scores_of(values: dict[str, np.ndarray], grades: list[str] | None = None) -> pd.DataFrame:
    """Return a score table of one region. All scores of a method have the same values, one per case."""
    rows = []
    for method, of_method in values.items():
        for index, value in enumerate(of_method):
            row = {"method": method, "case": f"c{index:03d}", "region": "whole", **dict.fromkeys(COLUMNS, value)}
            rows.append({**row, "grade": grades[index] if grades else ""})
    return pd.DataFrame(rows)


def test_the_summary_has_mean_and_median_with_their_intervals() -> None:
    values = np.random.default_rng(1).beta(5, 2, 40)
    row = summarise(scores_of({"A": values})).set_index("score").loc["Dice"]
    assert row["cases"] == 40 and row["mean"] == pytest.approx(values.mean())
    assert row["median"] == pytest.approx(np.median(values))
    assert (row["mean_low"], row["mean_high"]) == pytest.approx(mean_interval(values, 0, 1))
    assert (row["median_low"], row["median_high"]) == median_interval(values)


def test_units_are_patients_if_a_patient_has_several_scans() -> None:
    table = scores_of({"A": np.array([0.2, 0.4, 0.9]), "B": np.array([0.1, 0.1, 0.8])})
    table["patient"] = table["case"].map({"c000": "p", "c001": "p", "c002": "q"})
    row = summarise(table).set_index(["method", "score"]).loc[("A", "Dice")]
    assert row["cases"] == 2 and row["mean"] == pytest.approx((0.3 + 0.9) / 2)
    tested = paired_tests(table, "B").iloc[0]
    assert tested["pairs"] == 2 and tested["difference"] == pytest.approx((0.2 + 0.1) / 2)


def test_patients_are_paired_scan_by_scan() -> None:
    """A has no score for the second scan, so only the first scan is compared. Both methods are equal there."""
    table = scores_of({"A": np.array([0.8, np.nan]), "B": np.array([0.8, 0.0])}).assign(patient="p")
    assert paired_tests(table, "B").iloc[0]["difference"] == 0
    scans = summarise(table).set_index(["method", "score"])["scans"]
    assert (scans["A", "Dice"], scans["B", "Dice"]) == (1, 2)


def test_undefined_scores_are_excluded() -> None:
    row = summarise(scores_of({"A": np.array([0.2, np.nan, 0.6])})).iloc[0]
    assert row["cases"] == 2 and row["mean"] == pytest.approx(0.4)
    nothing = summarise(scores_of({"A": np.array([np.nan, np.nan])})).iloc[0]
    assert nothing["cases"] == 0 and np.isnan(nothing["mean"])
    both = scores_of({"A": np.array([0.2, np.nan, 0.6]), "B": np.array([0.1, 0.5, np.nan])})
    assert paired_tests(both, "A").iloc[0]["pairs"] == 1


def test_wilcoxon_equals_that_of_scipy_and_its_effect_follows_the_definition() -> None:
    differences = np.random.default_rng(3).normal(0.2, 1, 25)
    p, effect = wilcoxon(differences)
    assert p == pytest.approx(stats.wilcoxon(differences).pvalue)
    ranks = stats.rankdata(np.abs(differences))
    plus, minus = ranks[differences > 0].sum(), ranks[differences < 0].sum()
    assert effect == pytest.approx((plus - minus) / (plus + minus))
    assert wilcoxon(-differences) == pytest.approx((p, -effect))
    assert wilcoxon(np.array([0.1, 0.2, 0.3, 0.0])) == pytest.approx((2 / 2**3, 1.0)), "zeros are left out"
    assert wilcoxon(np.zeros(5)) == (1.0, 0.0)
    assert np.isnan(wilcoxon(np.array([]))).all()


def test_many_tied_pairs_are_tested_without_enumerating_all_signs() -> None:
    tied = np.array([1, 1, 1, 2, 2, 2, 3, 3, -1, -2, 4, 4]) / 10
    assert wilcoxon(tied)[0] == pytest.approx(stats.wilcoxon(tied, method="asymptotic").pvalue)
    assert wilcoxon(tied[:8])[0] == pytest.approx(2 / 2**8), "few are counted: all differences of one sign"


def test_rounding_errors_do_not_change_ties() -> None:
    """Volumes in ml of ten and eleven voxels differ as much as those of twenty and twenty-one voxels."""
    voxels = np.array([3, 1, -1, 1, 2, -2, 5, 1, 4, 6, -3, 1])
    start = np.arange(10, 22)
    differences = (start + voxels) * 0.001 - start * 0.001
    assert len(np.unique(np.abs(differences))) > len(np.unique(np.abs(voxels))), "they differ by rounding errors"
    assert wilcoxon(differences) == wilcoxon(voxels.astype(float))
    assert wilcoxon(np.array([1e-17, -1e-16, 0.0])) == (1.0, 0.0)


def test_pooled_f1_equals_values_computed_by_hand() -> None:
    counts = {"LesionsFound": [1, 3, 0], "LesionsMissed": [1, 0, 0], "LesionsFalse": [0, 3, 0]}
    table = pd.DataFrame({"method": "A", "case": ["a", "b", "a"], "region": ["whole", "whole", "core"], **counts})
    assert pooled_f1_note(table).endswith("together: A: whole 0.667.")  # 2 * 4 / (2 * 4 + 1 + 3), no lesion in the core
    assert pooled_f1_note(table[2:]).endswith("together: no case has a lesion.")


def test_holm_correction_equals_values_computed_by_hand() -> None:
    """The sorted p of one family are multiplied by their number, by one fewer and so on, and never decrease."""
    random = np.random.default_rng(4)
    base = random.normal(0.5, 0.1, 30)
    table = scores_of({"base": base, "A": base + random.normal(0.02, 0.05, 30), "B": base + random.normal(0, 0.05, 30)})
    tests = paired_tests(table, "base")
    families = {"primary": 2 * 1, "exploratory: table1, all": 2 * 2, "exploratory: further_scores, all": 2 * 3}
    families |= {"exploratory: ASSD, all": 2 * 1}  # so that p of the scores beside it stays
    assert tests["family"].value_counts().to_dict() == families
    for name, number in families.items():
        family = tests[tests["family"] == name].sort_values("p")
        expected = np.maximum.accumulate(family["p"].to_numpy() * np.arange(number, 0, -1)).clip(max=1)
        np.testing.assert_allclose(family["p_holm"], expected)


def test_the_tests_keep_their_nominal_error_rate_without_a_difference() -> None:
    """In 500 repetitions without a true difference, one test errs in 5 %, and a family of three in at most 5 %.

    Three standard deviations of a binomial with 500 draws at 5 % are 2.9 percentage points.
    """
    random = np.random.default_rng(5)
    single, families = 0, 0
    for _ in range(500):
        differences = random.normal(0, 0.05, (3, 60))
        p = np.array([wilcoxon(of_score)[0] for of_score in differences])
        single += p[0] < 0.05
        families += statistics.holm(p).min() < 0.05
    assert 0.021 <= single / 500 <= 0.079
    assert families / 500 <= 0.079
    assert families > 0, "the correction does not make findings impossible"


def test_only_a_planted_difference_is_significant() -> None:
    random = np.random.default_rng(6)
    base = random.normal(0.7, 0.1, 40)
    noise = {name: random.normal(0, 0.02, 40) for name in ("same", "better")}
    table = scores_of(
        {"base": base, "same": base + noise["same"] - noise["same"].mean(), "better": base + 0.03 + noise["better"]}
    )
    tests = paired_tests(table, "base")
    significant_methods = set(tests[statistics.significant(tests)]["method"])
    assert significant_methods == {"better"}
    row = tests[(tests["method"] == "better") & (tests["score"] == "Dice")].iloc[0]
    assert row["difference"] == pytest.approx(0.03 + noise["better"].mean()) and row["effect"] > 0.5
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    said = primary_sentences(tests, ["whole"])
    assert said == [
        "same does not differ significantly from base in Dice of whole.",
        f"better is significantly better than base in Dice of whole (+{row['difference']:.3f}).",
    ]
    assert count_findings(tests).startswith("Primary endpoint: 1 of 2 comparisons is significant")


def test_several_grades_form_strata() -> None:
    values = np.array([0.1, 0.2, 0.7, 0.8, 0.9])
    grades = ["LGG", "LGG", "HGG", "HGG", "HGG"]
    assert list(strata(scores_of({"A": values}, grades))) == ["all", "HGG", "LGG"]
    assert list(strata(scores_of({"A": values}, ["HGG"] * 5))) == ["all"], "one grade is all cases"
    assert list(strata(scores_of({"A": values}, ["HGG"] * 4 + [""]))) == ["all", "HGG", "unknown"]
    assert list(strata(scores_of({"A": values}, [""] * 5))) == ["all"]
    means = summarise(scores_of({"A": values}, grades)).set_index(["stratum", "score"])["mean"]
    assert means["HGG", "Dice"] == pytest.approx(0.8) and means["LGG", "Dice"] == pytest.approx(0.15)
    tests = paired_tests(scores_of({"A": values, "B": values + 0.05}, grades), "A").set_index(["stratum", "score"])
    assert tests.loc[("HGG", "Dice"), "pairs"] == 3
    assert tests.loc[("HGG", "Dice"), "p"] == pytest.approx(2 / 2**3)


def test_a_note_states_that_there_are_few_cases() -> None:
    for pairs in (3, 5, 6):  # by counting all signs
        ranks = np.arange(1, pairs + 1)
        extreme = [signs for signs in itertools.product((0, 1), repeat=pairs) if ranks @ signs in (0, ranks.sum())]
        assert smallest_p(pairs) == len(extreme) / 2**pairs
    assert "no difference can be significant: the smallest p that 4 pairs can give is 0.12" in few_units(4, 1)
    assert "only large differences" in few_units(10, 9)
    assert few_units(20, 9) == ""
    assert "1 case is few" in few_units(1, 0)
    assert few_units(2, 0, "patient").startswith("2 patients are few"), "the units are named as what they are"
