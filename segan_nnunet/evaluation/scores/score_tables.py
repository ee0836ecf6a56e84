"""Which tables a comparison has: their scores, and the definitions that stand below them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.definitions import NSD_WORDS, Measures
from segan_nnunet.evaluation.scores.scores import TABLE_1, Score, further_scores, lesion_wise_scores, nsd_scores


@dataclass(frozen=True)
class ScoreTable:
    """A table to make.

    Attributes:
        name: of its files.
        title: above it.
        scores: its columns.
        definitions: what its scores are, where that must be said.
    """

    name: str
    title: str
    scores: Sequence[Score]
    definitions: Sequence[str] = ()


def score_tables(measures: Measures, measured: Collection[str] | None = None) -> list[ScoreTable]:
    """Return the tables of a comparison, Table 1 first.

    Args:
        measures: what was asked for.
        measured: columns that the scores have; a table with other columns is left out. By default all tables.
    """
    hd95 = f"HD95 ({measures.hd95}): {measures.hd95.describe()}."
    tables = [
        ScoreTable("table1", "Table 1", TABLE_1),
        ScoreTable("further_scores", "Further scores", further_scores(measures), [hd95]),
        ScoreTable("surface_scores", "Surface scores", nsd_scores(measures), [NSD_WORDS[measures.nsd_by_mask]]),
        ScoreTable(
            "lesion_scores",
            "Lesion-wise scores",
            lesion_wise_scores(measures),
            [measures.lesion_rule.describe()] if measures.lesion_rule else [],
        ),
    ]
    return [
        table
        for table in tables
        if table.scores and (measured is None or {score.column for score in table.scores} <= set(measured))
    ]


def primary_columns(measures: Measures, names: Sequence[str]) -> list[str]:
    """Return the columns of the scores that are the primary endpoint.

    Args:
        measures: what is measured.
        names: of the scores as a user writes them: columns with or without unit, in upper or lower case.

    Raises:
        InputError: a score is not measured.
    """
    columns = [score.column for table in score_tables(measures) for score in table.scores]
    by_name = {column.removesuffix("_mm").removesuffix("_ml").casefold(): column for column in columns}
    by_name |= {column.casefold(): column for column in columns}
    if unknown := [name for name in names if name.casefold() not in by_name]:
        raise InputError(
            f"`primary` takes scores of this comparison ({', '.join(columns)}), not '{unknown[0]}'; correct it"
        )
    return list(dict.fromkeys(by_name[name.casefold()] for name in names))
