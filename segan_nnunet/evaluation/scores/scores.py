"""Scores of one region of one case, and their formulas of voxel counts and volumes (docs/evaluation.md).

P is the predicted region, T the reference (truth). TP, FP, FN and TN are the numbers of voxels in both, in P only, in T
only, and in neither. Voxels with the ignored label do not count.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segan_nnunet.evaluation.scores.definitions import Measures
from segan_nnunet.evaluation.scores.empty_masks import DIAGONAL_COLUMNS, EmptyPolicy, rules_of
from segan_nnunet.evaluation.scores.surface_scores import nsd_column

COUNTS = ("TP", "FP", "FN", "TN")  # of voxels
UNITS = ("_mm", "_ml")  # endings of the columns of distances and volumes
MOST_LOOKED_UP = 1 << 16  # the largest label value for which a table of all values is small


@dataclass(frozen=True)
class Score:
    """A score. To add one, add a row to one of the tuples below: it becomes a column of that table and of cases.csv.

    Attributes:
        column: its name in tables of scores.
        title: its name with its unit.
        higher_is_better: whether high values are good; None if neither high nor low values are, as for a signed
            difference. Such a score is shown but not tested.
        decimals: the number of decimals to show.
        low, high: the range of its values.
        formula: computes its values from the measurements that `add_scores` takes; None if `measure` returns the
            column itself.
        family: the family of its Holm correction; by default that of its table. A score that joins a table later needs
            its own family to leave p of the others unchanged.
    """

    column: str
    title: str
    higher_is_better: bool | None = True
    decimals: int = 3
    low: float = 0.0
    high: float = 1.0
    formula: Callable[[pd.DataFrame], pd.Series] | None = None
    family: str = ""

    @property
    def largest_difference(self) -> float:
        """The largest possible difference of two values."""
        return self.high - self.low


def columns_by_name(columns: Collection[str]) -> dict[str, str]:
    """Return the columns by the names that users may write: with or without unit, in lower case here."""
    without_unit = {column.removesuffix("_mm").removesuffix("_ml").casefold(): column for column in columns}
    return without_unit | {column.casefold(): column for column in columns}


def dice(tp: pd.Series, fp: pd.Series, fn: pd.Series) -> pd.Series:
    """Dice = 2|P ∩ T| / (|P| + |T|) (Eq. 14), in [0, 1]; NaN where both are empty."""
    return ratio(2 * tp, 2 * tp + fp + fn)


def precision(tp: pd.Series, fp: pd.Series) -> pd.Series:
    """Precision = |P ∩ T| / |P|, in [0, 1]; NaN where the prediction is empty."""
    return ratio(tp, tp + fp)


def sensitivity(tp: pd.Series, fn: pd.Series) -> pd.Series:
    """Sensitivity = |P ∩ T| / |T|, in [0, 1]; NaN where the reference is empty."""
    return ratio(tp, tp + fn)


def specificity(tn: pd.Series, fp: pd.Series) -> pd.Series:
    """Specificity = TN / (TN + FP), in [0, 1]; NaN where the reference fills the volume."""
    return ratio(tn, tn + fp)


def relative_volume_difference(tp: pd.Series, fp: pd.Series, fn: pd.Series) -> pd.Series:
    """(|P| - |T|) / |T|, at least -1; NaN where the reference is empty."""
    return ratio(fp - fn, tp + fn)


def ratio(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    """Return the quotient; NaN where the denominator is 0."""
    return numerator / denominator.where(denominator > 0, np.nan)


DICE = Score("Dice", "Dice", formula=lambda of: dice(of["TP"], of["FP"], of["FN"]))
HD95 = Score("HD95_mm", "HD95 (mm)", higher_is_better=False, decimals=2, high=np.inf)
TABLE_1 = (
    DICE,
    Score("Precision", "Precision", formula=lambda of: precision(of["TP"], of["FP"])),
    Score("Sensitivity", "Sensitivity", formula=lambda of: sensitivity(of["TP"], of["FN"])),
)
FURTHER = (
    Score("Specificity", "Specificity", decimals=4, formula=lambda of: specificity(of["TN"], of["FP"])),
    HD95,
    Score("ASSD_mm", "ASSD (mm)", higher_is_better=False, decimals=2, high=np.inf, family="ASSD"),
    Score(
        "VolumeDifference_ml", "Volume difference (ml)", higher_is_better=False, decimals=2, high=np.inf,
        formula=lambda of: (of["FP"] - of["FN"]).abs() * of["voxel_ml"],
    ),
)  # fmt: skip
VOLUMES = (
    Score(
        "SignedVolumeDifference_ml", "Signed volume difference (ml)", higher_is_better=None, decimals=2, low=-np.inf,
        high=np.inf, formula=lambda of: (of["FP"] - of["FN"]) * of["voxel_ml"],
    ),
    Score(
        "RelativeVolumeDifference", "Relative volume difference", higher_is_better=None, low=-1, high=np.inf,
        formula=lambda of: relative_volume_difference(of["TP"], of["FP"], of["FN"]),
    ),
)  # fmt: skip
SCORES = TABLE_1 + FURTHER + VOLUMES  # of every comparison


def further_scores(measures: Measures) -> tuple[Score, ...]:
    """Return the scores of the second table. The title of HD95 has its definition if lesions have another one."""
    rule = measures.lesion_rule
    if rule is None or rule.hd95 == measures.hd95:
        return FURTHER
    return tuple(replace(s, title=f"HD95 {measures.hd95} (mm)") if s.column == HD95.column else s for s in FURTHER)


def nsd_scores(measures: Measures) -> tuple[Score, ...]:
    """Return one score for each tolerance of the normalised surface Dice."""
    return tuple(Score(nsd_column(tolerance), f"NSD {tolerance:g} mm") for tolerance in measures.nsd_mm)


def lesion_wise_scores(measures: Measures) -> tuple[Score, ...]:
    """Return the means over lesions and the numbers of lesions; none without a definition of lesions."""
    rule = measures.lesion_rule
    if rule is None:
        return ()
    definition = "" if rule.hd95 == measures.hd95 else f" {rule.hd95}"
    overlaps = [Score("LesionDice", "Lesion-wise Dice")]
    overlaps += [Score(f"Lesion{score.column}", f"Lesion-wise {score.title}") for score in nsd_scores(measures)]
    return (
        *overlaps,
        Score("LesionHD95_mm", f"Lesion-wise HD95{definition} (mm)", higher_is_better=False, decimals=2, high=np.inf),
        Score("LesionsFound", "Found lesions", decimals=2, high=np.inf),
        Score("LesionsMissed", "Missed lesions", higher_is_better=False, decimals=2, high=np.inf),
        Score("LesionsFalse", "False lesions", higher_is_better=False, decimals=2, high=np.inf),
    )


def detection_scores(measures: Measures) -> tuple[Score, ...]:
    """Return F1 of the lesions and the panoptic quality; none without a definition of lesions."""
    if measures.lesion_rule is None:
        return ()
    return Score("LesionF1", "Lesion F1"), Score("PQ", "PQ"), Score("SQ", "SQ"), Score("RQ", "RQ")


def confusion_matrix(reference: NDArray, prediction: NDArray, values: Sequence[int]) -> NDArray[np.int64]:
    """Count voxels by label of the reference (rows) and of the prediction (columns).

    TP, FP, FN and TN of each region are sums of entries of this matrix, so each volume is read only once.

    Args:
        reference, prediction: labels of the same shape, all of them among the values.
        values: the label values in ascending order. Each has one row and one column.
    """
    rows, columns = (label_positions(labels.ravel(), values) for labels in (reference, prediction))
    number = len(values)
    pairs = rows.astype(np.intp) * number + columns
    return np.bincount(pairs, minlength=number * number).reshape(number, number)


def label_positions(labels: NDArray, values: Sequence[int]) -> NDArray:
    """Return the position of each label in the ascending values."""
    if values[-1] == len(values) - 1:  # 0, 1, 2, ...
        return labels
    if values[-1] > MOST_LOOKED_UP:
        return np.searchsorted(values, labels)
    table = np.zeros(values[-1] + 1, np.intp)
    table[list(values)] = np.arange(len(values))
    return table[labels]


def region_counts(
    confusion: NDArray[np.int64], values: Sequence[int], region: tuple[int, ...], ignore_value: int | None = None
) -> dict[str, int]:
    """Return TP, FP, FN and TN of a region from the counts of `confusion_matrix` for these label values."""
    counts = confusion[[value != ignore_value for value in values]]
    true = np.isin([value for value in values if value != ignore_value], region)
    predicted = np.isin(values, region)
    return {
        "TP": int(counts[true][:, predicted].sum()),
        "FP": int(counts[~true][:, predicted].sum()),
        "FN": int(counts[true][:, ~predicted].sum()),
        "TN": int(counts[~true][:, ~predicted].sum()),
    }


def add_scores(measured: pd.DataFrame, policy: EmptyPolicy) -> pd.DataFrame:
    """Add all scores to a table of measurements.

    Args:
        measured: one row per method, case and region, with TP, FP, FN, TN, voxel_ml, the diagonal of the volume if the
            policy needs it, and the measured scores of surfaces and lesions. Distances are NaN where a mask is empty.
        policy: defines the scores of empty masks.
    """
    tp, fp, fn = (measured[count] for count in ("TP", "FP", "FN"))
    scores = measured.assign(
        **{score.column: score.formula(measured) for score in SCORES if score.formula},
        prediction_ml=(tp + fp) * measured["voxel_ml"],
        reference_ml=(tp + fn) * measured["voxel_ml"],
    )
    no_prediction, no_reference = tp + fp == 0, tp + fn == 0
    situations = (no_prediction & no_reference, no_reference & ~no_prediction, no_prediction & ~no_reference)
    for score, values in rules_of(policy).items():
        for column in scores.filter(regex=f"^{score}(_|$)"):  # the column with its unit or tolerance
            for situation, value in zip(situations, values, strict=True):
                if isinstance(value, str):  # a diagonal
                    scores.loc[situation, column] = measured.loc[situation, DIAGONAL_COLUMNS[value]]
                else:
                    scores.loc[situation, column] = value
    return scores
