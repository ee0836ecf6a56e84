"""Which tables a comparison has: their scores, and the definitions that stand below them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from segan_nnunet.evaluation.scores.definitions import NSD_WORDS, Measures
from segan_nnunet.evaluation.scores.scores import FURTHER, TABLE_1, Score, lesion_wise_scores, nsd_scores


@dataclass(frozen=True)
class ScoreTable:
    """A table to make.

    Attributes:
        name: of its files.
        title: above it.
        scores: its columns, and the family of comparisons that Holm corrects.
        definitions: what its scores are, where that must be said.
    """

    name: str
    title: str
    scores: Sequence[Score]
    definitions: Sequence[str] = ()


def score_tables(measures: Measures, measured: Collection[str]) -> list[ScoreTable]:
    """The tables of a comparison, Table 1 first.

    Args:
        measures: what was asked for.
        measured: columns that the scores have; a table of others is left out.
    """
    hd95 = f"HD95 ({measures.hd95}): {measures.hd95.words}."
    tables = [
        ScoreTable("table1", "Table 1", TABLE_1),
        ScoreTable("further_scores", "Further scores", FURTHER, [hd95]),
        ScoreTable("surface_scores", "Surface scores", nsd_scores(measures), [NSD_WORDS[measures.nsd_by_mask]]),
        ScoreTable(
            "lesion_scores",
            "Lesion-wise scores",
            lesion_wise_scores(measures),
            [measures.lesion_rule.words] if measures.lesion_rule else [],
        ),
    ]
    return [table for table in tables if table.scores and {score.column for score in table.scores} <= set(measured)]
