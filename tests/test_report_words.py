"""The report's sentences: its conclusion, the differences of each pair of methods, and the ranking. Values by hand."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segan_nnunet.evaluation.conclusions import Conclusions
from segan_nnunet.evaluation.methods.methods_on_cases import Folders, compared_folders
from segan_nnunet.evaluation.presentation.conclusion import conclusion, name_methods, ranking_sentence
from segan_nnunet.evaluation.presentation.report.page import breakable, decimals
from segan_nnunet.evaluation.presentation.report.rows import summary_rows
from segan_nnunet.evaluation.presentation.table import mean_text
from segan_nnunet.evaluation.scores.definitions import Hd95, Lesions, Measures
from segan_nnunet.evaluation.scores.measurement import measure
from segan_nnunet.evaluation.scores.scores import DICE, HD95, add_scores
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.evaluation.statistics.paired import PRIMARY
from segan_nnunet.evaluation.statistics.sentences import sentences
from tests.hand_made_results import cubes, write_folder

pytestmark = pytest.mark.usefixtures("quick_correction")

TRUTH, LESS, EMPTY = cubes(4, 3), cubes(3, 2), cubes()
# Dice of cubes of 4 against 3 voxels, and of 3 against 2: 2 * 27 / (64 + 27) and 2 * 8 / (27 + 8)
WHOLE, CORE = 54 / 91, 16 / 35


def conclude(folder: Path, predictions: Mapping[str, np.ndarray], cases: int = 12) -> Conclusions:
    """Compare methods that each predict one volume for all cases. The references are one volume too."""
    names = [f"c{number}" for number in range(cases)]
    truth = write_folder(folder / "truth", dict.fromkeys(names, TRUTH))
    folders = {name: write_folder(folder / name, dict.fromkeys(names, mask)) for name, mask in predictions.items()}
    compared = compared_folders(None, Folders(folders, truth), False)
    measures = Measures(Hd95.POOLED, lesions=Lesions.BRATS_2026)
    settings = Settings(processes=1, measures=measures).resolved(list(compared.methods), compared.labelling)
    scores = add_scores(measure(compared.cases, compared.labelling, 1, settings.measures), settings.policy)
    return Conclusions(compared, compared.complete(scores), settings)


def test_the_conclusion_of_two_methods_has_three_sentences(tmp_path: Path) -> None:
    conclusions = conclude(tmp_path, {"A": TRUTH, "B": LESS})
    first, second, third = conclusion(conclusions)
    assert first == (
        f"Primary endpoint: B is significantly worse than A in Dice of whole tumor (−{1 - WHOLE:.3f}) and tumor core "
        f"(−{1 - CORE:.3f})."
    )
    # two regions each: two other scores of Table 1, four further ones, NSD twice, seven of lesions, four of detection
    assert "of the 38 exploratory comparisons are significant: B is worse than A in Sensitivity, HD95 (mm)" in second
    assert third == "This rests on 12 cases, which are few, and on one training (or one set of predictions) of A and B."


def test_the_conclusion_of_one_method_states_its_means(tmp_path: Path) -> None:
    first, second, _ = conclusion(conclude(tmp_path, {"B": LESS}, 3))
    assert first == f"Means of B: Dice of whole tumor {WHOLE:.3f}, Dice of tumor core {CORE:.3f}."
    assert second == "There is only one method, so nothing is compared."


def test_the_conclusion_of_many_methods_counts_comparisons(tmp_path: Path) -> None:
    conclusions = conclude(tmp_path, {"A": TRUTH, "B": LESS, "C": LESS, "D": EMPTY, "E": cubes(2, 1)})
    first, second, _ = conclusion(conclusions)
    assert first.startswith("Primary endpoint: 8 of 8 comparisons are significant")
    assert second.endswith("exploratory comparisons are significant.")
    assert name_methods(["A", "B", "C", "D"]) == "A, B, C and D"
    assert name_methods(["A", "B", "C", "D", "E"]) == "A, B, C and 2 other methods"


def test_the_sentences_name_every_score_once_per_pair(tmp_path: Path) -> None:
    conclusions = conclude(tmp_path, {"A": TRUTH, "B": LESS})
    said = sentences(conclusions.tests[conclusions.tests["family"] != PRIMARY], conclusions.shown_scores)
    assert len(said) == 1 and said[0].startswith("B is significantly worse than A in Sensitivity of all regions; ")
    worse, rest = said[0].split(". It does not differ significantly from it in ")
    assert "HD95 (mm) of all regions" in worse and "Lesion-wise Dice of all regions" in worse
    # the core's IoU is below 0.5, so that no lesion is matched and SQ is undefined
    assert rest == (
        "Precision, Specificity, Found lesions, Missed lesions, False lesions, Lesion F1. It has no case in common "
        "with it that defines SQ."
    )


def test_the_ranking_sentence_lists_mean_ranks_and_neighbours(tmp_path: Path) -> None:
    ranking = conclude(tmp_path, {"A": TRUTH, "B": LESS, "E": TRUTH}).ranking
    assert ranking
    order, neighbours = ranking_sentence(ranking).split(". ")
    assert order == "Mean ranks, from the best: A 1.50, E 1.50, B 3.00", "A and E share the ranks 1 and 2"
    assert neighbours == "Of neighbours, E and B differ significantly; A and E do not."


def test_means_in_the_report_have_titles_and_decimals(tmp_path: Path) -> None:
    conclusions = conclude(tmp_path, {"B": LESS})
    rows = {tuple(row[1:3]): row for row in summary_rows(conclusions.summary, conclusions.shown_scores)}
    assert rows["Dice", "whole tumor"][3:5] == ["12", f"{WHOLE:.3f} [{WHOLE:.3f}, {WHOLE:.3f}]"]
    assert rows["Missed lesions", "tumor core"][4] == "0.00 [0.00, 0.00]"
    assert not any("_" in title for title, _ in rows)


def test_distances_show_their_standard_deviation_in_brackets() -> None:
    row = pd.Series({"mean": 0.1, "sd": 0.3})
    assert mean_text(row, DICE, spread=True) == "0.100 ± 0.300"
    assert mean_text(row, HD95, spread=True) == "0.10 (SD 0.30)"


def test_names_break_between_words_and_whole_numbers_have_no_decimals() -> None:
    assert breakable("SegANTrainer_<b> (nnUNetPlans)") == "SegAN<wbr>Trainer_<wbr>&lt;b&gt; (nnUNet<wbr>Plans)"
    assert decimals(pd.Series([0.0, 3.0, np.nan]), HD95) == 0 and decimals(pd.Series([0.5, 3.0]), HD95) == 2
