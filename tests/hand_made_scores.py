"""Make score tables by hand, and the usual scores and tests of them."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.scores.definitions import Hd95, Measures
from segan_nnunet.evaluation.scores.scores import DICE, FURTHER, SCORES, TABLE_1, Score
from segan_nnunet.evaluation.scores.surface_scores import MaskPair, surface_scores
from segan_nnunet.evaluation.statistics import paired
from segan_nnunet.evaluation.statistics.sentences import sentences
from segan_nnunet.evaluation.statistics.summary import ALL_CASES

REGIONS = ["whole tumor", "tumor core", "enhancing tumor"]


def scores_of(values: dict[str, list[float]]) -> pd.DataFrame:
    """Return a table in which all scores of a case have the same value in every region."""
    rows = [
        {"method": method, "case": f"c{index}", "region": region, **{score.column: value for score in SCORES}}
        for method, of_method in values.items()
        for (index, value), region in itertools.product(enumerate(of_method), REGIONS)
    ]
    return pd.DataFrame(rows)


def paired_tests(
    scores: pd.DataFrame,
    baseline: str,
    all_pairs: bool = False,
    tables: Mapping[str, Sequence[Score]] | None = None,
    primary: Sequence[str] = (DICE.column,),
) -> pd.DataFrame:
    """Return the tests of the first two tables, with Dice as the primary endpoint."""
    tables = tables or {"table1": TABLE_1, "further_scores": FURTHER}
    return paired.paired_tests(scores, baseline, tables, primary, all_pairs)


def primary_sentences(tests: pd.DataFrame, regions: Sequence[str] = REGIONS) -> list[str]:
    """Return the sentences about the primary endpoint in some regions, over all cases."""
    is_primary = (tests["family"] == paired.PRIMARY) & (tests["stratum"] == ALL_CASES)
    return sentences(tests[is_primary & tests["region"].isin(regions)], SCORES)


def hd95_mm(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing_mm: tuple[float, ...],
    definition: Hd95 = Hd95.DIRECTED_MAX,
) -> float:
    """Return HD95 of two masks."""
    return surface_scores(MaskPair(prediction, reference, spacing_mm), Measures(definition, ()))["HD95_mm"]
