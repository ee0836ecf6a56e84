"""Methods of several seeds: the trainings of one trainer from several seeds are one method.

A single training is no evidence: the Dice of short trainings scatters by some hundredths. The table of scores has one
row per seed. The statistics average the seeds, or treat them as a level of their own.
"""

import pandas as pd

UNSEEDED = -1  # value of the column `seed` for a single training or a folder
KEYS = ["method", "case", "region"]
NOT_SCORES = ("seed", "fold")  # columns of numbers


def with_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores with a column `seed`. Without this column each method is a single training."""
    return scores if "seed" in scores else scores.assign(seed=UNSEEDED)


def seed_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Average the seeds of each method, case by case.

    Args:
        scores: one row per method, seed, case and region.

    Returns:
        One row per method, case and region. If a score is undefined for some seeds, such as the distance of an empty
        prediction, it is the mean over the others. Other columns have the value of the first seed.
    """
    columns = [column for column in scores if column != "seed"]
    if not has_seeds(scores):
        return scores[columns]
    numbers = [column for column in scores.select_dtypes("number") if column not in (*KEYS, *NOT_SCORES)]
    others = [column for column in columns if column not in (*KEYS, *numbers)]
    means = {**dict.fromkeys(numbers, "mean"), **dict.fromkeys(others, "first")}
    return scores.groupby(KEYS, sort=False, as_index=False).agg(means)[columns]


def has_seeds(scores: pd.DataFrame) -> bool:
    """Return whether any method was trained with a seed in its name."""
    return bool((with_seeds(scores)["seed"] != UNSEEDED).any())


def single_trainings(scores: pd.DataFrame) -> list[str]:
    """Return the methods of a single training, in the order of the table."""
    numbers = with_seeds(scores).groupby("method", sort=False)["seed"].nunique()
    return [str(method) for method in numbers.index[numbers == 1]]


def numbers_of_seeds(scores: pd.DataFrame) -> dict[str, list[int]]:
    """Return the seeds of each method that has seeds, in the order of the table."""
    seeded = with_seeds(scores)
    seeded = seeded[seeded["seed"] != UNSEEDED]
    return {str(method): list(part.unique()) for method, part in seeded.groupby("method", sort=False)["seed"]}
