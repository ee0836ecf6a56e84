"""Equivalence and non-inferiority within a margin: by hand, with statsmodels, by simulation, and in `compare`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.weightstats import ttost_paired

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.presentation.figures.equivalence import equivalence_figure
from segan_nnunet.evaluation.scores.scores import DICE, HD95, SCORES, TABLE_1
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.evaluation.statistics.equivalence import (
    AS_GOOD,
    NOT_SHOWN,
    NOT_WORSE,
    add_equivalence,
    check_margin,
    equivalence_p,
    has_margin,
    p_above,
)
from segan_nnunet.evaluation.statistics.seed_level import estimate
from segan_nnunet.evaluation.statistics.sentences import equivalence_notes
from tests.hand_made_results import cubes, write_folder
from tests.hand_made_scores import REGIONS, paired_tests, primary_sentences, scores_of
from tests.test_option_values import printed

pytestmark = pytest.mark.usefixtures("quick_correction")
MARGIN = 0.02


def with_equivalence(ours: np.ndarray, theirs: np.ndarray, margin: float = MARGIN) -> pd.DataFrame:
    scores = scores_of({"B": list(theirs), "A": list(ours)})
    return add_equivalence(paired_tests(scores, "B"), margin, SCORES, [DICE.column])


def test_two_one_sided_tests_equal_values_computed_by_hand() -> None:
    """Differences .00, .01, .02, .01: mean .01, variance .0002 / 3, error .0040825, three degrees of freedom."""
    result = estimate(np.array([[0.5, 0.51, 0.52, 0.51]]), np.full((1, 4), 0.5))
    assert result.error == pytest.approx(np.sqrt(0.0002 / 3 / 4))
    # (.03 - .01) / .0040825 = 4.899 and (.03 + .01) / .0040825 = 9.798; the larger p is that of 4.899
    # P(T_3 > t) = 1/2 - (θ + sin θ cos θ) / π with tan θ = t / √3, here t / √3 = √8
    angle = np.arctan(np.sqrt(8))
    p = 0.5 - (angle + np.sin(angle) * np.cos(angle)) / np.pi
    assert equivalence_p(result.mean, result.error, result.freedom, 0.03) == pytest.approx(p)
    assert p_above(result.mean + 0.03, result.error, result.freedom) < p


@pytest.mark.parametrize("shift", [-0.015, 0.0, 0.01, 0.05])
def test_the_equivalence_p_equals_that_of_statsmodels(shift: float) -> None:
    random = np.random.default_rng(3)
    theirs = random.uniform(0.5, 0.8, 24)
    ours = theirs + shift + random.normal(0, 0.03, 24)
    p, lower, upper = ttost_paired(ours, theirs, -MARGIN, MARGIN)
    row = with_equivalence(ours, theirs).iloc[0]
    assert (row["score"], row["p_equivalence"]) == ("Dice", pytest.approx(p))
    assert row["p_noninferiority"] == pytest.approx(lower[1])
    assert row["p_equivalence"] == pytest.approx(max(lower[1], upper[1]))


def test_p_is_below_5_percent_if_the_90_percent_interval_lies_within_the_margin() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        result = estimate(random.normal(random.uniform(-0.03, 0.03), 0.04, (1, 20)))
        low, high = result.interval(confidence=0.9)
        p = equivalence_p(result.mean, result.error, result.freedom, MARGIN)
        assert (p < 0.05) == (-MARGIN < low and high < MARGIN)


def test_certain_differences_are_decided_and_undefined_differences_are_not() -> None:
    assert p_above([0.01, 0.0, -0.01], [0.0, 0.0, 0.0], 9).tolist() == [0, 1, 1]
    assert np.isnan(p_above(0.01, np.nan, np.nan))
    values = np.linspace(0.5, 0.8, 12)
    row = with_equivalence(values, values).iloc[0]
    assert (row["p_equivalence"], row["equivalence"]) == (0, AS_GOOD), "the same predictions are as good"


@pytest.mark.parametrize("scatter", [(0.0, 0.05), (0.01, 0.05)])
def test_the_equivalence_test_errs_in_5_percent_at_the_margin(scatter: tuple[float, float]) -> None:
    """If the true difference equals the margin, the test errs in 5 % at most, over units and over seeds and units."""
    random = np.random.default_rng(1)
    of_seed, of_unit = scatter
    seeds = 3 if of_seed else 1
    repetitions = 1000
    errors = 0
    for _ in range(repetitions):
        ours = MARGIN + random.normal(0, of_seed, (seeds, 1)) + random.normal(0, of_unit / 3, 50)
        result = estimate(ours, random.normal(0, of_seed, (seeds, 1)) + np.zeros(50))
        errors += float(equivalence_p(result.mean, result.error, result.freedom, MARGIN)) < 0.05
    assert errors / repetitions <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repetitions)
    if not of_seed:
        assert errors / repetitions >= 0.05 - 3 * np.sqrt(0.05 * 0.95 / repetitions), "nor is it too strict"


@pytest.mark.parametrize(
    ("shift", "spread", "verdict", "sentence"),
    [
        (0.002, 0.02, AS_GOOD, "as good as B within 0.02 Dice in whole tumor (90 % interval "),
        (0.05, 0.02, NOT_WORSE, "not worse than B by more than 0.02 Dice in whole tumor (90 % interval +0.0"),
        (-0.05, 0.02, NOT_SHOWN, "is not shown to be as good as B within 0.02 Dice in whole tumor (90 % interval −0.0"),
        (0.0, 0.2, NOT_SHOWN, "is not shown to be as good as B within 0.02 Dice"),
    ],
)
def test_every_verdict_has_its_sentence(shift: float, spread: float, verdict: str, sentence: str) -> None:
    random = np.random.default_rng(5)
    theirs = random.uniform(0.4, 0.6, 30)
    noise = random.normal(0, 1, 30)
    tests = with_equivalence(theirs + shift + spread * (noise - noise.mean()) / noise.std(), theirs)
    primary = tests[tests["family"] == "primary"]
    assert set(primary["equivalence"]) == {verdict}
    assert sentence in primary_sentences(tests)[0]
    assert equivalence_notes(tests, SCORES) == [
        "Equivalence within a margin of 0.02 (two one-sided t-tests with Holm's correction over the primary endpoint, "
        f"and the 90 % interval): Dice of A against B is {verdict}: {', '.join(REGIONS)}."
    ]
    # three equal p: Holm's first step multiplies by three
    assert primary["p_equivalence_holm"].tolist() == pytest.approx(np.minimum(primary["p_equivalence"] * 3, 1))


def test_the_margin_applies_to_overlaps_of_the_primary_endpoint_but_not_to_distances() -> None:
    specificity = next(score for score in SCORES if score.column == "Specificity")
    assert all(has_margin(score, []) for score in TABLE_1)
    assert not has_margin(HD95, [HD95.column]) and not has_margin(specificity, [DICE.column])
    assert has_margin(specificity, [specificity.column])
    values = np.linspace(0.5, 0.8, 12)
    tests = with_equivalence(values, values)
    assert set(tests.loc[tests["equivalence"] != "", "score"]) == {score.column for score in TABLE_1}
    assert tests.loc[tests["score"] == "HD95_mm", "p_equivalence"].isna().all()
    assert "as good" not in primary_sentences(tests[tests["score"] == "HD95_mm"].assign(family="primary"))[0]


def test_the_picture_has_a_row_per_comparison_and_the_margin() -> None:
    values = np.linspace(0.5, 0.8, 12)
    scores = scores_of({"B": list(values), "A": list(values + 0.01 + np.linspace(0, 0.001, 12))})
    scores.loc[(scores["region"] == REGIONS[0]) & (scores["case"] < "c6"), "Sensitivity"] = np.nan  # five are few
    primary = ["Dice", "Sensitivity"]
    tests = add_equivalence(paired_tests(scores, "B", primary=primary), MARGIN, SCORES, primary)
    figure = equivalence_figure(tests, SCORES)
    assert figure is not None
    for axes, drawn in zip(figure.axes, ([0, 1, 2], [1, 2]), strict=True):
        assert [tick.get_text() for tick in axes.get_yticklabels()] == [f"A - B, {region}" for region in REGIONS]
        points = [line for line in axes.get_lines() if line.get_marker() == "o"]
        assert [float(np.ravel(line.get_ydata())[0]) for line in points] == drawn
        band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
        assert (band.x0, band.x1) == (pytest.approx(-MARGIN), pytest.approx(MARGIN))
    assert equivalence_figure(tests.assign(difference_low90=np.nan), SCORES) is None


def test_fewer_than_ten_units_give_no_verdict_of_equivalence() -> None:
    tests = with_equivalence(np.linspace(0.5, 0.8, 9), np.linspace(0.5, 0.8, 9))
    assert set(tests["equivalence"]) == {NOT_SHOWN, ""}
    assert "(fewer than 10 units have no 90 % interval)" in primary_sentences(tests)[0]


def test_equivalence_respects_scores_whose_low_values_are_better() -> None:
    """If a score is an error between 0 and 1, a method with higher values is worse."""
    error = DICE.__class__("Dice", "Error", higher_is_better=False)
    theirs = np.full(20, 0.3) + np.linspace(-0.01, 0.01, 20) ** 2
    for ours, verdict in ((theirs - 0.1 + np.linspace(0, 0.001, 20), NOT_WORSE), (theirs + 0.1, NOT_SHOWN)):
        scores = scores_of({"B": list(theirs), "A": list(ours)})
        tests = paired_tests(scores, "B", tables={"errors": [error]})
        assert set(add_equivalence(tests, MARGIN, [error], ["Dice"])["equivalence"]) == {verdict}


def test_equivalence_needs_a_second_method() -> None:
    tests = paired_tests(scores_of({"A": [0.5, 0.6]}), "A")
    assert add_equivalence(tests, MARGIN, SCORES, ["Dice"]).empty


@pytest.mark.parametrize("margin", [0, -0.02, 1, 1.5, float("nan"), "0.02", True])
def test_an_invalid_margin_is_refused(margin: object) -> None:
    with pytest.raises(InputError, match="--margin is .*, and must be a number above 0 and below 1.*Correct it"):
        check_margin(margin)  # type: ignore[arg-type]  # what a notebook may hand over
    with pytest.raises(InputError, match="--margin"):
        Settings(margin=margin).resolved(["A"], "")  # type: ignore[arg-type]


def test_compare_writes_the_equivalence_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from segan_nnunet.cli import main

    truth = {f"c{number:02d}": cubes(5 + number % 3, 3) for number in range(12)}
    write_folder(tmp_path / "truth", truth)
    for name in ("One", "Two"):
        write_folder(tmp_path / name, {case: cubes(5, 3) for case in truth})
    arguments = ["segan_nnunet", "compare", "--predictions", *(f"{name}={tmp_path / name}" for name in ("One", "Two"))]
    arguments += ["--reference", str(tmp_path / "truth"), "-o", str(tmp_path / "out"), "-np", "1"]
    (tmp_path / "settings.toml").write_text("margin = 0.5\n")  # before which the option goes
    monkeypatch.setattr("sys.argv", [*arguments, "--settings", str(tmp_path / "settings.toml"), "--margin", "0.02"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "Dice of Two against One is as good: whole tumor, tumor core." in capsys.readouterr().out
    assert "is as good as One within 0.02 Dice" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "equivalence.png").is_file()
    tests = pd.read_csv(tmp_path / "out" / "tests.csv")
    documented = Path("docs/evaluation.md").read_text(encoding="utf-8").split("| `tests.csv` | holds |")[1]
    assert all(f"`{column}`" in documented for column in tests.columns if column != "steps_ratio")
    assert set(tests.loc[tests["family"] == "primary", "margin"]) == {0.02}
    status, said = printed(monkeypatch, capsys, *arguments[1:], "--margin", "2")
    assert status == 1 and "--margin is 2.0, and must be a number above 0 and below 1" in said
    status, said = printed(monkeypatch, capsys, *arguments[1:], "--margin", "two")
    assert status == 2 and "--margin" in said
