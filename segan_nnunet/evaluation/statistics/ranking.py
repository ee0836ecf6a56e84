"""Rank methods as the challenges do: in every case and region by every score, then by the mean of these ranks.

A bootstrap over units and a test of every pair show how stable the ranks are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from segan_nnunet.evaluation.scores.scores import DICE, HD95, Score
from segan_nnunet.evaluation.scores.seeds import seed_means, with_seeds
from segan_nnunet.evaluation.statistics.intervals import draws, mean_interval
from segan_nnunet.evaluation.statistics.paired import ALPHA, holm, wilcoxon
from segan_nnunet.evaluation.statistics.seed_level import by_method_and_seed, estimate
from segan_nnunet.evaluation.statistics.sentences import USUALLY
from segan_nnunet.evaluation.statistics.summary import paired_units, patients_of

FEWEST_METHODS = 3  # for two methods, Table 1 is enough
RANKED = (DICE, HD95)  # overlap and distance, as in BraTS


@dataclass(frozen=True)
class Ranking:
    """Methods from the best to the worst.

    Attributes:
        methods: names of the methods.
        units: number of patients or cases.
        mean_ranks: mean rank of each method; 1 is the best.
        intervals: intervals of the mean ranks, (methods, 2); NaN for few units.
        places: share of bootstrap resamples over units in which each method takes each place, (methods, places).
        p_holm: p of each pair after Holm's correction over all pairs, (methods, methods); NaN on the diagonal.
        disagreements: significant pairs in which the mean of a score favours the method with the worse rank: the
            method with the better rank, the other method, the titles of the scores.
    """

    methods: Sequence[str]
    units: int
    mean_ranks: NDArray[np.float64]
    intervals: NDArray[np.float64]
    places: NDArray[np.float64]
    p_holm: NDArray[np.float64]
    disagreements: Sequence[tuple[str, str, str]] = ()

    @property
    def table(self) -> pd.DataFrame:
        """One row per method: method, mean_rank, mean_rank_low, mean_rank_high, place_1 ..., p_holm of each other."""
        number = len(self.methods)
        return pd.DataFrame(
            {"method": self.methods, "mean_rank": self.mean_ranks}
            | {f"mean_rank_{end}": self.intervals[:, side] for side, end in enumerate(("low", "high"))}
            | {f"place_{place + 1}": self.places[:, place] for place in range(number)}
            | {f"p_holm {method}": self.p_holm[:, index] for index, method in enumerate(self.methods)}
            | {"better_mean_than_rank": ["; ".join(self.favoured_by_mean(method)) for method in self.methods]}
        )

    def favoured_by_mean(self, method: str) -> list[str]:
        """Return the methods that rank significantly better although the mean of a score favours this one."""
        return [better for better, other, _ in self.disagreements if other == method]

    def disagree(self, one: int, other: int) -> bool:
        """Return whether ranks and means disagree in a pair of methods, given by their positions in `methods`."""
        pair = {self.methods[one], self.methods[other]}
        return any({better, worse} == pair for better, worse, _ in self.disagreements)

    @property
    def notes(self) -> list[str]:
        """The sentences that explain the ranking."""
        pairs = len(self.methods) * (len(self.methods) - 1) // 2
        differing = int((self.p_holm < ALPHA).sum()) // 2
        ranked_by = " and by ".join(score.title for score in RANKED)
        return [
            f"Methods are ranked in every case and region by {ranked_by}. Rank 1 is the best. Equal methods share the "
            "mean of their ranks. An undefined score comes last, and all methods are equal where no score is defined. "
            f"The mean rank is over scores and regions, then over the {self.units} units.",
            "Place 1 and so on: how often a method takes the place when units are drawn with replacement. "
            f"{differing} of {pairs} pairs differ significantly (p after Holm's correction over all pairs; Wilcoxon's "
            "test on mean ranks; where a method has several seeds, the larger p of two tests over seeds and units, one "
            "of the ranks and one of the scores).",
            *(
                f"§ {better} ranks significantly better than {other}, but {other} has the better mean of {titles}: "
                f"{better} {USUALLY}."
                for better, other, titles in self.disagreements
            ),
        ]


def rank(scores: pd.DataFrame) -> Ranking:
    """Rank methods by their mean rank over cases, regions and scores.

    Args:
        scores: one row per method, seed, case and region. Of methods with several seeds, the mean scores are ranked.
    """
    means_of_seeds = seed_means(scores)
    ranks = unit_ranks(means_of_seeds)
    ranks = ranks[ranks.mean().sort_values(kind="stable").index]
    methods, of_units = list(ranks), ranks.to_numpy(float)
    number = len(methods)
    places = np.zeros((number, number))
    for drawn in draws(len(of_units)):
        means = of_units[drawn].mean(axis=1)  # (resamples, methods)
        taken = stats.rankdata(means.round(9), method="min", axis=1).astype(int)
        places += [(taken == place + 1).sum(axis=0) for place in range(number)]
    p_holm = np.full((number, number), np.nan)
    pairs = list(combinations(range(number), 2))
    by_seed = [seed_ranks(scores, method) for method in methods]
    of_scores = [by_method_and_seed(scores, score.column) for score in RANKED]
    patients = patients_of(scores)
    of_pairs = []
    for one, other in pairs:
        p = pair_p(by_seed[one], by_seed[other])
        if len(by_seed[one]) + len(by_seed[other]) > 2:
            p = max(p, score_p(of_scores, methods[one], methods[other], patients))
        of_pairs.append(p)
    corrected = holm(of_pairs)
    for (one, other), p in zip(pairs, corrected, strict=True):
        p_holm[one, other] = p_holm[other, one] = p
    intervals = np.array([mean_interval(column, 1, number) for column in of_units.T])
    frequencies = places.T / places.sum(axis=0)[:, None]
    disagreements = []
    for one, other in pairs:  # the better rank first
        titles = [score.title for score in RANKED if better_mean(means_of_seeds, score, methods[other], methods[one])]
        if p_holm[one, other] < ALPHA and titles:
            disagreements.append((methods[one], methods[other], " and ".join(titles)))
    means = of_units.mean(axis=0)
    return Ranking(methods, len(of_units), means, intervals, frequencies, p_holm, disagreements)


def better_mean(scores: pd.DataFrame, score: Score, method: str, other: str) -> bool:
    """Return whether a method's mean over regions and cases is better than another's, if both are defined."""
    values = scores.pivot(index=["case", "region"], columns="method", values=score.column)[[method, other]].dropna()
    gain = (values[method] - values[other]).mean()
    return bool(gain > 1e-12 if score.higher_is_better else gain < -1e-12)


def pair_p(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return p of the ranks of two methods, (seeds, units): Wilcoxon's, or that of `estimate` for several seeds."""
    if len(ours) == len(theirs) == 1:
        return wilcoxon((ours - theirs)[0].round(9))[0]  # equal sums of sixths differ by rounding errors
    return estimate(ours, theirs).p()


