"""What is measured where the field has several definitions of one name: which HD95, which NSD, what a lesion is.

The command line imports this for its options, so it imports nothing heavy.
"""

from dataclasses import dataclass, replace

from segan_nnunet.text_enum import TextEnum


class Hd95(TextEnum):
    """A definition of HD95; it is named under every table that shows it."""

    AUTO = "auto"
    DIRECTED_MAX = "directed-max"
    POOLED = "pooled"
    SURFACE = "surface"

    def describe(self) -> str:
        """Return the definition in words."""
        return HD95_WORDS[self]


HD95_WORDS = {
    Hd95.DIRECTED_MAX: "the larger of the two directed 95th percentiles of the distances between surface voxels, as "
    "MONAI has it",
    Hd95.POOLED: "the 95th percentile of the distances between surface voxels, both directions pooled, as medpy and "
    "panoptica have it",
    Hd95.SURFACE: "the larger of the two directed 95th percentiles by area of the surfaces, as surface-distance and "
    "BraTS 2023 have it",
}


NSD_WORDS = {
    False: "NSD: the share of the surface voxels of both masks that lie within the tolerance of the other's surface.",
    True: "NSD: of each mask's surface voxels the share that lies within the tolerance of the other's, and their mean.",
}


class Lesions(TextEnum):
    """A challenge's definition of lesion-wise scores; it stands below their table."""

    AUTO = "auto"
    NONE = "none"
    BRATS_2023 = "2023"
    BRATS_2023_MEN = "2023-MEN"
    BRATS_2023_MET = "2023-MET"
    BRATS_2026 = "2026"


@dataclass(frozen=True)
class LesionRule:
    """How lesions are found, matched and averaged.

    Attributes:
        challenge: whose definition it is.
        hd95: of a lesion.
        penalty_mm: HD95 of a lesion that is missed or false; its Dice and NSD are 0.
        dilation: voxels by which the truth grows, over faces and edges, before its components are lesions; a predicted
            component finds each lesion that it touches grown so.
        smallest_mm3: lesions of the truth of this volume, or less, are left out.
        one_to_one: each predicted component finds one lesion at most, by the greatest sum of Dice.
        failures_count: missed and false lesions enter the means; if not, only where nothing is found.
        nothing_is_perfect: without lesions in truth and prediction Dice and NSD are 1 and HD95 is 0; if not, the case
            is left out.
        nsd_by_mask: as in `Measures`.
    """

    challenge: str
    hd95: Hd95
    penalty_mm: float
    dilation: int = 0
    smallest_mm3: float = 0
    one_to_one: bool = False
    failures_count: bool = True
    nothing_is_perfect: bool = True
    nsd_by_mask: bool = False

    def describe(self) -> str:
        """Return the definition in words."""
        return (
            f"Lesion-wise scores of {self.challenge}: lesions are the components (26 neighbours) of the reference"
            + (f" grown by {self.dilation} voxel{'s' * (self.dilation > 1)}" if self.dilation else "")
            + (f"; those of {self.smallest_mm3:g} mm³ or less are left out" if self.smallest_mm3 else "")
            + ". "
            + (
                "Each predicted component finds at most one that it overlaps"
                if self.one_to_one
                else "All predicted components that touch one find it together"
            )
            + f". A missed or false lesion has Dice and NSD 0 and HD95 {self.penalty_mm:g} mm"
            + ("" if self.failures_count else ", and counts in the means only where no lesion is found")
            + ". Without any lesion "
            + ("Dice and NSD are 1 and HD95 is 0." if self.nothing_is_perfect else "the case is left out.")
            + f" HD95 of a lesion ({self.hd95}): {self.hd95.describe()}. {NSD_WORDS[self.nsd_by_mask]}"
        )


LESION_RULES = {
    Lesions.BRATS_2023: LesionRule("BraTS 2023 (GLI, SSA, PED)", Hd95.SURFACE, 374, dilation=3, smallest_mm3=50),
    Lesions.BRATS_2023_MEN: LesionRule("BraTS 2023 MEN", Hd95.SURFACE, 374, dilation=1, smallest_mm3=50),
    Lesions.BRATS_2023_MET: LesionRule("BraTS 2023 MET", Hd95.SURFACE, 374, dilation=1, smallest_mm3=2),
    Lesions.BRATS_2026: LesionRule(
        "BraTS 2026",
        Hd95.POOLED,
        373,
        one_to_one=True,
        failures_count=False,
        nothing_is_perfect=False,
        nsd_by_mask=True,
    ),
}


# what `auto` takes by the release that a dataset was converted from; earlier challenges scored no lesions, and those of
# 2024 that are missing have rules that public sources do not settle
RELEASE_LESIONS = {
    "brats2023-gli": Lesions.BRATS_2023,
    "brats2023-ssa": Lesions.BRATS_2023,
    "brats2023-ped": Lesions.BRATS_2023,
    "brats2023-men": Lesions.BRATS_2023_MEN,
    "brats2023-met": Lesions.BRATS_2023_MET,
    "brats2024-gli": Lesions.BRATS_2026,
    "brats2024-goat": Lesions.BRATS_2026,
    "brats2024-ped": Lesions.BRATS_2026,
}


@dataclass(frozen=True)
class Measures:
    """What to measure beside counts.

    Attributes:
        hd95: the definition of HD95; `auto` is `directed-max` until `of_release` has chosen.
        nsd_mm: tolerances of the normalised surface Dice, in mm.
        lesions: the definition of lesion-wise scores, or none; `auto` is none until `of_release` has chosen.
        nsd_by_mask: NSD is the mean of both masks' shares, and not the share of all their surface voxels.
    """

    hd95: Hd95 = Hd95.DIRECTED_MAX
    nsd_mm: tuple[float, ...] = (0.5, 1.0)
    lesions: Lesions = Lesions.NONE
    nsd_by_mask: bool = False

    def of_release(self, release: str) -> "Measures":
        """Return these measures with `auto` resolved.

        Lesions follow the release's challenge. HD95 of the whole region follows the lesions, so that one table has one
        definition; without lesions it follows the release's challenge.
        """
        of_challenge = RELEASE_LESIONS.get(release, Lesions.NONE)
        lesions = of_challenge if self.lesions is Lesions.AUTO else self.lesions
        rule = LESION_RULES.get(lesions) or LESION_RULES.get(of_challenge)
        hd95 = rule.hd95 if rule else Hd95.DIRECTED_MAX
        return replace(self, hd95=hd95 if self.hd95 is Hd95.AUTO else self.hd95, lesions=lesions)

    @property
    def lesion_rule(self) -> LesionRule | None:
        """The definition of a lesion; None where none is asked for."""
        return LESION_RULES.get(self.lesions)


DEFAULT_MEASURES = Measures()
