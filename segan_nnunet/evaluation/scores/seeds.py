"""Trainings of one trainer from several seeds are one method: its score of a case is the mean over the seeds.

A single training decides nothing: short ones scatter by some hundredths of Dice. The table of scores has a row for
each seed; every function that concludes something averages the seeds, or takes them as a level of their own.
"""

import pandas as pd

UNSEEDED = -1  # in the column `seed`: the method is one training, or a folder
KEYS = ["method", "case", "region"]
FACTS = ("seed", "fold")  # numbers that are no scores


def with_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a table of scores with a column `seed`; in a table without one each method is a single training."""
    return scores if "seed" in scores else scores.assign(seed=UNSEEDED)


def seed_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Average the seeds of each method, case by case.

    Args:
        scores: one row per method, seed, case and region.

    Returns:
        One row per method, case and region. A score that one seed does not define, such as the distance of an empty
        prediction, is the mean over the others. A value that is no number is that of the first seed.
    """
    columns = [column for column in scores if column != "seed"]
    if not has_seeds(scores):
        return scores[columns]
    numbers = [column for column in scores.select_dtypes("number") if column not in (*KEYS, *FACTS)]
    others = [column for column in columns if column not in (*KEYS, *numbers)]
    means = {**dict.fromkeys(numbers, "mean"), **dict.fromkeys(others, "first")}
    return scores.groupby(KEYS, sort=False, as_index=False).agg(means)[columns]


def has_seeds(scores: pd.DataFrame) -> bool:
    """Return whether a method is the mean over seeds, if only over one."""
    return bool((with_seeds(scores)["seed"] != UNSEEDED).any())


def single_trainings(scores: pd.DataFrame) -> list[str]:
    """Return the methods that stand for a single training, in the order of the table."""
    numbers = with_seeds(scores).groupby("method", sort=False)["seed"].nunique()
    return [str(method) for method in numbers.index[numbers == 1]]


def numbers_of_seeds(scores: pd.DataFrame) -> dict[str, list[int]]:
    """Return the seeds of each method that is a mean over seeds, in the order of the table."""
    seeded = with_seeds(scores)
    seeded = seeded[seeded["seed"] != UNSEEDED]
    return {str(method): list(part.unique()) for method, part in seeded.groupby("method", sort=False)["seed"]}
