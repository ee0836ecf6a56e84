"""Definitions of scores of which the field has several: HD95, NSD and lesions.

The command line imports this for its options, so it imports nothing heavy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.regions import NAMES, Region, region_named, region_values
from segan_nnunet.text_enum import TextEnum


class Hd95(TextEnum):
    """A definition of HD95. The notes of every table with HD95 name it."""

    AUTO = "auto"
    DIRECTED_MAX = "directed-max"
    POOLED = "pooled"
    SURFACE = "surface"

    def describe(self) -> str:
        """Return the definition as a sentence."""
        return HD95_DEFINITIONS[self]


HD95_DEFINITIONS = {
    Hd95.DIRECTED_MAX: "the larger of the two directed 95th percentiles of the distances between surface voxels, as "
    "in MONAI",
    Hd95.POOLED: "the 95th percentile of the distances between surface voxels, both directions pooled, as in medpy "
    "and panoptica",
    Hd95.SURFACE: "the larger of the two directed 95th percentiles by area of the surfaces, as in surface-distance "
    "and BraTS 2023",
}


NSD_DEFINITIONS = {
    False: "NSD: the share of the surface voxels of both masks that lie within the tolerance of the other surface.",
    True: "NSD: the share of a mask's surface voxels within the tolerance of the other surface; mean of both masks.",
}


class Lesions(TextEnum):
    """A challenge's definition of lesion-wise scores. The notes below their table state it."""

    AUTO = "auto"
    NONE = "none"
    BRATS_2023 = "2023"
    BRATS_2023_MEN = "2023-MEN"
    BRATS_2023_MET = "2023-MET"
    BRATS_2024_GLI = "2024-GLI"
    BRATS_2024_PED = "2024-PED"
    BRATS_2024_MEN_RT = "2024-MEN-RT"
    BRATS_2024_MET = "2024-MET"
    BRATS_2024_SSA = "2024-SSA"
    BRATS_2025_MEN = "2025-MEN"
    BRATS_2025_MET = "2025-MET"
    BRATS_2026 = "2026"


class RegionRule(NamedTuple):
    """The values of a `LesionRule` that hold for one region only."""

    dilation: int
    smallest_mm3: float
    united_by: tuple[Region, ...] = ()


