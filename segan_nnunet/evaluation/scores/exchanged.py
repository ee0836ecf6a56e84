"""Find exchanged labels: predictions whose label values mean something else than those of the reference."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

LEAST_RATIO = 2  # of the voxels with the other label to those with the same label
LEAST_SHARE = 0.25  # of a label's reference voxels that have the other label in the prediction

Exchange = tuple[tuple[int, int], ...]  # pairs of a reference label and the predicted label in its place


def exchanged_labels(confusion: NDArray[np.int64], values: Sequence[int], ignore_value: int | None = None) -> Exchange:
    """Return the labels that a prediction has exchanged, in pairs or in longer cycles; empty if there are none.

    The function finds the assignment of predicted labels to reference labels that agrees in the most voxels. It
    compares this assignment with the identity.

    Args:
        confusion: number of voxels by label of the reference (rows) and of the prediction (columns).
        values: the label of each row. The first one is the background, which is never exchanged.
        ignore_value: the label whose voxels do not count.
    """
    rows = [row for row, value in enumerate(values) if row > 0 and value != ignore_value]
    counts, totals = confusion[np.ix_(rows, rows)], confusion[rows].sum(1)
    pairs = {
        row: column
        for row, column in zip(*linear_sum_assignment(counts, maximize=True), strict=True)
        if counts[row, column] > max(LEAST_RATIO * counts[row, row], LEAST_SHARE * totals[row])
    }
    while open_ends := set(pairs) ^ set(pairs.values()):  # only cycles are exchanges
        pairs = {row: column for row, column in pairs.items() if not open_ends & {row, column}}
    return tuple((values[rows[row]], values[rows[column]]) for row, column in pairs.items())


def exchange_warnings(method: str, exchanges: Sequence[Exchange], labels: Sequence[set[int]]) -> list[str]:
    """Return a sentence for each exchange that occurs in most of the cases with its labels.

    Args:
        method: name of the method.
        exchanges: the result of `exchanged_labels` for each case.
        labels: the labels of each case's reference.
    """
    warnings = []
    for exchange, count in Counter(exchanges).items():
        exchanged = {label for label, _ in exchange}
        cases = sum(exchanged <= present for present in labels)
        if exchange and 2 * count > cases:
            pairs = ", ".join(f"{label} → {predicted}" for label, predicted in exchange)
            warnings.append(
                f"{method}: labels look exchanged in {count} of {cases} cases. Where the reference has one label, "
                f"the prediction mostly has another: {pairs}. Are its values those of dataset.json?"
            )
    return warnings
