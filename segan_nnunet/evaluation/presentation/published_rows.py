"""The paper's published rows of Table 1. They come from other data, so they are a landmark and no comparison."""

from dataclasses import dataclass

SOURCE = "Xue et al. 2018, Table 1"


@dataclass(frozen=True)
class PublishedRow:
    """The printed scores of the whole, core and enhancing tumor, and their data."""

    method: str
    data: str
    dice: tuple[float, float, float]
    precision: tuple[float, float, float]
    sensitivity: tuple[float, float, float]

    @property
    def scores(self) -> dict[str, tuple[float, float, float]]:
        """The scores by column of Table 1."""
        return {"Dice": self.dice, "Precision": self.precision, "Sensitivity": self.sensitivity}


LEADERBOARD, TEST = "BRATS 2013 leaderboard", "BRATS 2015 test"
ROWS = (
    PublishedRow("Havaei", LEADERBOARD, (0.84, 0.71, 0.57), (0.88, 0.79, 0.54), (0.84, 0.72, 0.68)),
    PublishedRow("Pereira", LEADERBOARD, (0.84, 0.72, 0.62), (0.85, 0.82, 0.60), (0.86, 0.76, 0.68)),
    PublishedRow("SegAN", LEADERBOARD, (0.84, 0.70, 0.65), (0.87, 0.80, 0.68), (0.83, 0.74, 0.72)),
    PublishedRow("Kamnitsas", TEST, (0.85, 0.67, 0.63), (0.85, 0.86, 0.63), (0.88, 0.60, 0.67)),
    PublishedRow("U-net", TEST, (0.80, 0.63, 0.64), (0.83, 0.81, 0.78), (0.80, 0.58, 0.60)),
    PublishedRow("SegAN", TEST, (0.85, 0.70, 0.66), (0.92, 0.80, 0.69), (0.80, 0.65, 0.62)),
)
REGION_NAME_PARTS = ("whole", "core", "enhanc")


def published_position(region: str) -> int | None:
    """Return the position of a dataset's region among whole, core, enhancing; None for other regions."""
    positions = [position for position, part in enumerate(REGION_NAME_PARTS) if part in region.casefold()]
    return positions[0] if len(positions) == 1 else None
