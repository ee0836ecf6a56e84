"""The power of a study equals closed forms and the tests of `compare`, and a pilot gives a plan."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from segan_nnunet import planning
from segan_nnunet.cli import main
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.pilot import read_pilot
from segan_nnunet.evaluation.statistics.equivalence import equivalence_p
from segan_nnunet.evaluation.statistics.paired import wilcoxon
from segan_nnunet.evaluation.statistics.power import (
    DIFFERENCE,
    EQUIVALENCE,
    REPETITIONS,
    Goal,
    Population,
    Studies,
    critical_ranks,
    patients_needed,
    population_of,
    power_curves,
    signed_ranks,
)
from segan_nnunet.evaluation.statistics.seed_level import estimate
from tests.test_option_values import printed

MONTE_CARLO = 4 * np.sqrt(0.25 / REPETITIONS)  # four standard deviations at most
SIZES = (10, 20, 40, 80)


def power_of(population: Population, goal: Goal, seeds: int, alpha: float = 0.05) -> list[float]:
    return power_curves(population, [goal], [seeds], alpha, patients=SIZES)["power"].tolist()


def tost_power(number: int, sd: float, margin: float, alpha: float) -> float:
    """Return the integral over s of P(-m + t s/√n < mean < m - t s/√n), for a true difference of 0."""
    freedom, quantile, error = number - 1, stats.t.ppf(1 - alpha, number - 1), sd / np.sqrt(number)

    def integrand(ratio: float) -> float:  # ratio: s / sd, whose square times the freedom is chi-squared
        room = margin - quantile * ratio * error
        density = stats.chi(freedom, scale=1 / np.sqrt(freedom)).pdf(ratio)
        return float(density * (2 * stats.norm.cdf(room / error) - 1)) if room > 0 else 0.0

    return float(integrate.quad(integrand, 0, 4, points=[min(margin / quantile / error, 4)])[0])


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
def test_the_power_without_seed_variance_equals_that_of_the_paired_t_test(alpha: float) -> None:
    powers = power_of(Population(0.05, 0.0), Goal(DIFFERENCE, 0.02), 2, alpha)
    expected = [TTestPower().power(0.4, number, alpha, alternative="two-sided") for number in SIZES]
    np.testing.assert_allclose(powers, expected, atol=MONTE_CARLO)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
def test_the_power_of_equivalence_equals_the_closed_form(alpha: float) -> None:
    for seeds in (1, 3):
        powers = power_of(Population(0.05, 0.0), Goal(EQUIVALENCE, 0.025), seeds, alpha)
        expected = [tost_power(number, 0.05, 0.025, alpha) for number in SIZES]
        np.testing.assert_allclose(powers, expected, atol=MONTE_CARLO)
    assert expected[0] < 0.1 < 0.9 < expected[-1], "the sizes span what there is to see"


def test_wilcoxon_needs_a_twentieth_more_patients_for_normal_differences() -> None:
    """The asymptotic relative efficiency of the Wilcoxon test against the t-test is 3 / π."""
    powers = power_of(Population(0.05), Goal(DIFFERENCE, 0.02), 1)
    expected = [TTestPower().power(0.4, number * 3 / np.pi, 0.05, alternative="two-sided") for number in SIZES]
    np.testing.assert_allclose(powers, expected, atol=0.02 + MONTE_CARLO)


def test_the_power_with_only_seed_variance_equals_that_of_a_two_sample_test() -> None:
    """If all patients are equal, Welch's t-test compares the seed means of two methods with S seeds."""
    random = np.random.default_rng(0)
    for seeds in (3, 8):
        powers = power_of(Population(1e-9, 0.02), Goal(DIFFERENCE, 0.04), seeds)[0]
        ours, theirs = random.normal(0.04, 0.02, (20_000, seeds)), random.normal(0, 0.02, (20_000, seeds))
        welch = stats.ttest_ind(ours, theirs, axis=1, equal_var=False)
        assert powers == pytest.approx(np.mean((welch.pvalue < 0.05) & (welch.statistic > 0)), abs=MONTE_CARLO + 0.005)


