"""The cost of each method's training: whether methods are compared at equal steps, or at equal time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.methods.methods_on_cases import Predictions

EQUAL = 0.1  # times of training that differ by less are called equal: two runs of one training differ so


def training_costs(predictions: Sequence[Predictions]) -> pd.DataFrame:
    """Return one row per method that was trained here: method, trainings, and the means of steps and seconds."""
    rows = [
        (each.method, fold.cost.steps, fold.cost.seconds)
        for each in predictions
        for fold in each.trained_folds
        if fold.cost
    ]
    table = pd.DataFrame(rows, columns=["method", "steps", "seconds"])
    grouped = table.groupby("method", sort=False)
    return grouped.agg(trainings=("steps", "size"), steps=("steps", "mean"), seconds=("seconds", "mean")).reset_index()


def cost_notes(costs: pd.DataFrame, baseline: str) -> list[str]:
    """Say each method's cost against the baseline's; nothing where there is nothing to compare.

    Args:
        costs: as `training_costs` returns them.
        baseline: a method; the first of the table where it was not trained here.
    """
    if len(costs) < 2:
        return []
    by_method = costs.set_index("method")
    first = baseline if baseline in by_method.index else by_method.index[0]
    own = by_method.loc[first]
    costs_in_words = [f"{first} {own['steps']:,.0f} steps in {duration(own['seconds'])}"]
    for name, other in by_method.drop(first).iterrows():
        steps, time = other["steps"] / own["steps"], other["seconds"] / own["seconds"]
        equal_time = abs(time - 1) < EQUAL
        costs_in_words.append(
            f"{name} {'equal steps' if steps == 1 else f'{steps:.2f} times the steps'}, "
            f"{'equal time' if equal_time else f'{time:.2f} times the time'}"
        )
    return [f"Training, per fold: {'; '.join(costs_in_words)}."]


def cost_column(costs: pd.DataFrame) -> dict[str, str]:
    """Return steps and time of each method's training, per fold, in words; nothing where fewer than two are known."""
    if len(costs) < 2:
        return {}
    return {row.method: f"{row.steps:,.0f} steps, {duration(row.seconds)}" for row in costs.itertuples()}


def equal_time(costs: pd.DataFrame) -> list[list[str]]:
    """Return groups of methods, two at least, whose training took as long as that of the fastest of their group.

    A method is in one group at most; where all took as long, there is one group of all.
    """
    groups: list[list[str]] = []
    fastest = -np.inf
    for row in costs.sort_values("seconds", kind="stable").itertuples():
        if row.seconds / fastest - 1 < EQUAL and groups:
            groups[-1].append(row.method)
        else:
            groups.append([row.method])
            fastest = row.seconds
    return [group for group in groups if len(group) > 1]


def add_cost_ratios(tests: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Add to each pair of methods steps_ratio and time_ratio, its first one's training over the baseline's.

    A pair at equal steps has a steps_ratio of 1, one at equal time a time_ratio near 1; NaN where a cost is unknown.
    """
    by_method = costs.set_index("method")
    ratios = {}
    for name, column in (("steps_ratio", "steps"), ("time_ratio", "seconds")):
        own, baseline = (tests[which].map(by_method[column]).to_numpy() for which in ("method", "baseline"))
        ratios[name] = own / baseline
    return tests.assign(**ratios)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
