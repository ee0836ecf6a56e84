"""The cost of each method's training, which tells whether methods are compared at equal steps or equal time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.methods.methods_on_cases import Predictions

TIME_TOLERANCE = 0.1  # training times within this share count as equal; repetitions of one training differ as much


def training_costs(predictions: Sequence[Predictions]) -> pd.DataFrame:
    """Return one row per method with known costs: method, number of trainings, mean steps and mean seconds."""
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
    """Write the cost of each method relative to that of the baseline; empty for fewer than two known costs.

    Args:
        costs: the result of `training_costs`.
        baseline: the method to compare with. If its cost is unknown, the first one of the table replaces it.
    """
    if len(costs) < 2:
        return []
    by_method = costs.set_index("method")
    first = baseline if baseline in by_method.index else by_method.index[0]
    own = by_method.loc[first]
    texts = [f"{first} {own['steps']:,.0f} steps in {duration(own['seconds'])}"]
    for name, other in by_method.drop(first).iterrows():
        steps, time = other["steps"] / own["steps"], other["seconds"] / own["seconds"]
        equal_time = abs(time - 1) < TIME_TOLERANCE
        texts.append(
            f"{name} {'equal steps' if steps == 1 else f'{steps:.2f} times the steps'}, "
            f"{'equal time' if equal_time else f'{time:.2f} times the time'}"
        )
    return [f"Training, per fold: {'; '.join(texts)}."]


def cost_column(costs: pd.DataFrame) -> dict[str, str]:
    """Return the text of each method's steps and time per fold; empty for fewer than two known costs."""
    if len(costs) < 2:
        return {}
    return {row.method: f"{row.steps:,.0f} steps, {duration(row.seconds)}" for row in costs.itertuples()}


def equal_time(costs: pd.DataFrame) -> list[list[str]]:
    """Return groups of at least two methods whose training took as long as that of the fastest one in the group.

    A method is in at most one group.
    """
    groups: list[list[str]] = []
    fastest = -np.inf
    for row in costs.sort_values("seconds", kind="stable").itertuples():
        if row.seconds / fastest - 1 < TIME_TOLERANCE and groups:
            groups[-1].append(row.method)
        else:
            groups.append([row.method])
            fastest = row.seconds
    return [group for group in groups if len(group) > 1]


def add_cost_ratios(tests: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Add steps_ratio and time_ratio to each pair of methods: the cost of the method divided by that of the baseline.

    The ratio is 1 for equal steps, and near 1 for equal time. It is NaN if a cost is unknown.
    """
    by_method = costs.set_index("method")
    ratios = {}
    for name, column in (("steps_ratio", "steps"), ("time_ratio", "seconds")):
        own, baseline = (tests[which].map(by_method[column]).to_numpy() for which in ("method", "baseline"))
        ratios[name] = own / baseline
    return tests.assign(**ratios)


def duration(seconds: float) -> str:
    """Return a time in hours, minutes or seconds."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
