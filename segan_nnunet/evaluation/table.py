"""Table 1 of the paper: methods by Dice, Precision, Sensitivity by region."""

from collections.abc import Sequence

import pandas as pd

from segan_nnunet.evaluation.scores import EMPTY_RULE, SCORES


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over the cases, and number of cases in which the score is defined.

    Args:
        scores: one row per method, case and region.

    Returns:
        One row per method, score and region: method, score, region, mean, cases.
    """
    long = scores.melt(id_vars=["method", "case", "region"], value_vars=list(SCORES), var_name="score")
    grouped = long.groupby(["method", "score", "region"], sort=False)["value"]
    return grouped.agg(mean="mean", cases="count").reset_index()


def markdown(summary: pd.DataFrame, regions: Sequence[str], number_of_cases: int, note: str) -> str:
    """Table 1 in Markdown, the best mean of each column in bold, with the rules that made it below.

    Args:
        summary: as `summarise` returns it.
        regions: the order of the columns.
        number_of_cases: of each method.
        note: where the cases come from.
    """
    columns = [(score, region) for score in SCORES for region in regions]
    means = summary.pivot_table(index="method", columns=["score", "region"], values="mean", sort=False, dropna=False)
    best = means.max()
    lines = ["| Method | " + " | ".join(f"{score} {region}" for score, region in columns) + " |"]
    lines.append("| --- |" + " ---: |" * len(columns))
    for method, row in means.iterrows():
        cells = []
        for column in columns:
            value = row.get(column, float("nan"))
            text = "–" if pd.isna(value) else f"{value:.3f}"
            cells.append(f"**{text}**" if len(means) > 1 and value == best.get(column) else text)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    lines += ["", f"Mean over {number_of_cases} case{'s' if number_of_cases > 1 else ''} ({note}). {EMPTY_RULE}"]
    fewer = summary[summary["cases"] < number_of_cases]
    if not fewer.empty:
        counted = (
            f"{row.method}, {row.score} {row.region}: {row.cases}"
            for row in fewer.itertuples()
            if row.region in regions
        )
        lines.append("Cases that counted, where not all did: " + "; ".join(counted) + ".")
    return "\n".join(lines) + "\n"
