"""Make score tables by hand."""

import itertools

import pandas as pd

from segan_nnunet.evaluation.scores.scores import SCORES

REGIONS = ["whole tumor", "tumor core", "enhancing tumor"]


def scores_of(values: dict[str, list[float]]) -> pd.DataFrame:
    """Return a table in which all scores of a case have the same value in every region."""
    rows = [
        {"method": method, "case": f"c{index}", "region": region, **{score.column: value for score in SCORES}}
        for method, of_method in values.items()
        for (index, value), region in itertools.product(enumerate(of_method), REGIONS)
    ]
    return pd.DataFrame(rows)
