"""The scores of empty masks: one table of values per policy, from which the notes are written.

The command line imports this for its options, so it imports nothing heavy.
"""

import math
from typing import Literal, NamedTuple

from segan_nnunet.evaluation.wording import join_names
from segan_nnunet.text_enum import TextEnum

LEFT_OUT = math.nan
DIAGONAL: Literal["diagonal"] = "diagonal"  # the diagonal of the volume in mm
VOXEL_DIAGONAL: Literal["voxel diagonal"] = "voxel diagonal"  # the diagonal of the volume in voxels
DIAGONAL_COLUMNS = {DIAGONAL: "diagonal_mm", VOXEL_DIAGONAL: "diagonal_voxels"}  # columns of the measurements

Value = float | Literal["diagonal", "voxel diagonal"]


class EmptyPolicy(TextEnum):
    """A named rule for empty masks. The notes of every table state it."""

    AUTO = "auto"  # until a protocol replaces it
    NNUNET = "nnunet"
    BRATS = "brats"
    BRATS_2015 = "brats2015"
    BRATS_2023 = "brats2023"
    BRATS_2024_GLI = "brats2024-gli"
    BRATS_2024_MEN_RT = "brats2024-men-rt"
    BRATS_2026 = "brats2026"

    def describe(self) -> str:
        """Return the rule as a sentence, situation by situation."""
        situations_of: dict[str, list[str]] = {}
        for number, situation in enumerate(SITUATIONS):
            scores_of: dict[str, list[str]] = {}
            for score, values in rules_of(self).items():
                scores_of.setdefault(describe_value(score, values[number]), []).append(score)
            values_in_words = [
                f"{join_names(scores)} {'are' if len(scores) > 1 else 'is'} {text}"
                for text, scores in scores_of.items()
            ]
            situations_of.setdefault(", ".join(values_in_words), []).append(f"where {situation}")
        rules = [f"{join_names(situations)}, {values}" for values, situations in situations_of.items()]
        return f"Empty masks, policy {self}: {'; '.join(rules)}.{REMARKS.get(self, '')}"


class Empty(NamedTuple):
    """The value of a score if both masks are empty, only the reference, or only the prediction (a miss)."""

    both: Value
    reference: Value
    prediction: Value


SITUATIONS = ("both masks are empty", "only the reference is empty", "only the prediction is empty")  # as in `Empty`

# by score; NSD stands for every tolerance
RULES = {
    EmptyPolicy.NNUNET: {
        "Dice": Empty(LEFT_OUT, 0, 0),
        "Precision": Empty(LEFT_OUT, 0, 0),
        "Sensitivity": Empty(LEFT_OUT, LEFT_OUT, 0),
        "HD95": Empty(LEFT_OUT, LEFT_OUT, DIAGONAL),
        "NSD": Empty(LEFT_OUT, 0, 0),
    },
    EmptyPolicy.BRATS: {
        "Dice": Empty(1, 0, 0),
        "Precision": Empty(1, 0, 0),
        "Sensitivity": Empty(1, 0, 0),
        "HD95": Empty(0, DIAGONAL, DIAGONAL),
        "NSD": Empty(1, 0, 0),
    },
    EmptyPolicy.BRATS_2015: {
        "Dice": Empty(1, 0, 0),
        "Precision": Empty(1, 0, 0),
        "Sensitivity": Empty(1, 0, 0),
        "HD95": Empty(LEFT_OUT, LEFT_OUT, LEFT_OUT),
        "NSD": Empty(LEFT_OUT, LEFT_OUT, LEFT_OUT),
    },
    EmptyPolicy.BRATS_2023: {
        "Dice": Empty(1, 0, 0),
        "Precision": Empty(1, 0, 0),
        "Sensitivity": Empty(1, 0, 0),
        "HD95": Empty(0, 374, 374),
        "NSD": Empty(1, 0, 0),
    },
    EmptyPolicy.BRATS_2026: {
        "Dice": Empty(LEFT_OUT, 0, 0),
        "Precision": Empty(LEFT_OUT, 0, 0),
        "Sensitivity": Empty(LEFT_OUT, 0, 0),
        "HD95": Empty(LEFT_OUT, 373, 373),
        "NSD": Empty(LEFT_OUT, 0, 0),
    },
}
RULES[EmptyPolicy.BRATS_2024_GLI] = {**RULES[EmptyPolicy.BRATS_2023], "HD95": Empty(0, 337, 337)}
RULES[EmptyPolicy.BRATS_2024_MEN_RT] = {
    **RULES[EmptyPolicy.BRATS_2023],
    "HD95": Empty(0, VOXEL_DIAGONAL, VOXEL_DIAGONAL),
}

FOLLOWS = {"ASSD": "HD95"}  # scores with the same values as another score

REMARKS = {EmptyPolicy.NNUNET: " So an empty prediction of an existing region fails in every score."}


def rules_of(policy: EmptyPolicy) -> dict[str, Empty]:
    """Return the values of empty masks under a policy, by score."""
    return RULES[policy] | {score: RULES[policy][other] for score, other in FOLLOWS.items()}


def describe_value(score: str, value: Value) -> str:
    """Return a value as a phrase."""
    if value == DIAGONAL:
        return "the diagonal of the volume"
    if value == VOXEL_DIAGONAL:
        return "the diagonal of the volume in voxels"
    if math.isnan(value):
        return "left out"
    return f"{value:g} mm" if FOLLOWS.get(score, score) == "HD95" else f"{value:g}"