@dataclass(frozen=True)
class LesionRule:
    """The rule by which lesions are found, matched and averaged.

    Attributes:
        challenge: the challenge that defines the rule.
        hd95: the definition of HD95 of a lesion.
        penalty_mm: HD95 of a missed or false lesion, whose Dice and NSD are 0. None: the diagonal of the volume in
            voxels.
        dilation: number of voxels by which the reference grows, over faces and edges, before its components are
            numbered as lesions. A predicted component finds each grown lesion that it touches.
        smallest_mm3: lesions of the reference of this volume or less are left out.
        one_to_one: each predicted component finds at most one lesion. The matching has the greatest sum of Dice.
        averages_failures: missed and false lesions enter the means. If False, they do so only if no lesion is found.
        nothing_is_perfect: without lesions in reference and prediction, Dice and NSD are 1 and HD95 is 0. If False,
            the case is left out.
        nsd_by_mask: as in `Measures`.
        predictions_alike: the prediction grows too before its components are numbered, and components of
            `smallest_mm3` or less are dropped.
        smallest_in_voxels: compare the number of voxels of a predicted component, not its volume, with `smallest_mm3`.
        averages_false_lesions: false lesions enter the means.
        united_by: lesions that touch the same component of such a region, over faces and edges, are one lesion. If a
            lesion touches several components, the first one counts. This holds for reference and prediction, and for
            one region after the other.
        regions: the rules of single regions. If there are any, no other regions can be scored.
    """

    challenge: str
    hd95: Hd95
    penalty_mm: float | None
    dilation: int = 0
    smallest_mm3: float = 0
    one_to_one: bool = False
    averages_failures: bool = True
    nothing_is_perfect: bool = True
    nsd_by_mask: bool = False
    predictions_alike: bool = False
    smallest_in_voxels: bool = False
    averages_false_lesions: bool = True
    united_by: tuple[Region, ...] = ()
    regions: Mapping[Region, RegionRule] = field(default_factory=dict)

    def of_region(self, region: Region) -> "LesionRule":
        """Return the rule of one region."""
        return replace(self, regions={}, **self.regions[region]._asdict()) if self.regions else self

    def of_dataset(self, regions: Mapping[str, tuple[int, ...]]) -> dict[str, "LesionRule"]:
        """Return the rule of each region of a dataset, by its name.

        Args:
            regions: label values of the dataset's regions, by name.

        Raises:
            InputError: the rule differs by region, and has none for one of these regions.
        """
        known = {name: region_named(name) for name in regions}
        if self.regions and (unknown := [name for name in regions if known[name] not in self.regions]):
            takes = ", ".join(f"{region} ({NAMES[region][0]})" for region in self.regions)
            raise InputError(
                f"the lesions of {self.challenge} have rules by region, {takes}, and none for '{unknown[0]}'. Rename "
                "the region in dataset.json if it is one of these, or take other definitions: --protocol nnunet"
            )
        rules = {name: self.of_region(region) if region else self for name, region in known.items()}
        for region in uniting_regions(rules):
            region_values(regions, region)
        return rules

    def penalty_of(self, shape: Sequence[int]) -> float:
        """Return HD95 of a missed lesion in a volume of this shape."""
        return math.hypot(*shape) if self.penalty_mm is None else self.penalty_mm

    def describe(self) -> str:
        """Return the definition as a sentence."""
        return (
            f"Lesion-wise scores of {self.challenge}: lesions are the components (26 neighbours) of the reference"
            + self.describe_regions()
            + ". "
            + (
                "Each predicted component finds at most one that it overlaps"
                if self.one_to_one
                else "All predicted components that touch one find it together"
            )
            + (
                ". Predicted components are merged and left out in the same way"
                + (", by their number of voxels" if self.smallest_in_voxels else "")
                if self.predictions_alike
                else ""
            )
            + f". A missed {'or false ' if self.averages_false_lesions else ''}lesion has Dice and NSD 0 and HD95 "
            + ("the diagonal of the volume in voxels" if self.penalty_mm is None else f"{self.penalty_mm:g} mm")
            + ("" if self.averages_failures else ", and counts in the means only where no lesion is found")
            + ("" if self.averages_false_lesions else ". False lesions are counted, but do not enter the means")
            + ". Without any lesion "
            + ("in the reference " if not self.averages_false_lesions else "")
            + ("Dice and NSD are 1 and HD95 is 0." if self.nothing_is_perfect else "the case is left out.")
            + f" HD95 of a lesion ({self.hd95}): {self.hd95.describe()}. {NSD_DEFINITIONS[self.nsd_by_mask]}"
        )

    def describe_regions(self) -> str:
        """Return how lesions grow, which are left out and which are united. Regions with equal rules share a phrase."""
        parts = []
        for rule in dict.fromkeys(self.regions.values()):
            alike = [region for region in self.regions if self.regions[region] == rule]
            parts.append(f"; in {', '.join(alike)}{self.of_region(alike[0]).describe_regions()}")
        if self.dilation:
            parts.append(f" grown by {self.dilation} voxel{'s' * (self.dilation > 1)}")
        if self.smallest_mm3:
            parts.append(f", without those of {self.smallest_mm3:g} mm³ or less")
        if self.united_by:
            parts.append(f", and those that touch one component of {' or '.join(self.united_by)} are one")
        return "".join(parts)


def uniting_regions(rules: Mapping[str, LesionRule]) -> set[Region]:
    """Return the regions that unite lesions of other regions, from the rules of a dataset's regions."""
    return {region for rule in rules.values() for region in rule.united_by}


def of_2024(challenge: str, penalty_mm: float | None, regions: Mapping[Region, RegionRule]) -> LesionRule:
    """Return a rule of the BraTS 2024 and 2025 package that differs by region."""
    return LesionRule(
        challenge,
        Hd95.SURFACE,
        penalty_mm,
        nsd_by_mask=True,
        predictions_alike=True,
        smallest_in_voxels=True,
        regions=regions,
    )


