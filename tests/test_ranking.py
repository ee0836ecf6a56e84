"""The ranking of many methods with ranks known by hand, and counts of missed and false regions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from segan_nnunet.evaluation.presentation.figures.ranking import ranking_figure
from segan_nnunet.evaluation.presentation.table import build_table, latex, markdown, ranking_markdown
from segan_nnunet.evaluation.scores.scores import TABLE_1
from segan_nnunet.evaluation.scores.seeds import UNSEEDED, seed_means
from segan_nnunet.evaluation.statistics.ranking import pair_p, rank, score_p, seed_ranks, unit_ranks
from segan_nnunet.evaluation.statistics.seed_level import by_method_and_seed
from segan_nnunet.evaluation.statistics.summary import missed_and_false, missed_note, summarise
from tests.hand_made_scores import REGIONS, paired_tests, scores_of

pytestmark = pytest.mark.usefixtures("quick_correction")

NAN = np.nan
REPETITIONS = 60


def test_ranks_equal_values_computed_by_hand() -> None:
    """High Dice and low HD95 are good. Equal values share a rank. Undefined values are last, and equal each other."""
    rows = [  # Dice and HD95 of A, B, C in three cases
        ("c0", (0.9, 0.8, 0.7), (3.0, 2.0, 1.0)),  # 1 2 3 and 3 2 1
        ("c1", (0.5, 0.5, 0.4), (NAN, 5.0, NAN)),  # 1.5 1.5 3 and 2.5 1 2.5
        ("c2", (NAN, NAN, NAN), (NAN, NAN, NAN)),  # 2 2 2 twice
    ]
    scores = pd.DataFrame(
        {"method": method, "case": case, "region": "whole", "Dice": dice[index], "HD95_mm": distance[index]}
        for index, method in enumerate("ABC")
        for case, dice, distance in rows
    )
    ranks = unit_ranks(scores)
    np.testing.assert_allclose(ranks.loc["c0"], [2, 2, 2])
    np.testing.assert_allclose(ranks.loc["c1"], [2, 1.25, 2.75])
    np.testing.assert_allclose(ranks.loc["c2"], [2, 2, 2])
    result = rank(scores)
    assert list(result.methods) == ["B", "A", "C"]
    np.testing.assert_allclose(result.mean_ranks, [1.75, 2, 2.25])
    # scans of one patient count once: c0 and c1 together, c2 alone
    patients = unit_ranks(scores.assign(patient=scores["case"].map({"c0": "p", "c1": "p", "c2": "q"})))
    np.testing.assert_allclose(patients.loc["p"], [2, 1.625, 2.375])


def of_dice(values: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return scores of one region. All scores of a case are equal, and distances are reversed."""
    return pd.DataFrame(
        {"method": method, "case": f"c{index:03d}", "region": "whole", "Dice": value, "HD95_mm": 1 - value}
        for method, of_method in values.items()
        for index, value in enumerate(of_method)
    )


def test_a_clear_winner_has_rank_1_and_equal_methods_share_both_other_ranks() -> None:
    random = np.random.default_rng(0)
    base = random.normal(0.7, 0.1, 60)
    gains = {"A": 0.0, "B": 0.05, "C": 0.0}
    result = rank(of_dice({name: base + random.normal(gain, 0.02, 60) for name, gain in gains.items()}))
    assert result.methods[0] == "B"
    np.testing.assert_allclose(result.places.sum(axis=1), 1)
    assert result.places[0, 0] == 1
    assert 0.02 < result.places[1, 2] < 0.98 and result.places[1, 0] == 0
    assert (result.p_holm[0, 1:] < 0.001).all() and result.p_holm[1, 2] > 0.05
    np.testing.assert_array_equal(result.p_holm, result.p_holm.T)
    assert (result.intervals[:, 0] <= result.mean_ranks).all() and (result.mean_ranks <= result.intervals[:, 1]).all()


def test_equal_methods_share_a_rank() -> None:
    same = np.linspace(0.2, 0.9, 12)
    result = rank(of_dice({"A": same, "B": same, "C": same - 0.1}))
    np.testing.assert_allclose(result.places, [[1, 0, 0], [1, 0, 0], [0, 0, 1]])
    assert result.p_holm[0, 1] == 1


def test_a_rank_due_to_one_seed_is_not_significant() -> None:
    random = np.random.default_rng(1)
    base = random.normal(0.7, 0.1, 60)
    for gains, is_significant in (([0.2, 0, 0, 0], False), ([0.05, 0.05, 0.05, 0.05], True)):
        seeds = {seed: base + gain + random.normal(0, 0.01, 60) for seed, gain in enumerate(gains)}
        of_seeds = [of_dice({"A": values}).assign(seed=seed) for seed, values in seeds.items()]
        others = {name: base + random.normal(0, 0.01, 60) for name in "BC"}
        scores = pd.concat([*of_seeds, of_dice(others).assign(seed=UNSEEDED)])
        alone, with_seeds = rank(seed_means(scores)), rank(scores)
        assert alone.methods[0] == with_seeds.methods[0] == "A"
        assert (alone.p_holm[0, 1:] < 0.05).all()
        assert (with_seeds.p_holm[0, 1:] < 0.05).all() == is_significant


