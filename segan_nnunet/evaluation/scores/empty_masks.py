"""What a score is where the prediction, the reference, or both are empty: one table, from which the words are made.

The command line imports this for its options, so it imports nothing heavy.
"""

import math
from typing import Literal, NamedTuple

from segan_nnunet.evaluation.wording import join_names
from segan_nnunet.text_enum import TextEnum

LEFT_OUT = math.nan
DIAGONAL: Literal["diagonal"] = "diagonal"  # of the volume, in mm
VOXEL_DIAGONAL: Literal["voxel diagonal"] = "voxel diagonal"  # of the volume, counted in voxels
DIAGONAL_COLUMNS = {DIAGONAL: "diagonal_mm", VOXEL_DIAGONAL: "diagonal_voxels"}  # that hold them, of measurements

Value = float | Literal["diagonal", "voxel diagonal"]


class EmptyPolicy(TextEnum):
    """A named rule for empty masks; it is stated under every table."""

    AUTO = "auto"  # until a protocol has chosen
    NNUNET = "nnunet"
    BRATS = "brats"
    BRATS_2015 = "brats2015"
    BRATS_2023 = "brats2023"
    BRATS_2024_GLI = "brats2024-gli"
    BRATS_2024_MEN_RT = "brats2024-men-rt"
    BRATS_2026 = "brats2026"

    def describe(self) -> str:
        """Return the rule in words, situation by situation."""
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
    """What a score is in each situation: both masks are empty, the reference alone, the prediction alone (a miss)."""

    both: Value
    reference: Value
    prediction: Value


SITUATIONS = ("both masks are empty", "only the reference is empty", "only the prediction is empty")  # as in `Empty`

# the rows are scores; NSD stands for every tolerance
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

FOLLOWS = {"ASSD": "HD95"}  # scores whose empty masks are those of another score

REMARKS = {EmptyPolicy.NNUNET: " An empty prediction of a region that is there so fails in every score."}


def rules_of(policy: EmptyPolicy) -> dict[str, Empty]:
    """Return what empty masks score under a policy, by score."""
    return RULES[policy] | {score: RULES[policy][other] for score, other in FOLLOWS.items()}


def describe_value(score: str, value: Value) -> str:
    """Return a value as it stands in a sentence."""
    if value == DIAGONAL:
        return "the diagonal of the volume"
    if value == VOXEL_DIAGONAL:
        return "the diagonal of the volume in voxels"
    if math.isnan(value):
        return "left out"
    return f"{value:g} mm" if FOLLOWS.get(score, score) == "HD95" else f"{value:g}"