def score_p(
    of_scores: Sequence[Mapping[tuple[str, str], pd.DataFrame]], one: str, other: str, patients: pd.Series | None
) -> float:
    """Return the smallest p of two methods' scores over seeds and units, times the number of scores and regions.

    Ranks saturate: small but constant differences give the same ranks as large ones. So the ranks of a few seeds may
    not scatter although their scores do, and the ranks alone would find differences between equal trainers in a fifth
    of all tests.

    Args:
        of_scores: the result of `by_method_and_seed` for each score.
        one, other: the methods.
        patients: the patient of each case; None if units are the cases.
    """
    p = []
    for by_method in of_scores:
        for region in [region for method, region in by_method if method == one]:
            ours, theirs = paired_units(by_method[one, region], by_method[other, region], patients)
            p.append(estimate(ours.to_numpy().T, theirs.to_numpy().T).p())
    defined = [value for value in p if not np.isnan(value)]
    return min(1.0, len(defined) * min(defined)) if defined else 1.0


def seed_ranks(scores: pd.DataFrame, method: str) -> NDArray[np.float64]:
    """Return the ranks of a method, (seeds, units). Each seed is ranked among the other methods."""
    of_method = scores["method"] == method
    others, seeds = seed_means(scores[~of_method]), with_seeds(scores[of_method]).groupby("seed")
    return np.array([unit_ranks(pd.concat([others, of_seed]))[method] for _, of_seed in seeds])


def unit_ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank the methods per unit, (units, methods). If no method defines a score, all tie."""
    parts = []
    for score in RANKED:
        table = scores.pivot(index=["case", "region"], columns="method", values=score.column)
        table = table[scores["method"].unique()]
        bad = -table if score.higher_is_better else table
        ranks = stats.rankdata(bad.fillna(np.inf).to_numpy(float), axis=1)
        parts.append(pd.DataFrame(ranks, table.index.get_level_values("case"), table.columns))
    by_case = pd.concat(parts).groupby(level=0).mean()
    patients = patients_of(scores)
    return by_case if patients is None else by_case.groupby(patients).mean()
