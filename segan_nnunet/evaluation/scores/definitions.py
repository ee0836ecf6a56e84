"""What is measured where the field has several definitions of one name: which HD95, which NSD, what a lesion is.

The command line imports this for its options, so it imports nothing heavy.
"""

from dataclasses import dataclass
from enum import StrEnum


class Hd95(StrEnum):
    """A definition of HD95; it is named under every table that shows it."""

    DIRECTED_MAX = "directed-max"
    POOLED = "pooled"
    SURFACE = "surface"

    @property
    def words(self) -> str:
        """The definition in words."""
        return HD95_WORDS[self]


HD95_WORDS = {
    Hd95.DIRECTED_MAX: "the larger of the two directed 95th percentiles of the distances between surface voxels, as "
    "MONAI has it",
    Hd95.POOLED: "the 95th percentile of the distances between surface voxels, both directions pooled, as medpy and "
    "panoptica have it",
    Hd95.SURFACE: "the larger of the two directed 95th percentiles by area of the surfaces, as surface-distance and "
    "BraTS 2023 have it",
}


@dataclass(frozen=True)
class Measures:
    """What to measure beside counts.

    Attributes:
        hd95: the definition of HD95.
        nsd_mm: tolerances of the normalised surface Dice, in mm.
    """

    hd95: Hd95 = Hd95.DIRECTED_MAX
    nsd_mm: tuple[float, ...] = (0.5, 1.0)


DEFAULT_MEASURES = Measures()
