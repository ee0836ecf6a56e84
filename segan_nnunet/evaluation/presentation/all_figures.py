"""All pictures of a comparison, written as PNG and PDF."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from segan_nnunet.evaluation.methods.method import Contest, Method
from segan_nnunet.evaluation.presentation.figures.bars import figure2
from segan_nnunet.evaluation.presentation.figures.curves import read_training_log, training_curves
from segan_nnunet.evaluation.presentation.figures.overlays import figure3
from segan_nnunet.evaluation.presentation.figures.points import distributions
from segan_nnunet.evaluation.presentation.figures.ranking import ranking_figure
from segan_nnunet.evaluation.presentation.figures.style import save
from segan_nnunet.evaluation.presentation.figures.volumes import volume_agreement
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase
from segan_nnunet.evaluation.scores.scores import DICE, HD95
from segan_nnunet.evaluation.statistics.ranking import Ranking

CAPTIONS = {
    "figure2": "Mean Dice by region with its 95 % bootstrap interval (the paper's Figure 2).",
    "distributions": "Every case is a point; the bar is the median, the line spans the quartiles.",
    "figure3": "Best, median and worst case by mean Dice, at the slice with the largest reference: T1c and T2 "
    "where there are both, reference, each method (the paper's Figure 3).",
    "volumes": "Agreement of volumes (Bland and Altman): solid the mean difference, dashed its 95 % limits of "
    "agreement, as each panel's title gives them.",
    "ranking": "Mean rank of each method over cases, regions and scores, how often it takes each place when patients "
    "are drawn with replacement, and p of every pair (dark: p < 0.05 after Holm's correction).",
    "training_curves": "Pseudo Dice and losses by epoch, one line per fold. Losses of different objectives differ in "
    "kind.",
}


def draw_statistics(scores: pd.DataFrame, summary: pd.DataFrame, regions: list[str], folder: Path) -> list[Path]:
    """Draw what needs scores alone: Figure 2, the distributions, the volumes."""
    shown = [DICE, HD95]  # overlap and distance
    files = save(figure2(summary, regions), folder, "figure2")
    files += save(distributions(scores, regions, shown), folder, "distributions")
    return files + save(volume_agreement(scores, regions), folder, "volumes")


def draw_ranking(ranking: Ranking, folder: Path) -> list[Path]:
    """Draw the ranking."""
    return save(ranking_figure(ranking), folder, "ranking")


def draw_cases(cases: Sequence[ShownCase], contest: Contest, folder: Path) -> list[Path]:
    """Draw Figure 3; nothing where no case has a defined score."""
    return save(figure3(cases, contest.labelling.regions), folder, "figure3") if cases else []


def draw_training(methods: Sequence[Method], regions: list[str], folder: Path) -> list[Path]:
    """Draw the training curves of the methods whose checkpoints are there; nothing where none is."""
    logs = {}
    for method in methods:
        if found := [log for log in map(read_training_log, method.fold_folders) if log]:
            logs[method.name] = found
    return save(training_curves(logs, regions), folder, "training_curves") if logs else []
