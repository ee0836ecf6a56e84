"""The conclusions of `compare`: directions, families, single trainings and dominating cases."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from segan_nnunet.evaluation.presentation.report.rows import comparison_rows
from segan_nnunet.evaluation.presentation.table import build_table, latex, markdown
from segan_nnunet.evaluation.scores.scores import FURTHER, HD95, SCORES, TABLE_1, VOLUMES
from segan_nnunet.evaluation.scores.seeds import UNSEEDED
from segan_nnunet.evaluation.statistics.paired import BETTER, DISAGREE, SINGLE_TRAINING_TEST, WORSE
from segan_nnunet.evaluation.statistics.ranking import rank
from segan_nnunet.evaluation.statistics.seed_level import estimate
from segan_nnunet.evaluation.statistics.sentences import count_findings, family_note
from segan_nnunet.evaluation.statistics.summary import summarise
from tests.hand_made_scores import paired_tests, primary_sentences

pytestmark = pytest.mark.usefixtures("quick_correction")
REPETITIONS = 600
THREE_DEVIATIONS = 3 * np.sqrt(0.05 * 0.95 / REPETITIONS)  # of a rate of 5 %


def scores_of(values: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return scores of one region. All scores of a case are equal, except that HD95 and volumes are reversed."""
    rows = []
    for method, of_method in values.items():
        for index, value in enumerate(of_method):
            row = {score.column: value if score.higher_is_better else 100 * (1 - value) for score in SCORES}
            rows.append({"method": method, "case": f"c{index:02d}", "region": "whole", "grade": "", **row})
    return pd.DataFrame(rows)


def usually_better(number: int = 20) -> dict[str, np.ndarray]:
    """B is better than C by .01 in all cases except one. B fails there, so its mean is worse."""
    c = np.linspace(0.8, 0.95, number)
    b = c + 0.01
    b[3] = 0.0
    return {"C": c, "B": b}


@pytest.mark.parametrize("baseline", ["B", "C"])
def test_no_method_is_called_better_if_ranks_and_mean_disagree(baseline: str) -> None:
    scores = scores_of(usually_better())
    tests = paired_tests(scores, baseline)
    assert set(tests["verdict"]) == {DISAGREE}, "also of HD95 and volumes, where lower is better"
    said = primary_sentences(tests, ["whole"])
    assert len(said) == 1 and "ranks and mean disagree, because B is usually better and sometimes fails" in said[0]
    assert "significantly better" not in said[0] and "significantly worse" not in said[0]
    table = build_table("T", summarise(scores), tests, TABLE_1, ["whole"])
    text = markdown(table)
    assert "**" not in text, "nothing is bold where the mark stands"
    assert {cell.mark for row in table.rows for cell in row.cells} == {"", "§", "(§)"}
    assert count_findings(tests).endswith("after Holm's correction): 1 where mean and ranks disagree.")


def test_every_significant_result_has_a_direction() -> None:
    base = np.linspace(0.5, 0.9, 20)
    scores = scores_of({"base": base, "up": base + 0.02, "down": base - 0.02, "same": base[::-1]})
    tests = paired_tests(scores, "base").set_index(["method", "score"])["verdict"]
    assert not {score.column for score in VOLUMES} & set(tests.index.get_level_values("score")), "without direction"
    for score in TABLE_1 + FURTHER:
        assert tests["up", score.column] == BETTER and tests["down", score.column] == WORSE
        assert tests["same", score.column] == ""
    said = " ".join(primary_sentences(paired_tests(scores, "base"), ["whole"]))
    assert "up is significantly better than base" in said and "down is significantly worse than base" in said
    text = markdown(build_table("T", summarise(scores), paired_tests(scores, "base"), TABLE_1, ["whole"]))
    assert "| up | **0.720**† |" in text and "| down | 0.680‡ |" in text and "| same | 0.700 |" in text


def test_comparisons_of_all_pairs_count_no_directions() -> None:
    """With all pairs, "better" has no reference method. With one baseline the count names it."""
    base = np.linspace(0.5, 0.9, 20)
    scores = scores_of({"base": base, "up": base + 0.02, "down": base - 0.02})
    assert count_findings(paired_tests(scores, "base")).endswith("correction): 1 better than base, 1 worse than base.")
    assert count_findings(paired_tests(scores, "base", all_pairs=True)).endswith("Holm's correction).")
    pairs = scores_of(usually_better() | {"base": base - 0.3})
    assert count_findings(paired_tests(pairs, "base", all_pairs=True)).endswith("1 where mean and ranks disagree.")