def test_simulated_statistics_equal_those_of_compare() -> None:
    """If seeds shift all patients equally, mean, error and degrees of freedom equal those of `estimate`."""
    random = np.random.default_rng(1)
    units = random.normal(0, 0.05, (3, 12))
    studies = Studies.of(units, 4, 0.01, np.random.default_rng(5))
    shifts = np.random.default_rng(5).normal(0, 0.01, (2, 3, 4))
    for row in range(3):
        result = estimate(units[row] + shifts[0, row][:, None], shifts[1, row][:, None] + np.zeros(12))
        assert studies.mean[row] == pytest.approx(result.mean)
        assert studies.error[row] == pytest.approx(result.error)
        assert np.asarray(studies.freedom)[row] == pytest.approx(result.freedom)
        shown = studies.shown(Goal(EQUIVALENCE, 0.03), 0.05)[row]
        assert shown == (equivalence_p(result.mean, result.error, result.freedom, 0.03) < 0.05)


@pytest.mark.parametrize("number", [5, 10, 30, 50, 60, 200])
def test_wilcoxon_decides_as_in_compare(number: int) -> None:
    random = np.random.default_rng(number)
    differences = random.normal(0.35, 1, (150, number))
    for alpha in (0.05, 0.05 / 3):
        decided = np.abs(signed_ranks(differences)) >= critical_ranks(number, alpha)
        assert decided.tolist() == [wilcoxon(row)[0] < alpha for row in differences]
    assert critical_ranks(5, 0.05) == np.inf, "five pairs cannot be significant: 2 / 32 = .0625"


def test_signed_ranks_give_tied_differences_their_mean_rank() -> None:
    values = np.array([0.3, -0.1, 0.3, 0.2, -0.1, 0.5])
    ranks = stats.rankdata(np.abs(values))
    assert signed_ranks(values[None])[0] == np.sign(values) @ ranks


def test_a_population_centres_the_pilot_and_keeps_its_spread_and_shape() -> None:
    pilot = np.array([0.0, 0.0, 0.0, 0.0, 0.1])
    population = population_of(pilot)
    assert population.sd == pytest.approx(pilot.std(ddof=1))
    sample = population.draw(np.random.default_rng(0), 1000, 100)
    assert (sample.mean(), sample.std()) == (pytest.approx(0, abs=1e-3), pytest.approx(population.sd, rel=0.01))
    width = 1.06 * 5**-0.2  # of the noise that smooths, which has no skew
    assert stats.skew(sample.ravel()) == pytest.approx(stats.skew(pilot) / (1 + width**2) ** 1.5, rel=0.05)


def test_small_pilots_with_equal_spread_give_similar_plans() -> None:
    exact = TTestPower().solve_power(0.25, power=0.8, alpha=0.05) * np.pi / 3
    for seed in range(6):
        pilot = np.random.default_rng(seed).normal(0, 1, 20)
        population = population_of(0.06 * pilot / pilot.std(ddof=1))
        curve = power_curves(population, [Goal(DIFFERENCE, 0.015)], [1], 0.05, patients=(50, 90, 130, 200, 300))
        needed = patients_needed(curve["patients"].tolist(), curve["power"].tolist(), 0.8)
        assert needed == pytest.approx(exact, rel=0.4), "unsmoothed draws gave 69 to 255 instead of 134"


def test_the_number_of_patients_reaches_the_requested_power() -> None:
    t_power = TTestPower()
    patients = [10, 30, 60, 100]
    power = [t_power.power(0.4, number, 0.05) for number in patients]
    exact = t_power.solve_power(0.4, power=0.8, alpha=0.05)
    assert patients_needed(patients, power, 0.8) == pytest.approx(exact, abs=1.5)
    assert patients_needed(patients, power, 0.1) == 10 and patients_needed(patients, power, 0.999) is None


def pilot_file(folder: Path, seeds: bool = False, patients: int = 30) -> Path:
    """Write cases.csv of A and B. Their differences have standard deviations of .05 (whole) and .08 (core)."""
    random = np.random.default_rng(4)
    rows = []
    for region, sd in (("whole", 0.05), ("core", 0.08)):
        noise = random.normal(0, 1, patients)
        noise = (noise - noise.mean()) / (noise.std(ddof=1) if patients > 1 else 1)
        for number, value in enumerate(noise):
            keys = {"patient": f"p{number}", "case": f"c{number:02d}", "region": region}
            rows += [{"method": "A", **keys, "Dice": 0.6 + sd * value, "HD95_mm": 5 + value},
                     {"method": "B", **keys, "Dice": 0.6, "HD95_mm": 5.0}]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)
    if seeds:
        means = {"A": [0.59, 0.60, 0.61], "B": [0.6, 0.62]}
        pd.DataFrame(
            [{"method": method, "seed": seed, "region": region, "Dice": value}
             for method, region in itertools.product(means, ("whole", "core"))
             for seed, value in enumerate(means[method])]
        ).to_csv(folder / "seeds.csv", index=False)  # fmt: skip
    return folder / "cases.csv"


