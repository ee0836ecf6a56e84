"""Every case's scores, as data for the page's list that sorts and filters."""

from typing import Any

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.scores.scores import SCORES


def case_list_data(scores: pd.DataFrame) -> dict[str, Any]:
    """Everything that the list needs, fit for JSON.

    Args:
        scores: one row per method, case and region; fold and grade where they are known.

    Returns:
        methods, regions, scores (title and decimals of each), about (names of what is known of a case), cases (each its
        name and that), and `values[score][region][case][method]`, None where a score is undefined.
    """
    methods, regions = list(scores["method"].unique()), list(scores["region"].unique())
    of_case = scores.drop_duplicates("case").set_index("case").sort_index()
    about = [name for name in ("fold", "grade") if name in of_case and of_case[name].replace("", pd.NA).notna().any()]
    known = of_case[about].astype("string").fillna("")
    values = []
    for score in SCORES:
        table = scores.pivot(index="case", columns=["region", "method"], values=score.column).round(score.decimals)
        parts = (table[region][methods] for region in regions)
        values.append([part.astype(object).where(np.isfinite(part), None).to_numpy().tolist() for part in parts])
    return {
        "methods": methods,
        "regions": regions,
        "scores": [{"title": score.title, "decimals": score.decimals} for score in SCORES],
        "about": about,
        "cases": [[case, *row] for case, row in zip(of_case.index, known.to_numpy().tolist(), strict=True)],
        "values": values,
    }