def test_latex_does_not_read_a_method_name_as_an_argument() -> None:
    """After the end of a row LaTeX reads [x] as a length and * as a starred command."""
    base = np.linspace(0.5, 0.9, 12)
    scores = scores_of({"[12]": base, "*ours*": base + 0.02, "nnU-Net [13]": base})
    text = latex(build_table("T", summarise(scores), paired_tests(scores, "[12]"), TABLE_1, ["whole"]), "c", "l")
    rows = [line.split(" &")[0] for line in text.splitlines() if line.endswith(r"\\")]
    assert {"{}[12]", "{}*ours*", "nnU-Net [13]"} <= set(rows)


def test_the_ranking_marks_pairs_with_opposite_means() -> None:
    ranking = rank(scores_of(usually_better()))
    assert [pair[:2] for pair in ranking.disagreements] == [("B", "C")]
    assert ranking.disagree(0, 1) and ranking.disagree(1, 0)
    assert any(note.startswith("§ B ranks significantly better than C") for note in ranking.notes)
    assert dict(zip(ranking.table["method"], ranking.table["better_mean_than_rank"], strict=True)) == {
        "B": "",
        "C": "B",
    }
    clear = np.linspace(0.5, 0.9, 20)
    assert not rank(scores_of({"A": clear + 0.05, "B": clear})).disagreements


def test_a_mean_that_disagrees_with_the_ranks_is_marked() -> None:
    """With 10 % failures and equal true means, ranks find the usually better method; the sign of the mean is random."""
    random = np.random.default_rng(0)
    verdicts = []
    for _ in range(25):
        c = random.beta(30, 3, 20)
        b = c + c.mean() * 0.1 / 0.9 + random.normal(0, 0.01, 20)
        b[random.random(20) < 0.1] = 0
        row = paired_tests(scores_of({"C": c, "B": b.clip(max=1)}), "C").iloc[0]
        if row["verdict"]:
            assert (row["verdict"] == DISAGREE) == (np.sign(row["difference"]) != np.sign(row["effect"]))
            verdicts.append(row["verdict"])
    assert len(verdicts) > 10 and set(verdicts) == {BETTER, DISAGREE}


def test_the_primary_endpoint_is_one_family_and_other_scores_are_exploratory() -> None:
    random = np.random.default_rng(1)
    base = random.beta(8, 2, 20)
    gains = {"A": 0.0, "B": 0.02}
    scores = pd.concat(
        scores_of({name: (base + gain + random.normal(0, 0.02, 20)).clip(0, 1) for name, gain in gains.items()}).assign(
            region=region
        )
        for region in ("whole", "core", "enhancing")
    )
    for primary, size in ((["Dice"], 3), (["HD95_mm"], 3), (["Dice", "HD95_mm"], 6)):
        tests = paired_tests(scores, "A", primary=primary)
        family = tests[tests["family"] == "primary"].sort_values("p")
        assert set(family["score"]) == set(primary) and len(family) == size
        by_hand = np.maximum.accumulate(family["p"].to_numpy() * np.arange(size, 0, -1)).clip(max=1)
        np.testing.assert_allclose(family["p_holm"], by_hand)
        assert f"the {size} comparisons with A" in family_note(tests, SCORES)
        said = primary_sentences(tests, ["whole", "core", "enhancing"])
        titles = {"Dice": "Dice of ", "HD95_mm": "HD95 (mm) of "}
        assert len(said) == 1, "one pair of methods"
        assert [title in said[0] for title in titles.values()] == [column in primary for column in titles]
    graded = scores.assign(grade=np.where(scores["case"] < "c10", "HGG", "LGG"))
    of_grade = paired_tests(graded, "A")
    assert set(of_grade.loc[of_grade["family"] == "primary", "stratum"]) == {"all"}, "grades are exploratory"


