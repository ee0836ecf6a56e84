"""Trainings of one trainer from several seeds are one method: its scores of a case are the mean over the seeds.

A single training decides nothing: short ones scatter by some hundredths of Dice. So the seeds of a trainer are averaged
case by case before anything is shown, and what each scored is kept: intervals and tests are of seeds and cases.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from segan_nnunet.evaluation.methods.method import Contest, Method, groups
from segan_nnunet.evaluation.scores.scores import DICE, SCORES

KEYS = ["method", "case", "region"]


def average_seeds(contest: Contest, scores: pd.DataFrame) -> tuple[Contest, pd.DataFrame]:
    """Merge the seeds of each trainer into one method.

    Args:
        contest: with a method for every seed.
        scores: as `add_scores` returns them. A score that is not defined for one seed, such as the distance of an empty
            prediction, is averaged over the others.

    Returns:
        The contest, with the first seed's predictions for the pictures and what each seed scored, and the scores,
        averaged.
    """
    seeds_of = groups(contest.methods)
    if not seeds_of:
        return contest, scores
    methods = []
    for method in contest.methods:
        members = seeds_of.get(method.seed_of, [])
        if not members:
            methods.append(method)
        elif method is members[0]:
            methods.append(replace(method, name=method.seed_of))
    names = {method.name: method.seed_of for members in seeds_of.values() for method in members}
    notes = [f"{trainer} is the mean over {words(members)} of each case." for trainer, members in seeds_of.items()]
    renamed = scores.assign(method=scores["method"].replace(names))
    numbers = [column for column in renamed.select_dtypes("number") if column not in KEYS]
    others = [column for column in renamed if column not in (*KEYS, *numbers)]
    seed_of = {method.name: method.seed for members in seeds_of.values() for method in members}
    of_seeds = renamed.assign(seed=scores["method"].map(seed_of))[scores["method"].isin(names)]
    averaged = renamed.groupby(KEYS, sort=False, as_index=False).agg(
        {**dict.fromkeys(numbers, "mean"), **dict.fromkeys(others, "first")}
    )
    contest = replace(
        contest, methods=methods, seed_notes=notes, seeds=spread(scores, seeds_of), scores_of_seeds=of_seeds
    )
    return contest, averaged[list(renamed)]


def spread(scores: pd.DataFrame, seeds_of: dict[str, list[Method]]) -> pd.DataFrame:
    """Return each seed's mean over the cases, one row per trainer, seed and region."""
    rows = []
    for trainer, members in seeds_of.items():
        for member in members:
            of_seed = scores[scores["method"] == member.name]
            for region, part in of_seed.groupby("region", sort=False):
                means = {score.column: part[score.column].mean() for score in SCORES}
                rows.append({"method": trainer, "seed": member.seed, "region": region, **means})
    return pd.DataFrame(rows)


def scatter_notes(seeds: pd.DataFrame) -> list[str]:
    """Say how the mean Dice of each region scatters over the seeds of a trainer, as their standard deviation.

    Args:
        seeds: as `spread` returns them.
    """
    said = []
    for trainer, of_trainer in seeds.groupby("method", sort=False):
        scatter = of_trainer.groupby("region", sort=False)[DICE.column].std().dropna()
        if len(scatter):
            each = ", ".join(f"{value:.3f} ({region})" for region, value in scatter.items())
            said.append(f"{trainer}'s mean Dice has a standard deviation over its seeds of {each}.")
    return said


def words(members: Sequence[Method]) -> str:
    """E.g. `the seeds 0, 1, 2`."""
    numbers = ", ".join(str(member.seed) for member in members)
    return f"the seed{'s' if len(members) > 1 else ''} {numbers}"
