"""Find files that should differ and hold the same voxels: a method and the reference, two methods, two cases."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from segan_nnunet.data.volumes.same_voxels import Checksums
from segan_nnunet.errors import shorten

REFERENCE = ""  # in the place of a method's name
FEWEST_CASES = 2  # a single case may be equal by chance: an empty prediction, a perfect one


def same_file_warnings(voxels: Mapping[str, Mapping[str, Checksums]], empty: Sequence[str] = ()) -> list[str]:
    """Return a sentence for each method that equals the reference or another method, and one for equal references.

    Args:
        voxels: checksums by case and then by method; the reference has the key REFERENCE.
        empty: the cases whose reference has no label. They may be equal.
    """
    cases = [case for case in voxels if case not in empty]
    if len(cases) < FEWEST_CASES:
        return []
    warnings = []
    for one, other in combinations([REFERENCE, *(name for name in voxels[cases[0]] if name)], 2):
        if all(voxels[case][one] == voxels[case][other] for case in cases):
            both = f"{one} and {other} hold the same voxels" if one else f"{other} holds the voxels of the reference"
            warnings.append(f"{both} in all {len(cases)} cases. Were the right folders given?")
    twins = defaultdict(list)
    for case in cases:
        twins[voxels[case][REFERENCE]].append(case)
    if groups := [" = ".join(names) for names in twins.values() if len(names) > 1]:
        warnings.append(
            f"some cases have the same reference, voxel by voxel: {shorten(groups)}. If they are copies, remove them "
            "or name the patients (--patients). Otherwise the intervals are too narrow"
        )
    return warnings