def test_reading_a_pilot_returns_standard_deviations_of_differences_and_seeds(tmp_path: Path) -> None:
    pilot = read_pilot(pilot_file(tmp_path))
    assert (pilot.methods, pilot.score, pilot.region, pilot.seed_sd) == (("A", "B"), "Dice", "core", None)
    assert pilot.sds == {"whole": pytest.approx(0.05), "core": pytest.approx(0.08)}
    turned = read_pilot(tmp_path / "cases.csv", ["B", "A"], "hd95", "whole")
    assert turned.score == "HD95_mm" and turned.sds[turned.region] == pytest.approx(1)
    # squares of A .0002, of B .0002, three degrees of freedom
    assert read_pilot(pilot_file(tmp_path, seeds=True)).seed_sd == pytest.approx(np.sqrt(0.0004 / 3))


def test_a_pilot_averages_the_scans_of_one_patient(tmp_path: Path) -> None:
    cases = pd.read_csv(pilot_file(tmp_path))
    cases["patient"] = cases["case"].str[1:].astype(int) // 2
    cases.to_csv(tmp_path / "cases.csv", index=False)
    assert len(read_pilot(tmp_path / "cases.csv").differences) == 15


def test_a_plan_lists_trainings_hours_and_assumptions(tmp_path: Path) -> None:
    questions = planning.Questions(differences=[0.05], margins=[0.03], folds=5, hours=12)
    plan = planning.plan(pilot_file(tmp_path, seeds=True), questions=questions)
    assert plan.table["seeds"].tolist() == [3, 5, 10] * 2
    assert plan.table["trainings"].tolist() == [30, 50, 100] * 2
    assert plan.table["gpu_hours"].tolist() == [360, 600, 1200] * 2
    text = plan.markdown()
    assert "Dice of the core: the differences A - B of 30 patients have a standard deviation of 0.08" in text
    assert "p < 0.05 / 2" in text and "Other regions: whole 0.05" in text
    # the textbook's interval of a standard deviation: √(29 · .08² / χ²) = .0637 and .1075
    assert "standard deviation is 0.064 to 0.11 (of normal differences)" in text
    same, other = (planning.plan(tmp_path / "cases.csv", questions=each).curves for each in (
        questions, planning.Questions(differences=[0.05], margins=[0.03], hours=12, seed=1)))  # fmt: skip
    assert same.equals(plan.curves) and not other.equals(plan.curves)


