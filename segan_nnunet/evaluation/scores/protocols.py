"""Protocols: the definitions of a challenge for empty masks, HD95, NSD and lesions under one name.

The command line imports this for its options, so it imports nothing heavy.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.definitions import LESION_RULES, Hd95, Lesions, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy

AUTO = "auto"  # the protocol of the dataset's release


@dataclass(frozen=True)
class Protocol:
    """The definitions of a challenge. HD95 and NSD are those of its lesions.

    Attributes:
        title: the source of the definitions.
        policy: defines the scores of empty masks.
        lesions: defines the lesion-wise scores.
    """

    title: str
    policy: EmptyPolicy
    lesions: Lesions = Lesions.NONE

    @property
    def hd95(self) -> Hd95:
        """The definition of HD95."""
        rule = LESION_RULES.get(self.lesions)
        return rule.hd95 if rule else Hd95.DIRECTED_MAX


PROTOCOLS = {
    "segan": Protocol("the SegAN paper: Dice, precision and sensitivity, no lesions", EmptyPolicy.NNUNET),
    "nnunet": Protocol("nnU-Net", EmptyPolicy.NNUNET),
    "brats2023-gli": Protocol("BraTS 2023 GLI", EmptyPolicy.BRATS_2023, Lesions.BRATS_2023),
    "brats2023-ssa": Protocol("BraTS 2023 SSA", EmptyPolicy.BRATS_2023, Lesions.BRATS_2023),
    "brats2023-ped": Protocol("BraTS 2023 PED", EmptyPolicy.BRATS_2023, Lesions.BRATS_2023),
    "brats2023-men": Protocol("BraTS 2023 MEN", EmptyPolicy.BRATS_2023, Lesions.BRATS_2023_MEN),
    "brats2023-met": Protocol("BraTS 2023 MET", EmptyPolicy.BRATS_2023, Lesions.BRATS_2023_MET),
    "brats2024-gli": Protocol("BraTS 2024 GLI", EmptyPolicy.BRATS_2024_GLI, Lesions.BRATS_2024_GLI),
    "brats2024-ssa": Protocol("BraTS 2024 SSA", EmptyPolicy.BRATS_2023, Lesions.BRATS_2024_SSA),
    "brats2024-ped": Protocol("BraTS 2024 PED", EmptyPolicy.BRATS_2023, Lesions.BRATS_2024_PED),
    "brats2024-men-rt": Protocol("BraTS 2024 MEN-RT", EmptyPolicy.BRATS_2024_MEN_RT, Lesions.BRATS_2024_MEN_RT),
    "brats2024-met": Protocol("BraTS 2024 MET", EmptyPolicy.BRATS_2023, Lesions.BRATS_2024_MET),
    "brats2025-gli": Protocol("BraTS 2025 GLI", EmptyPolicy.BRATS_2024_GLI, Lesions.BRATS_2024_GLI),
    "brats2025-ssa": Protocol("BraTS 2025 SSA", EmptyPolicy.BRATS_2023, Lesions.BRATS_2024_SSA),
    "brats2025-ped": Protocol("BraTS 2025 PED", EmptyPolicy.BRATS_2023, Lesions.BRATS_2024_PED),
    "brats2025-men": Protocol("BraTS 2025 MEN", EmptyPolicy.BRATS_2023, Lesions.BRATS_2025_MEN),
    "brats2025-men-rt": Protocol("BraTS 2025 MEN-RT", EmptyPolicy.BRATS_2024_MEN_RT, Lesions.BRATS_2024_MEN_RT),
    "brats2025-met": Protocol("BraTS 2025 MET", EmptyPolicy.BRATS_2024_MEN_RT, Lesions.BRATS_2025_MET),
    "brats2026": Protocol("BraTS 2026", EmptyPolicy.BRATS_2026, Lesions.BRATS_2026),
}
# GoAT scores each case by the rule of its cohort, and no public table names the cohorts
BY_COHORT = {
    "brats2024-goat": ("brats2023-gli", "brats2023-men", "brats2023-met", "brats2023-ped", "brats2023-ssa"),
    "brats2025-goat": ("brats2025-gli", "brats2025-men", "brats2025-met", "brats2025-ped", "brats2025-ssa"),
}
# for releases without a protocol of the same name; GoAT 2026 needs no cohorts
RELEASE_PROTOCOLS = {"brats2024-goat": "brats2026"}
DEFAULT_PROTOCOL = "segan"


@dataclass(frozen=True)
class Definitions:
    """The definitions of a comparison.

    Attributes:
        protocol: name of the protocol.
        policy: defines the scores of empty masks.
        measures: the measures besides voxel counts.
    """

    protocol: str
    policy: EmptyPolicy
    measures: Measures

    def describe(self) -> str:
        """Return the name of the protocol, and the definitions that replace its own."""
        own = PROTOCOLS[self.protocol]
        others = [
            f"{name} {value}"
            for name, value, of_protocol in (
                ("empty", self.policy, own.policy),
                ("lesions", self.measures.lesions, own.lesions),
                ("hd95", self.measures.hd95, own.hd95),
            )
            if value != of_protocol
        ]
        departures = f", but for {', '.join(others)}" if others else ""
        return f"Protocol {self.protocol} ({own.title}){departures}."


def protocol_of_release(release: str) -> str:
    """Return the name of a release's protocol; that of the paper if the release has none or is unknown."""
    return release if release in PROTOCOLS else RELEASE_PROTOCOLS.get(release, DEFAULT_PROTOCOL)


def check_protocol(name: str) -> None:
    """Check that a protocol can be used.

    Raises:
        InputError: it is unknown, or needs the cohorts of the cases.
    """
    if name in BY_COHORT:
        raise InputError(
            f"{name} scores each case by the rule of its cohort, and the challenge's table of cohorts is not public. "
            f"Compare the cases of each cohort separately, with --protocol {', '.join(BY_COHORT[name])}; or take "
            "brats2026, the rule of GoAT in 2026, which is the same for all cases"
        )
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol '{name}'; --protocol takes {AUTO}, {', '.join(by_similarity(name))}")


def by_similarity(name: str) -> Sequence[str]:
    """Return the names of all protocols, the most similar ones to a name first."""
    similar = difflib.get_close_matches(name.casefold(), PROTOCOLS, n=3)
    return [*similar, *(other for other in PROTOCOLS if other not in similar)]


def resolve(protocol: str, release: str, policy: EmptyPolicy, measures: Measures) -> Definitions:
    """Return the definitions of a comparison, with each `auto` replaced by the protocol's definition.

    HD95 and NSD of whole regions have the same definitions as those of lesions.

    Args:
        protocol: name of the protocol; `auto` for that of the release.
        release: name of the dataset's release; empty if unknown.
        policy, measures: the requested definitions, or `auto`.

    Raises:
        InputError: as `check_protocol`.
    """
    name = protocol_of_release(release) if protocol == AUTO else protocol
    check_protocol(name)
    own = PROTOCOLS[name]
    lesions = own.lesions if measures.lesions is Lesions.AUTO else measures.lesions
    rule = LESION_RULES.get(lesions) or LESION_RULES.get(own.lesions)
    hd95 = (rule.hd95 if rule else own.hd95) if measures.hd95 is Hd95.AUTO else measures.hd95
    by_mask = rule.nsd_by_mask if rule else measures.nsd_by_mask
    return Definitions(
        name,
        own.policy if policy is EmptyPolicy.AUTO else policy,
        replace(measures, hd95=hd95, lesions=lesions, nsd_by_mask=by_mask),
    )
