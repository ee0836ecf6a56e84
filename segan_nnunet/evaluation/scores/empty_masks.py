"""What a score is where the prediction, the reference, or both are empty.

The command line imports this for its options, so it imports nothing heavy.
"""

from enum import StrEnum


class EmptyPolicy(StrEnum):
    """A named rule for empty masks; it is stated under every table."""

    NNUNET = "nnunet"
    BRATS = "brats"

    @property
    def rule(self) -> str:
        """The rule in words."""
        return RULES[self]


RULES = {
    EmptyPolicy.NNUNET: (
        "Empty masks, policy nnunet: a score is left out where it is undefined: Dice where reference and prediction "
        "are both empty, precision where the prediction is empty, sensitivity where the reference is empty, HD95 "
        "where either is empty."
    ),
    EmptyPolicy.BRATS: (
        "Empty masks, policy brats: where reference and prediction are both empty, Dice, precision and sensitivity "
        "are 1 and HD95 is 0 mm; where one of them is empty, they are 0 and HD95 is the diagonal of the volume."
    ),
}