METASTASES_2024 = {
    Region.WT: RegionRule(1, 2),
    Region.TC: RegionRule(1, 2),
    Region.ET: RegionRule(1, 2, (Region.NETC,)),
    Region.RC: RegionRule(1, 2),
    Region.NETC: RegionRule(1, 2),
}

LESION_RULES = {
    Lesions.BRATS_2023: LesionRule("BraTS 2023 (GLI, SSA, PED)", Hd95.SURFACE, 374, dilation=3, smallest_mm3=50),
    Lesions.BRATS_2023_MEN: LesionRule("BraTS 2023 MEN", Hd95.SURFACE, 374, dilation=1, smallest_mm3=50),
    Lesions.BRATS_2023_MET: LesionRule("BraTS 2023 MET", Hd95.SURFACE, 374, dilation=1, smallest_mm3=2),
    Lesions.BRATS_2024_GLI: of_2024(
        "BraTS 2024 and 2025 GLI",
        337,
        {
            Region.WT: RegionRule(3, 20),
            Region.TC: RegionRule(3, 20),
            Region.ET: RegionRule(3, 10, (Region.NETC, Region.RC)),
            Region.NETC: RegionRule(5, 20, (Region.ET, Region.RC)),
            Region.SNFH: RegionRule(3, 20, (Region.ET, Region.RC, Region.NETC)),  # not 5: the package misspells it SFNH
            Region.RC: RegionRule(5, 20, (Region.ET, Region.NETC)),
        },
    ),
    Lesions.BRATS_2024_PED: LesionRule(
        "BraTS 2024 and 2025 PED",
        Hd95.SURFACE,
        374,
        dilation=5,
        smallest_mm3=10,
        nsd_by_mask=True,
        predictions_alike=True,
        smallest_in_voxels=True,
    ),
    Lesions.BRATS_2024_MEN_RT: LesionRule(
        "BraTS 2024 and 2025 MEN-RT",
        Hd95.SURFACE,
        None,
        dilation=1,
        smallest_mm3=50,
        nsd_by_mask=True,
        predictions_alike=True,
        averages_false_lesions=False,
    ),
    Lesions.BRATS_2024_MET: of_2024("BraTS 2024 MET", 374, METASTASES_2024),
    Lesions.BRATS_2024_SSA: of_2024(
        "BraTS 2024 and 2025 SSA",
        374,
        {
            Region.WT: RegionRule(3, 50),
            Region.TC: RegionRule(3, 50),
            Region.ET: RegionRule(3, 50, (Region.NETC,)),
            Region.NETC: RegionRule(3, 50),
        },
    ),
    Lesions.BRATS_2025_MEN: LesionRule(
        "BraTS 2025 MEN", Hd95.SURFACE, 374, dilation=1, smallest_mm3=50, nsd_by_mask=True
    ),
    Lesions.BRATS_2025_MET: of_2024("BraTS 2025 MET", None, METASTASES_2024),
    Lesions.BRATS_2026: LesionRule(
        "BraTS 2026",
        Hd95.POOLED,
        373,
        one_to_one=True,
        averages_failures=False,
        nothing_is_perfect=False,
        nsd_by_mask=True,
    ),
}


@dataclass(frozen=True)
class Measures:
    """The measures besides voxel counts.

    Attributes:
        hd95: the definition of HD95. `auto` is `directed-max` until a protocol replaces it.
        nsd_mm: tolerances of the normalised surface Dice, in mm.
        lesions: the definition of lesion-wise scores, or none. `auto` is none until a protocol replaces it.
        nsd_by_mask: NSD is the mean of both masks' shares. If False, it is the share of the surface voxels of both.
    """

    hd95: Hd95 = Hd95.DIRECTED_MAX
    nsd_mm: tuple[float, ...] = (0.5, 1.0)
    lesions: Lesions = Lesions.NONE
    nsd_by_mask: bool = False

    @property
    def lesion_rule(self) -> LesionRule | None:
        """The definition of a lesion; None without lesion-wise scores."""
        return LESION_RULES.get(self.lesions)


DEFAULT_MEASURES = Measures()
