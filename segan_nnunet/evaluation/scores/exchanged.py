"""Labels that look exchanged: a prediction in other values than the reference scores badly, and nothing else tells."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

CLEARLY = 2  # times as many voxels under the other label as under its own
LEAST_SHARE = 0.25  # of a label's reference voxels that have the other label

Exchange = tuple[tuple[int, int], ...]  # label in the reference, and label in the prediction where the reference has it


def exchanged_labels(confusion: NDArray[np.int64], values: Sequence[int], ignore_value: int | None = None) -> Exchange:
    """Return the labels that a prediction has exchanged, in pairs or in a longer cycle; empty if there are none.

    The assignment of predicted labels to the reference's that agrees in most voxels is compared with the identity.

    Args:
        confusion: voxels by label of the reference (rows) and of the prediction (columns).
        values: the labels of its rows; the first is the background, which is never exchanged.
        ignore_value: label whose voxels do not count.
    """
    rows = [row for row, value in enumerate(values) if row > 0 and value != ignore_value]
    counts, totals = confusion[np.ix_(rows, rows)], confusion[rows].sum(1)
    pairs = {
        row: column
        for row, column in zip(*linear_sum_assignment(counts, maximize=True), strict=True)
        if counts[row, column] > max(CLEARLY * counts[row, row], LEAST_SHARE * totals[row])
    }
    while open_ends := set(pairs) ^ set(pairs.values()):  # an exchange is a cycle
        pairs = {row: column for row, column in pairs.items() if not open_ends & {row, column}}
    return tuple((values[rows[row]], values[rows[column]]) for row, column in pairs.items())


def exchange_warnings(method: str, exchanges: Sequence[Exchange], labels: Sequence[set[int]]) -> list[str]:
    """Return a sentence for each exchange that a method shows in most cases that have its labels.

    Args:
        method: its name.
        exchanges: of each case, as `exchanged_labels` returns them.
        labels: labels of the reference of each case.
    """
    warnings = []
    for exchange, count in Counter(exchanges).items():
        of = {label for label, _ in exchange}
        cases = sum(of <= present for present in labels)
        if exchange and 2 * count > cases:
            pairs = ", ".join(f"{label} → {predicted}" for label, predicted in exchange)
            warnings.append(
                f"{method}: labels look exchanged in {count} of {cases} cases. Where the reference has one label, "
                f"the prediction mostly has another: {pairs}. Are its values those of dataset.json?"
            )
    return warnings
