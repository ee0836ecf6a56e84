"""Which region of a challenge a dataset's region is, by its name.

The command line imports this for its options, so it imports nothing heavy.
"""

from collections.abc import Mapping

from segan_nnunet.errors import InputError
from segan_nnunet.text_enum import TextEnum


class Region(TextEnum):
    """A region that can have a lesion rule of its own, by the challenges' abbreviation."""

    WT = "WT"
    TC = "TC"
    ET = "ET"
    NETC = "NETC"
    SNFH = "SNFH"
    RC = "RC"


NAMES = {  # that datasets use, beside the abbreviation
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
    """Return the region that a dataset's name stands for, in upper or lower case; None if it is none of them."""
    wanted = name.casefold().replace("tumour", "tumor").replace("oedema", "edema").replace("_", " ")
    return next((r for r in Region if wanted in {text.casefold() for text in (r, *NAMES[r])}), None)


def region_values(regions: Mapping[str, tuple[int, ...]], region: Region) -> tuple[int, ...]:
    """Return the label values of a region of a dataset; none where the dataset has no such region.

    NETC is also known as the tumor core without the enhancing tumor.

    Args:
        regions: label values of the dataset's regions, by name.
        region: which one.

    Raises:
        InputError: NETC is not known.
    """
    found = {known: values for name, values in regions.items() if (known := region_named(name))}
    if region in found or region is not Region.NETC:
        return found.get(region, ())
    if Region.TC not in found or Region.ET not in found:
        raise InputError(
            "this challenge unites lesions by NETC, the tumor core without the enhancing tumor. The dataset's regions "
            f"do not say where it is: {', '.join(regions)}. Name two regions 'tumor core' and 'enhancing tumor' in "
            "dataset.json, or take other definitions: --protocol nnunet"
        )
    return tuple(value for value in found[Region.TC] if value not in found[Region.ET])
