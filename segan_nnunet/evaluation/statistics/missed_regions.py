"""Count missed regions (only the reference has them) and false regions (only the prediction has them)."""

import pandas as pd

COUNTS = ["present", "missed", "absent", "false"]


def missed_and_false(scores: pd.DataFrame, of_seeds: pd.DataFrame | None = None) -> pd.DataFrame:
    """Count the cases in which a method missed a region that exists, or predicted a region that does not.

    Args:
        scores: one row per method, case and region, with TP, FP, FN.
        of_seeds: the same of each seed, with `seed`, of the methods that are means over seeds.

    Returns:
        One row per method and region: method, region, present (cases in which the reference has the region), missed (of
        these), absent, false (of these); of several seeds the mean of missed and false over them.
    """
    each = scores.assign(seed=-1)
    if of_seeds is not None:
        chosen = of_seeds[of_seeds["case"].isin(scores["case"])]
        each = pd.concat([each[~each["method"].isin(chosen["method"])], chosen])
    present, predicted = each["TP"] + each["FN"] > 0, each["TP"] + each["FP"] > 0
    counted = each[["method", "region", "seed"]].assign(
        present=present, missed=present & ~predicted, absent=~present, false=~present & predicted
    )
    of_seed = counted.groupby(["method", "region", "seed"], sort=False)[COUNTS].sum()
    means = of_seed.groupby(["method", "region"], sort=False).mean()
    order = scores[["method", "region"]].drop_duplicates()
    return order.merge(means.reset_index(), how="left").astype({"present": int, "absent": int})


def missed_note(counts: pd.DataFrame) -> str:
    """Say which method missed a region, or predicted one that does not exist, and in how many cases."""
    said = []
    for method, of_method in counts.groupby("method", sort=False):
        each = [
            f"{row.region} {row.missed:.3g} of {row.present} missed, {row.false:.3g} of {row.absent} false"
            for row in of_method.itertuples()
            if row.missed or row.false
        ]
        said += [f"{method}: {', '.join(each)}"] if each else []
    if not said:
        return "No method missed a region that exists, and none predicted a region that does not."
    return (
        "Missed regions (only the reference has them) and false regions (only the prediction has them), in cases: "
        f"{'; '.join(said)}."
    )
