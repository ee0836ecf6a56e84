"""Draw the pictures of a comparison, in PNG for the screen and PDF for print."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from segan_nnunet.evaluation.methods.methods_on_cases import Predictions
from segan_nnunet.evaluation.presentation.figures.bars import figure2
from segan_nnunet.evaluation.presentation.figures.curves import training_curves
from segan_nnunet.evaluation.presentation.figures.equivalence import equivalence_figure
from segan_nnunet.evaluation.presentation.figures.overlays import figure3
from segan_nnunet.evaluation.presentation.figures.points import distributions
from segan_nnunet.evaluation.presentation.figures.ranking import ranking_figure
from segan_nnunet.evaluation.presentation.figures.style import save
from segan_nnunet.evaluation.presentation.figures.volumes import volume_agreement
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase
from segan_nnunet.evaluation.scores.scores import DICE, HD95, Score
from segan_nnunet.evaluation.statistics.ranking import Ranking

CAPTIONS = {
    "figure2": "Mean Dice by region with its 95 % interval (the paper's Figure 2). A dash marks an undefined mean.",
    "distributions": "Dice and HD95 of every case. Each point is a case, the bar is the median, and the line spans the "
    "quartiles. A hollow point is a failure: the method missed the region, or predicted one that does not exist. The "
    "axis of distances is logarithmic where some values are much larger than the others. A case without a defined "
    "score has no point.",
    "equivalence": "Differences of the primary endpoint with their 90 % intervals. The band is the margin. A point is "
    "filled where the method is as good as the other within it, light where it is not worse, and empty where neither "
    "is shown, after Holm's correction.",
    "figure3": "The best, the median and the worst case by mean Dice (the paper's Figure 3): T1c and T2 where both "
    "exist, the reference, and each method. The slice is the one with the largest reference.",
    "volumes": "Agreement of volumes (Bland and Altman). The solid line is the mean difference, and the dashed lines "
    "are its 95 % limits of agreement. The title of each panel gives their values.",
    "ranking": "The number beside a method is its mean rank over cases, regions and scores. The first matrix shows how "
    "often each method takes each place when patients are drawn with replacement. The second one shows p of every pair "
    "after Holm's correction, dark where p < 0.05. A § marks a pair in which the mean of a score favours the method "
    "with the worse rank.",
    "training_curves": "Pseudo Dice and losses by epoch, one line per fold. Losses of different objectives differ in "
    "kind.",
}


def draw_statistics(scores: pd.DataFrame, summary: pd.DataFrame, regions: list[str], folder: Path) -> list[Path]:
    """Draw the pictures of scores: Figure 2, the distributions, the volumes."""
    shown = [DICE, HD95]  # overlap and distance
    files = save(figure2(summary, regions), folder, "figure2")
    files += save(distributions(scores, regions, shown), folder, "distributions")
    return files + save(volume_agreement(scores, regions), folder, "volumes")


def draw_equivalence(tests: pd.DataFrame, scores: Sequence[Score], folder: Path) -> list[Path]:
    """Draw the differences against the margin of equivalence, if there is one."""
    figure = equivalence_figure(tests, scores) if "equivalence" in tests else None
    return save(figure, folder, "equivalence") if figure else []


def draw_ranking(ranking: Ranking, folder: Path) -> list[Path]:
    """Draw the ranking."""
    return save(ranking_figure(ranking), folder, "ranking")


def draw_cases(cases: Sequence[ShownCase], regions: Mapping[str, Sequence[int]], folder: Path) -> list[Path]:
    """Draw Figure 3, if any case is shown."""
    return save(figure3(cases, regions), folder, "figure3") if cases else []


def draw_training(methods: Mapping[str, Predictions], regions: list[str], folder: Path) -> list[Path]:
    """Draw the training curves of the methods with known logs, if there are any."""
    all_logs = {method: [fold.log for fold in first.trained_folds if fold.log] for method, first in methods.items()}
    logs = {method: of_folds for method, of_folds in all_logs.items() if of_folds}
    return save(training_curves(logs, regions), folder, "training_curves") if logs else []
