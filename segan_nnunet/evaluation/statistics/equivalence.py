"""Test equivalence and non-inferiority: whether a method is as good as another, or not worse, within a margin.

Two one-sided t-tests (TOST; Schuirmann 1987) of the mean difference d with the standard error s and f degrees of
freedom, against a margin m in units of the score:

    p of equivalence     = P(T_f > (m - |d|) / s)        d lies between -m and m
    p of non-inferiority = P(T_f > (m + gain) / s)       gain: d where high scores are good, else -d

p of equivalence is the larger p of the two sides. It is below 5 % exactly if the 90 % interval d ± t s lies within the
margin. The error is that of units and seeds (`seed_level`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.scores import TABLE_1, Score
from segan_nnunet.evaluation.statistics.paired import ALPHA, holm_by_family
from segan_nnunet.evaluation.statistics.seed_level import Estimate

CONFIDENCE = 1 - 2 * ALPHA  # of the interval that is equivalent to two one-sided tests
AS_GOOD, NOT_WORSE, NOT_SHOWN = "as good", "not worse", "not shown"  # the verdicts
MARGIN_RULE = "a number above 0 and below 1 in units of Dice, such as 0.02"


def is_margin(value: object) -> bool:
    """Return whether a value is a margin of a score between 0 and 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def check_margin(margin: float | None) -> None:
    """Check the margin of a comparison. None stands for no test of equivalence.

    Raises:
        InputError: it is not a number above 0 and below 1.
    """
    if margin is not None and not is_margin(margin):
        raise InputError(f"--margin is {margin!r}, and must be {MARGIN_RULE}. Correct it")


def p_above(distance: ArrayLike, error: ArrayLike, freedom: ArrayLike) -> NDArray[np.float64]:
    """Return p of the one-sided t-test that a mean lies above a bound.

    Args:
        distance: the mean minus the bound.
        error: the standard error of the mean. If it is 0, p is 0 for a mean above the bound, else 1.
        freedom: the degrees of freedom of the error.
    """
    distance, error = np.broadcast_arrays(np.asarray(distance, float), np.asarray(error, float))
    certain = np.where(distance > 0, np.inf, -np.inf)
    return stats.t.sf(np.divide(distance, error, out=certain, where=error != 0), freedom)


def equivalence_p(mean: ArrayLike, error: ArrayLike, freedom: ArrayLike, margin: float) -> NDArray[np.float64]:
    """Return p of two one-sided t-tests that a mean lies between -margin and margin."""
    return p_above(margin - np.abs(mean), error, freedom)


def has_margin(score: Score, primary: Sequence[str]) -> bool:
    """Return whether a margin in units of Dice applies to a score.

    It applies to the overlaps of Table 1, and to scores of the primary endpoint that lie between 0 and 1. It does not
    apply to distances or volumes.
    """
    is_share = (score.low, score.high) == (0, 1)
    return is_share and (score in TABLE_1 or score.column in primary)


def add_equivalence(
    tests: pd.DataFrame, margin: float, scores: Sequence[Score], primary: Sequence[str]
) -> pd.DataFrame:
    """Add the tests of equivalence and of non-inferiority to a table of tests.

    Holm's correction uses the same families as for the differences, separately for each of the two kinds of test.
    The verdict is:

    - `AS_GOOD` if p of equivalence is below 5 % after the correction and the 90 % interval lies within the margin;
    - else `NOT_WORSE` if p of non-inferiority is below 5 % after the correction and the interval ends within the
      margin on the worse side;
    - else, and for fewer than ten units, `NOT_SHOWN`.

    Args:
        tests: the result of `paired_tests`.
        margin: a number above 0 and below 1.
        scores: all scores in `tests`.
        primary: columns of the scores of the primary endpoint.

    Returns:
        The table with margin, difference_low90, difference_high90, p_equivalence, p_equivalence_holm,
        p_noninferiority, p_noninferiority_holm and equivalence (the verdict). They are NaN and "" if the margin does
        not apply to the score, or no unit defines it.
    """
    by_column = {score.column: score for score in scores}
    fitting = [score.column for score in scores if has_margin(score, primary)]
    chosen = tests[tests["score"].isin(fitting) & (tests["pairs"] > 0)]
    added = pd.DataFrame(index=chosen.index, data={"margin": margin})
    good = np.array([1 if by_column[column].higher_is_better else -1 for column in chosen["score"]])
    estimates = [Estimate(row.difference, row.error, row.freedom, row.pairs) for row in chosen.itertuples()]
    largest = [by_column[column].largest_difference for column in chosen["score"]]
    ends = [each.interval(-most, most, CONFIDENCE) for each, most in zip(estimates, largest, strict=True)]
    low, high = np.array(ends).reshape(-1, 2).T
    added["difference_low90"], added["difference_high90"] = low, high
    mean, error, freedom = (chosen[name].to_numpy(float) for name in ("difference", "error", "freedom"))
    added["p_equivalence"] = equivalence_p(mean, error, freedom, margin)
    added["p_equivalence_holm"] = holm_by_family(added["p_equivalence"], chosen["family"])
    added["p_noninferiority"] = p_above(margin + good * mean, error, freedom)
    added["p_noninferiority_holm"] = holm_by_family(added["p_noninferiority"], chosen["family"])
    is_as_good = (added["p_equivalence_holm"] < ALPHA) & (-margin < low) & (high < margin)
    is_not_worse = (added["p_noninferiority_holm"] < ALPHA) & (np.where(good > 0, low, -high) > -margin)
    added["equivalence"] = np.where(is_as_good, AS_GOOD, np.where(is_not_worse, NOT_WORSE, NOT_SHOWN))
    return tests.join(added).fillna({"equivalence": ""})
