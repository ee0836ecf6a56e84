"""Print the tables of this study from its scores.

usage: python studies/beside/analysis.py

scores.csv, in the folder of this file, has one row per part of the study, trainer, seed and case. A row has the mean of
four scores over the three regions, and the number of false lesions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segan_nnunet.evaluation.scores.scores import DICE, HD95, TABLE_1, Score
from segan_nnunet.evaluation.statistics.paired import holm, wilcoxon
from segan_nnunet.evaluation.statistics.seed_level import estimate

TABLE = Path(__file__).with_name("scores.csv")
_, PRECISION, SENSITIVITY = TABLE_1
FALSE_LESIONS = Score("false lesions", "false lesions", higher_is_better=False, high=np.inf)
SCORES = (DICE, HD95, PRECISION, SENSITIVITY, FALSE_LESIONS)
PARTS = {
    "choice": "Choice: folds 0 and 1, seed 0",
    "same_sites": "Same sites: five folds",
    "other_site": "Another site",
}
NO_CRITICS = "DiceCE_1000"


class Pair(NamedTuple):
    """A comparison of the chosen trainer with another trainer.

    Attributes:
        title: title of the comparison.
        scores: rows of scores.csv.
        other: name of the other trainer.
    """

    title: str
    scores: pd.DataFrame
    other: str


def main() -> None:
    """Print all tables, in Markdown."""
    table = pd.read_csv(TABLE)
    choice, same, other = (table[table["part"] == part] for part in PARTS)
    with_critics = choice[choice["trainer"] != NO_CRITICS]
    chosen = str(with_critics.groupby("trainer")[DICE.column].mean().idxmax())
    frozen = chosen.replace("_1000", "_frozen_1000")
    pairs = [
        Pair("same sites, the adversary", same, frozen),
        Pair("same sites, equal steps", same, NO_CRITICS),
        Pair("same sites, equal time", same, "DiceCE_1400"),
        Pair("another site, equal steps", other, NO_CRITICS),
        Pair("another site, equal time", other, "DiceCE_1400"),
    ]
    unseen = same[~same["case"].isin(choice["case"])]
    for part, title in PARTS.items():
        print(f"{title}\n\n{means_table(table[table['part'] == part])}\n")
    print(f"{chosen} minus the other trainer\n\n{differences_table(chosen, pairs)}\n")
    print("The same sites, only patients of folds 2 to 4, which the choice did not use\n")
    print(differences_table(chosen, [pair._replace(scores=unseen) for pair in pairs[:3]]))


def means_table(scores: pd.DataFrame) -> str:
    """Return the means of each trainer over cases and seeds."""
    columns = [score.column for score in SCORES]
    rows = [f"| trainer | cases | {' | '.join(columns)} |", f"| --- | ---: |{' ---: |' * len(columns)}"]
    for trainer, of_trainer in scores.groupby("trainer", sort=False):
        means = " | ".join(f"{mean:.3f}" for mean in of_trainer[columns].mean())
        rows.append(f"| {trainer} | {of_trainer['case'].nunique()} | {means} |")
    return "\n".join(rows)


def differences(scores: pd.DataFrame, trainer: str, other: str, score: Score) -> NDArray[np.float64]:
    """Return the differences of two trainers, paired by seed and case, (seeds, cases)."""
    values = scores.pivot(index="seed", columns=["trainer", "case"], values=score.column)
    return (values[trainer] - values[other]).to_numpy()


def differences_table(trainer: str, pairs: Sequence[Pair]) -> str:
    """Return the mean differences with intervals over seeds and cases.

    p tests the Dice, averaged over seeds, over the cases.
    """
    p = [wilcoxon(differences(pair.scores, trainer, pair.other, DICE).mean(axis=0))[0] for pair in pairs]
    rows = [
        "| comparison | score | difference | 95 % | by seed | p | Holm | ahead in |",
        "| --- | --- | ---: | --- | --- | ---: | ---: | --- |",
    ]
    for pair, uncorrected, corrected in zip(pairs, p, holm(p), strict=True):
        for score in SCORES:
            values = differences(pair.scores, trainer, pair.other, score)
            low, high = estimate(values).interval(score.low - score.high, score.high - score.low)
            by_seed = ", ".join(f"{mean:+.3f}" for mean in values.mean(axis=1))
            tests = f"{uncorrected:.4f} | {corrected:.4f}" if score is DICE else " | "
            by_case = values.mean(axis=0)
            ahead = (by_case > 0 if score.higher_is_better else by_case < 0).sum()
            rows.append(
                f"| {pair.title}: {pair.other} | {score.column} | {values.mean():+.3f} | {low:+.3f} to {high:+.3f} "
                f"| {by_seed} | {tests} | {ahead} of {len(by_case)} |"
            )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
