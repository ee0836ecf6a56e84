"""Scores of one region of one case, as formulas of voxel counts, surface distance and volumes (docs/evaluation.md).

P is the predicted region, T the reference (truth). TP, FP, FN, TN count the voxels in both, in P only, in T only, and
in neither; voxels with the ignored label count nowhere.
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
MOST_LOOKED_UP = 1 << 16  # label value up to which a table of all values is small


@dataclass(frozen=True)
class Score:
    """A score. To add one, add a row to one of the tuples below: it becomes a column of that table and of cases.csv.

    Attributes:
        column: its name in tables of scores.
        title: with its unit.
        higher_is_better: whether high values are good; None where neither high nor low values are, as of a signed
            difference. Such a score is shown and not tested.
        decimals: to show.
        low, high: range in which it is defined.
        formula: its values from a table of measurements, as `add_scores` takes it; None where `measure` returns the
            column itself.
        family: of Holm's correction; by default the scores of a table are one. A score that joins a table later has
            its own, so that p of the others stays.
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
    """Divide; NaN where the denominator is 0."""
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
    """Return the scores of the second table; HD95 is named by its definition where lesions have another one."""
    rule = measures.lesion_rule
    if rule is None or rule.hd95 == measures.hd95:
        return FURTHER
    return tuple(replace(s, title=f"HD95 {measures.hd95} (mm)") if s.column == HD95.column else s for s in FURTHER)


def nsd_scores(measures: Measures) -> tuple[Score, ...]:
    """Return the scores of the normalised surface Dice at each of its tolerances."""
    return tuple(Score(nsd_column(tolerance), f"NSD {tolerance:g} mm") for tolerance in measures.nsd_mm)


def lesion_wise_scores(measures: Measures) -> tuple[Score, ...]:
    """Return the means over lesions and the numbers of lesions; none where they are not asked for."""
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
    """Return F1 of the lesions and the panoptic quality; none where no lesions are asked for."""
    if measures.lesion_rule is None:
        return ()
    return Score("LesionF1", "Lesion F1"), Score("PQ", "PQ"), Score("SQ", "SQ"), Score("RQ", "RQ")


def confusion_matrix(reference: NDArray, prediction: NDArray, values: Sequence[int]) -> NDArray[np.int64]:
    """Count voxels by label of the reference (rows) and of the prediction (columns).

    Every region's TP, FP, FN, TN are sums of its entries, so that a volume is read once whatever the regions.

    Args:
        reference, prediction: labels of one shape, all of them among the values.
        values: of the labels, in order: each has a row and a column, so that 0, 2, 1002 and 1026 have four.
    """
    rows, columns = (places(labels.ravel(), values) for labels in (reference, prediction))
    number = len(values)
    pairs = rows.astype(np.intp) * number + columns
    return np.bincount(pairs, minlength=number * number).reshape(number, number)


def places(labels: NDArray, values: Sequence[int]) -> NDArray:
    """Return the place of each label among the values, which are in order."""
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
    """Return TP, FP, FN, TN of a region, from the counts of `confusion_matrix` by these label values."""
    counted = confusion[[value != ignore_value for value in values]]
    true = np.isin([value for value in values if value != ignore_value], region)
    predicted = np.isin(values, region)
    return {
        "TP": int(counted[true][:, predicted].sum()),
        "FP": int(counted[~true][:, predicted].sum()),
        "FN": int(counted[true][:, ~predicted].sum()),
        "TN": int(counted[~true][:, ~predicted].sum()),
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
        for column in scores.filter(regex=f"^{score}(_|$)"):  # with its unit or tolerance
            for situation, value in zip(situations, values, strict=True):
                if isinstance(value, str):  # a diagonal
                    scores.loc[situation, column] = measured.loc[situation, DIAGONAL_COLUMNS[value]]
                else:
                    scores.loc[situation, column] = value
    return scores
