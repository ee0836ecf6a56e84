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
        "Empty masks, policy nnunet: an empty prediction of a region that is there fails in every score: Dice, "
        "precision and sensitivity are 0 and HD95 is the diagonal of the volume. Where only the reference is empty, "
        "Dice and precision are 0, and sensitivity and HD95 are left out; where both are, all four are."
    ),
    EmptyPolicy.BRATS: (
        "Empty masks, policy brats: where reference and prediction are both empty, Dice, precision and sensitivity "
        "are 1 and HD95 is 0 mm; where one of them is empty, they are 0 and HD95 is the diagonal of the volume."
    ),
}
