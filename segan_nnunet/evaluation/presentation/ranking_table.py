"""The ranking as text: mean ranks and how firm they are, then the p of every pair."""

import numpy as np

from segan_nnunet.evaluation.presentation.table import UNDEFINED, escape_markdown
from segan_nnunet.evaluation.statistics.ranking import Ranking


def ranking_markdown(ranking: Ranking) -> str:
    """Render as Markdown: a table of ranks and places, a matrix of p, and how to read them."""
    names = [escape_markdown(method) for method in ranking.methods]
    ranks = [
        [name, f"{mean:.2f}", UNDEFINED if np.isnan(low) else f"{low:.2f} to {high:.2f}", *map("{:.0%}".format, places)]
        for name, mean, (low, high), places in zip(
            names, ranking.mean_ranks, ranking.intervals, ranking.places, strict=True
        )
    ]
    heads = ["Method", "Mean rank", "95 % interval", *(f"Place {place + 1}" for place in range(len(names)))]
    pairs = [[name, *row] for name, row in zip(names, pair_texts(ranking), strict=True)]
    tables = ["\n".join(pipes(head, rows)) for head, rows in ((heads, ranks), (["p after Holm", *names], pairs))]
    return "\n\n".join([*tables, *ranking.notes]) + "\n"


def pair_texts(ranking: Ranking) -> list[list[str]]:
    """Return p of each pair as text, with a § where ranks and means disagree; a dash on the diagonal."""
    return [
        [
            UNDEFINED if np.isnan(p) else p_text(p) + "§" * ranking.disagree(row, column)
            for column, p in enumerate(of_row)
        ]
        for row, of_row in enumerate(ranking.p_holm)
    ]


def p_text(p: float) -> str:
    """A p as short as it may be read."""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def pipes(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, the first column to the left."""
    rule = "| --- |" + " ---: |" * (len(head) - 1)
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]