def test_the_test_of_one_training_against_several_seeds_errs_in_5_percent() -> None:
    """A single training has a seed variance too. The variance of the other method's seeds replaces it."""
    random = np.random.default_rng(2)
    for units, scatter in itertools.product((10, 50), (0.009, 0.045)):
        wrong, covered = 0, 0
        for _ in range(REPETITIONS):
            of_unit = random.normal(0.8, 0.1, units)
            seeded, single = (
                of_unit + random.normal(0, scatter, (seeds, 1)) + random.normal(0, 0.03, (seeds, units))
                for seeds in (3, 1)
            )
            result = estimate(seeded, single)
            low, high = result.interval()
            wrong += result.p() < 0.05
            covered += low <= 0 <= high
        assert wrong / REPETITIONS <= 0.05 + THREE_DEVIATIONS, (units, scatter)
        assert covered / REPETITIONS >= 0.95 - THREE_DEVIATIONS, (units, scatter)


def test_the_variance_of_one_training_equals_the_value_computed_by_hand() -> None:
    """The means of two seeds differ by .2, against one training without other variance: error² = .02 (1/2 + 1)."""
    of_unit = np.linspace(0.1, 0.9, 12)
    seeded, single = np.array([of_unit - 0.1, of_unit + 0.1]), of_unit[None] - 0.05
    result = estimate(seeded, single)
    assert result.mean == pytest.approx(0.05)
    assert result.error == pytest.approx(np.sqrt(0.02 * 1.5)) and result.freedom == pytest.approx(1)
    assert result.p() == pytest.approx(2 * stats.t.sf(0.05 / np.sqrt(0.03), 1))
    assert estimate(single, seeded).error == pytest.approx(result.error)
    of_seeds = pd.concat(
        scores_of({"A": row.clip(0, 1)}).assign(seed=seed) for seed, row in enumerate(seeded)
    )  # fmt: skip
    both = pd.concat([of_seeds, scores_of({"B": single[0]}).assign(seed=UNSEEDED)])
    assert set(paired_tests(both, "B")["test"]) == {SINGLE_TRAINING_TEST}


def test_a_note_names_a_case_that_dominates_a_mean() -> None:
    values = np.full(20, 0.94) + np.linspace(-0.02, 0.02, 20)
    one = values.copy()
    one[7] = 0.0
    scores = scores_of({"A": values, "B": one})
    row = summarise(scores).set_index(["method", "score"]).loc[("B", "Dice")]
    assert row["dominated_by"] == "c07" and row["mean_without"] == pytest.approx(np.delete(one, 7).mean())
    summary = summarise(scores).set_index(["method", "score"])
    assert (summary.loc["A", "dominated_by"] == "").all(), "an even spread has no such case"
    tests = paired_tests(scores, "A")
    assert tests.iloc[0]["dominated_by"] == "c07" and tests.iloc[0]["difference_without"] == pytest.approx(0)
    rows = comparison_rows(tests, SCORES)["B compared with A"]
    assert rows[0][0] == "Dice, whole" and rows[0][-1].endswith("0.000 without c07")
    text = markdown(build_table("T", summarise(scores), tests, TABLE_1, ["whole"]))
    assert "B without c07: Dice whole 0.940 instead of 0.893, median 0.940 [" in text
    two = one.copy()
    two[8] = 0.0
    assert summarise(scores_of({"B": two})).iloc[0]["dominated_by"] == "c07, c08"
    three = two.copy()
    three[9] = 0.0
    assert summarise(scores_of({"B": three})).iloc[0]["dominated_by"] == "", "three of twenty are no exception"


def test_seed_intervals_stay_inside_the_range_of_the_score() -> None:
    random = np.random.default_rng(3)
    for score in (TABLE_1[0], HD95, FURTHER[-1]):
        near_the_end = random.beta(40, 1, (3, 12)) if score.high == 1 else random.exponential(1, (3, 12))
        near_the_end *= np.array([[0.3], [1], [1]]) if score.high == 1 else np.array([[0.01], [0.1], [5]])
        low, high = estimate(near_the_end).interval(score.low, score.high)
        assert score.low <= low < near_the_end.mean() < high <= score.high
        plain = estimate(near_the_end).interval()
        assert plain[0] < score.low or plain[1] > score.high, "the interval without a range leaves it"