@pytest.mark.parametrize("seeds", [(3, 1), (3, 3)])
def test_ranks_of_equal_trainers_with_seeds_do_not_differ_significantly(seeds: tuple[int, int]) -> None:
    """Seeds vary more than the noise of cases. By their ranks alone, three tenths of these pairs would differ."""
    random = np.random.default_rng(0)
    wrong = by_ranks = 0
    for _ in range(REPETITIONS):
        base = random.normal(0.8, 0.05, 20)
        trainings = {
            method: [base + random.normal(0, 0.03) + random.normal(0, 0.02, 20) for _ in range(number)]
            for method, number in zip("AB", seeds, strict=True)
        }
        scores = with_seeds(trainings).assign(HD95_mm=np.nan)
        p = pair_p(*(seed_ranks(scores, method) for method in "AB"))
        by_ranks += p < 0.05
        wrong += max(p, score_p([by_method_and_seed(scores, "Dice")], "A", "B", None)) < 0.05
    assert wrong / REPETITIONS <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / REPETITIONS)
    assert by_ranks / REPETITIONS > 0.15, "the ranks alone do not suffice"


def test_equal_ranks_of_all_seeds_are_not_significant_if_the_scores_scatter() -> None:
    """All seeds of A rank before B in every case, by .01 to .09. With 2 degrees, p of the scores is above .05."""
    base = np.linspace(0.5, 0.8, 20)
    scattered, alike = (
        with_seeds({"A": [base + gain for gain in gains], "B": [base]}).assign(HD95_mm=np.nan)
        for gains in ((0.01, 0.05, 0.09), (0.049, 0.05, 0.051))
    )
    assert rank(seed_means(scattered)).p_holm[0, 1] < 0.001, "without the seeds"
    assert rank(scattered).p_holm[0, 1] == pytest.approx(2 * stats.t.sf(0.05 / (0.04 * (4 / 3) ** 0.5), 2))
    assert rank(alike).p_holm[0, 1] < 0.01


def with_seeds(trainings: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """Return the scores of methods, each of one training or of several seeds."""
    return pd.concat(
        of_dice({method: values}).assign(seed=seed if len(each) > 1 else UNSEEDED)
        for method, each in trainings.items()
        for seed, values in enumerate(each)
    )


def test_the_ranking_is_written_as_text_and_as_a_picture() -> None:
    same = np.linspace(0.2, 0.9, 12)
    ranking = rank(of_dice({"A|1": same, "B": same - 0.05, "C": same - 0.1}))
    lines = ranking_markdown(ranking).splitlines()
    assert lines[0] == "| Method | Mean rank | 95 % interval | Place 1 | Place 2 | Place 3 |"
    assert lines[2] == r"| A\|1 | 1.00 | 1.00 to 1.00 | 100% | 0% | 0% |"
    # 12 equal differences: z = 78 / 2 / √(12 · 6.5² / 4) = 3.46, p = .00053, times the number of pairs
    assert lines[6] == r"| p after Holm | A\|1 | B | C |" and lines[9] == "| B | .002 | – | .002 |"
    assert list(ranking.table) == [
        "method", "mean_rank", "mean_rank_low", "mean_rank_high", "place_1", "place_2", "place_3",
        "p_holm A|1", "p_holm B", "p_holm C", "better_mean_than_rank",
    ]  # fmt: skip
    left, right = ranking_figure(ranking).axes
    assert [text.get_text() for text in left.texts] == ["100%", "", "", "", "100%", "", "", "", "100%"]
    assert [text.get_text() for text in right.texts][1] == ".002"


def counted(method: str, tp: int, fp: int, fn: int, **more: object) -> dict[str, object]:
    return {"method": method, "region": "core", "TP": tp, "FP": fp, "FN": fn, **more}


def test_the_ranking_counts_missed_and_false_regions() -> None:
    scores = pd.DataFrame([
        counted("A", 5, 0, 0, case="a"), counted("A", 0, 0, 3, case="b"), counted("A", 0, 2, 3, case="c"),
        counted("A", 0, 1, 0, case="d"), counted("A", 0, 0, 0, case="e"),
        *(counted("B", 0, 0, 0, case=case) for case in "abcde"),
    ])  # fmt: skip
    counts = missed_and_false(scores).set_index("method")
    assert counts.loc["A", ["present", "missed", "absent", "false"]].tolist() == [3, 1, 2, 1]
    assert missed_note(missed_and_false(scores)).endswith("in cases: A: core 1 of 3 missed, 1 of 2 false.")
    assert missed_note(missed_and_false(scores[scores["method"] == "B"])).startswith("No method missed a region")
    seeds = pd.DataFrame([counted("A", 1, 0, 1, case="a", seed=0), counted("A", 0, 0, 2, case="a", seed=1)])
    assert missed_and_false(seeds).iloc[0].tolist() == ["A", "core", 1, 0.5, 0, 0], "the mean over the seeds"


@pytest.mark.parametrize("spread", [False, True])
def test_the_table_shows_the_spread_only_on_request(spread: bool, tmp_path: Path) -> None:
    scores = scores_of({"A": [0.1, 0.2, 0.3, 0.4, 0.5], "B": [0.5]})
    table = build_table("T", summarise(scores), paired_tests(scores, "A"), TABLE_1, REGIONS, spread=spread)
    text = markdown(table)
    # the standard deviation of 1..5 is √2.5 = 1.5811, quartiles are 2 and 4
    assert ("| A | 0.300 ± 0.158 (5) |" in text) == spread
    assert ("| A, median | 0.300 [0.200, 0.400] |" in text) == spread
    assert "| B | 0.500 (1) |" in text, "one case has no standard deviation"
    assert (r"0.300 $\pm$ 0.158" in latex(table, "c", "l")) == spread
