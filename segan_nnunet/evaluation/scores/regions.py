"""Match the regions of a dataset to the regions of the challenges by name.

The command line imports this for its options, so it imports nothing heavy.
"""

from collections.abc import Mapping

from segan_nnunet.errors import InputError
from segan_nnunet.text_enum import TextEnum


class Region(TextEnum):
    """A region that can have its own lesion rule, by the abbreviation of the challenges."""

    WT = "WT"
    TC = "TC"
    ET = "ET"
    NETC = "NETC"
    SNFH = "SNFH"
    RC = "RC"


NAMES = {  # names that datasets use besides the abbreviation
    Region.WT: ("whole tumor",),
    Region.TC: ("tumor core",),
    Region.ET: ("enhancing tumor",),
    Region.NETC: (
        "non-enhancing tumor core",
        "non-enhancing tumor",
        "non-enhancing component",
        "necrotic tumor core",
        "necrosis",
        "NCR",
    ),
    Region.SNFH: ("surrounding FLAIR hyperintensity", "edema", "ED"),
    Region.RC: ("resection cavity",),
}


def region_named(name: str) -> Region | None:
    """Return the region with this name, in upper or lower case; None if no region has it."""
    wanted = name.casefold().replace("tumour", "tumor").replace("oedema", "edema").replace("_", " ")
    return next((r for r in Region if wanted in {text.casefold() for text in (r, *NAMES[r])}), None)


def region_values(regions: Mapping[str, tuple[int, ...]], region: Region) -> tuple[int, ...]:
    """Return the label values of a region; none if the dataset has no such region.

    If NETC has no region of its own, it is the tumor core without the enhancing tumor.

    Args:
        regions: label values of the dataset's regions, by name.
        region: the region to look up.

    Raises:
        InputError: NETC is wanted, and the regions do not define it.
    """
    values_of = {known: values for name, values in regions.items() if (known := region_named(name))}
    if region in values_of or region is not Region.NETC:
        return values_of.get(region, ())
    if Region.TC not in values_of or Region.ET not in values_of:
        raise InputError(
            "this challenge unites lesions by NETC, the tumor core without the enhancing tumor. The dataset's regions "
            f"do not say where it is: {', '.join(regions)}. Name two regions 'tumor core' and 'enhancing tumor' in "
            "dataset.json, or take other definitions: --protocol nnunet"
        )
    return tuple(value for value in values_of[Region.TC] if value not in values_of[Region.ET])