def test_a_plan_agrees_with_the_power_of_the_t_test(tmp_path: Path) -> None:
    """For normal differences with a standard deviation of .06, the size solves the power of the t-test, times π / 3."""
    plan = planning.plan(sd=0.06, questions=planning.Questions(differences=[0.01, 0.02, 0.05]))
    exact = [TTestPower().solve_power(size / 0.06, power=0.8, alpha=0.05) * np.pi / 3 for size in (0.01, 0.02, 0.05)]
    np.testing.assert_allclose(plan.table["patients"][:3].astype(float), exact, rtol=0.04, atol=1)
    assert plan.table["to_show"].tolist() == ["difference"] * 3 + ["equivalence"]
    never = planning.plan(sd=0.06, seed_sd=0.03, questions=planning.Questions(differences=[0.02], seeds=[3]))
    assert never.table["patients"].isna().all() and "> 1000 (power 0." in never.markdown()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the cases.csv of a comparison, or --sd"),
        (["CASES", "--sd", "0.1"], "or --sd, not both"),
        (["--sd", "0"], "--sd is 0, and a standard deviation is above 0"),
        (["--sd", "nan"], "--sd is nan, and"),
        (["--sd", "0.1", "--seed-sd", "-0.1"], "--seed-sd is -0.1, and a standard deviation is 0 or more"),
        (["--sd", "0.1", "--region", "core"], "--methods and --region choose from a pilot"),
        (["--sd", "0.1", "--seeds", "3"], "--seeds is 3, and the scatter of seeds is unknown. Give --seed-sd"),
        (["--sd", "0.1", "--seeds", "0"], "--seeds takes numbers 1 or more, not 0"),
        (["--sd", "0.1", "-k", "1"], "-k takes numbers 2 or more, not 1"),
        (["--sd", "0.1", "--differences", "0.1", "0"], "--differences takes numbers above 0, not 0"),
        (["--sd", "0.1", "--margin", "inf"], "--margin takes numbers above 0, not inf"),
        (["--sd", "0.1", "--power", "80"], "--power takes numbers above 0.05 and below 1, not 80"),
        (["--sd", "0.1", "--hours-per-training", "0"], "--hours-per-training takes numbers above 0, not 0"),
        (["--sd", "0.1", "--comparisons", "0"], "--comparisons takes numbers 1 or more, not 0"),
        (["--sd", "2", "--score", "HD95_mm"], "HD95_mm is no share: give --differences or --margin in its unit"),
        (["CASES", "--methods", "A", "C"], "cases.csv has no method 'C'; --methods takes two of A, B"),
        (["CASES", "--methods", "A"], "a plan is about two methods; --methods takes two of A, B"),
        (["CASES", "--score", "Jaccard"], "cases.csv has no score 'Jaccard'; --score takes a column of it: method"),
        (["CASES", "--score", "patient"], "patient of c00 is 'p0', and must be a number"),
        (["CASES", "--region", "edema"], "cases.csv has no region 'edema' of both methods; --region takes whole, core"),
        (["missing.csv"], "missing.csv"),
    ],
)
def test_power_refuses_unsuitable_options(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [str(pilot_file(tmp_path)) if argument == "CASES" else argument for argument in arguments]
    status, said = printed(monkeypatch, capsys, "power", *given)
    assert status == 1 and message in said, said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cases: cases[cases["method"] == "A"], "has one method, A, and a plan needs two"),
        (lambda cases: cases[cases["patient"] == "p0"], "a standard deviation needs two patients or more"),
        (
            lambda cases: cases.drop(columns=["method", "region"]),
            "no column method and no column region. Give the file",
        ),
        (lambda cases: cases.assign(Dice="high"), "Dice of c00 is 'high', and must be a number"),
        (lambda cases: cases.assign(Dice=0.5), "differs by the same amount in all patients"),
        (lambda cases: cases.assign(Dice=np.nan), "a standard deviation needs two patients or more"),
        (lambda cases: pd.concat([cases, cases[:1]]), "has the case c00 twice"),
    ],
)
def test_power_refuses_a_file_that_is_no_pilot(change, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = pilot_file(tmp_path)
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"cases.csv.*{message}"):
        read_pilot(path)


def test_a_pilot_refuses_damaged_seeds_and_ignores_seeds_of_other_methods(tmp_path: Path) -> None:
    path = pilot_file(tmp_path, seeds=True)
    seeds = pd.read_csv(tmp_path / "seeds.csv")
    seeds.assign(method="C").to_csv(tmp_path / "seeds.csv", index=False)
    assert read_pilot(path).seed_sd is None
    seeds.assign(Dice="x").to_csv(tmp_path / "seeds.csv", index=False)
    with pytest.raises(InputError, match="seeds.csv: Dice of A is 'x', and must be a number"):
        read_pilot(path)


def test_power_writes_and_replaces_only_its_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = pilot_file(tmp_path, seeds=True), tmp_path / "plan"
    arguments = ["power", str(path), "--methods", "A", "B", "--differences", "0.05", "--margin", "0.03", "0.04"]
    arguments += ["--seeds", "1", "3", "--hours-per-training", "2", "-o", str(output)]
    monkeypatch.setattr("sys.argv", ["segan_nnunet", *arguments])
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        assert "| equivalence within 0.04 Dice | 3 |" in capsys.readouterr().out
    names = {"plan.md", "plan.csv", "power.csv", "power.png", "power.pdf"}
    assert {file.name for file in output.iterdir()} == names
    assert list(pd.read_csv(output / "plan.csv")) == planning.COLUMNS
    (output / "plan.csv").write_text("mine\n")
    status, said = printed(monkeypatch, capsys, *arguments)
    assert status == 1 and "plan.csv" in said and (output / "plan.csv").read_text() == "mine\n"
