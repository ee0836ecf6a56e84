"""The tables of a comparison: their scores, and the definitions below them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.definitions import NSD_DEFINITIONS, Lesions, Measures
from segan_nnunet.evaluation.scores.scores import (
    TABLE_1,
    VOLUMES,
    Score,
    columns_by_name,
    detection_scores,
    further_scores,
    lesion_wise_scores,
    nsd_scores,
)

DETECTION = "detection_scores"
ASSD_DEFINITION = (
    "ASSD: the mean distance of all surface voxels of both masks from the other surface, as in MONAI and Metrics "
    "Reloaded."
)
VOLUME_DEFINITIONS = (
    "Signed volume difference: prediction minus reference. Relative: this difference divided by the reference. A case "
    "with an empty reference is left out. Values near 0 are good, so no mean is bold, and nothing is tested."
)
DETECTION_DEFINITIONS = (
    "Lesion F1: 2 found / (2 found + missed + false), of the lesions in the lesion-wise scores. PQ = SQ · RQ: the "
    "panoptic quality of the components (26 neighbours) of both masks. No component is grown or left out. Components "
    "match if their IoU is greater than 0.5. SQ: the mean IoU of the matches, left out if components exist but none "
    "match. RQ: 2 matches / (components of both masks). Without lesions or components, all have the value of "
    "lesion-wise Dice."
)


@dataclass(frozen=True)
class ScoreTable:
    """A table of a comparison.

    Attributes:
        name: name of its files.
        title: the line above it.
        scores: its columns.
        definitions: sentences that define its scores.
    """

    name: str
    title: str
    scores: Sequence[Score]
    definitions: Sequence[str] = ()


def score_tables(measures: Measures, measured: Collection[str] | None = None) -> list[ScoreTable]:
    """Return the tables of a comparison, Table 1 first.

    Args:
        measures: the measures of the comparison.
        measured: the columns of the table of scores. A table is left out if none of its columns was measured. By
            default no table is left out.
    """
    hd95 = f"HD95 ({measures.hd95}): {measures.hd95.describe()}."
    tables = [
        ScoreTable("table1", "Table 1", TABLE_1),
        ScoreTable("further_scores", "Further scores", further_scores(measures), [hd95, ASSD_DEFINITION]),
        ScoreTable("volume_scores", "Volumes", VOLUMES, [VOLUME_DEFINITIONS]),
        ScoreTable("surface_scores", "Surface scores", nsd_scores(measures), [NSD_DEFINITIONS[measures.nsd_by_mask]]),
        ScoreTable(
            "lesion_scores",
            "Lesion-wise scores",
            lesion_wise_scores(measures),
            [measures.lesion_rule.describe()] if measures.lesion_rule else [],
        ),
        ScoreTable(DETECTION, "Detection of lesions", detection_scores(measures), [DETECTION_DEFINITIONS]),
    ]
    return [
        table
        for table in tables
        if table.scores and (measured is None or {score.column for score in table.scores} & set(measured))
    ]


def table_names() -> list[str]:
    """Return the names of all tables that a comparison can have."""
    return [table.name for table in score_tables(Measures(lesions=Lesions.BRATS_2026))]


def primary_columns(measures: Measures, names: Sequence[str]) -> list[str]:
    """Return the columns of the scores of the primary endpoint.

    Args:
        measures: the measures of the comparison.
        names: the scores as a user writes them: columns with or without unit, in upper or lower case.

    Raises:
        InputError: a score is not measured, or is not tested.
    """
    scores = [score for table in score_tables(measures) for score in table.scores]
    columns = [score.column for score in scores if score.higher_is_better is not None]
    by_name = columns_by_name(columns)
    if unknown := [name for name in names if name.casefold() not in by_name]:
        raise InputError(
            f"`primary` takes scores of this comparison ({', '.join(columns)}), not '{unknown[0]}'; correct it"
        )
    return list(dict.fromkeys(by_name[name.casefold()] for name in names))
