"""What can be wrong with a case, all of it found before anything is written."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from segan_nnunet.data.progress import progress_bar
from segan_nnunet.data.releases.release import CaseFiles, Release, file_ending
from segan_nnunet.data.releases.tables import available_releases, load_release

GEOMETRY_TOLERANCE = 1e-3  # mm for spacing and origin; cosines for direction
MANY = 8  # values of a bad truth that are listed
MOST_COUNTED = 1024  # range of values that are counted rather than sorted

Geometry = dict[str, tuple[float, ...]]


@dataclass
class CaseReport:
    """What the checks found out about a case.

    Attributes:
        problems: each names the file, the rule that it breaks, and the remedy where there is one.
        empty_truth: whether the truth has no foreground; allowed, but worth knowing.
        rewrite_truth: whether the truth's type or header must change, so that it cannot be linked.
        content: a digest of each channel's voxels.
    """

    problems: list[str] = field(default_factory=list)
    empty_truth: bool = False
    rewrite_truth: bool = False
    content: list[str] = field(default_factory=list)


def check_cases(
    cases: Sequence[CaseFiles], channels: Sequence[str], release: Release, geometry_from_image: bool = False
) -> dict[str, CaseReport]:
    """Check every case, with a progress bar. Returns the reports by case id.

    Args:
        cases: as they were found.
        channels: those that are wanted.
        release: whose rules hold.
        geometry_from_image: accept a truth of the right size whose spacing, origin or direction differ.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress_bar("checking", len(cases)) as advance:

        def check(case: CaseFiles) -> CaseReport:
            report = check_case(case, channels, release, geometry_from_image)
            advance()
            return report

        reports = dict(zip((case.case_id for case in cases), pool.map(check, cases), strict=True))
    for case_id, problem in identical_cases(reports).items():
        reports[case_id].problems.append(problem)
    return reports


def check_case(
    case: CaseFiles, channels: Sequence[str], release: Release, geometry_from_image: bool = False
) -> CaseReport:
    """Check one case: its id, that its files are there and readable, geometry, intensities, label values."""
    report = CaseReport()
    problems = report.problems
    if case.case_id != Path(case.case_id).name or case.case_id.startswith(".") or case.case_id != case.case_id.strip():
        problems.append(f"the id '{case.case_id}' cannot be a file's name; rename the case's files")
    files: dict[str, Path] = {}
    for name in (*channels, "truth"):
        found = case.truth if name == "truth" else case.images[name]
        if len(found) > 1:
            problems.append(f"{name} is ambiguous, keep one of: {', '.join(map(str, found))}")
        elif found:
            files[name] = found[0]
        elif name != "truth":
            problems.append(f"{name} is missing, a file named like {' or '.join(release.channels[name].templates)}")
    reference: tuple[str, Geometry] | None = None
    for name, path in files.items():
        try:
            volume, geometry = read_volume(path, None if name == "truth" else release.channels[name].volume)
        except (RuntimeError, IndexError) as error:
            reason = str(error).strip().splitlines()[-1]
            problems.append(f"{name} cannot be read, fetch it again: {path}: {reason}")
            continue
        reference = reference or (name, geometry)
        differing = geometry_differences(geometry, reference[1])
        if name == "truth" and geometry_from_image and "size" not in differing:
            report.rewrite_truth = bool(differing)
            differing = []
        for what in differing:
            hint = "" if name != "truth" or what == "size" else "; --geometry-from image takes the image's"
            problems.append(
                f"{what} of {name} is {geometry[what]}, of {reference[0]} {reference[1][what]}: {path}{hint}"
            )
        if name == "truth":
            problems += truth_problems(volume, path, release)
            report.empty_truth = not volume.any()
            report.rewrite_truth |= volume.dtype.kind == "f"
        else:
            problems += image_problems(volume, name, path)
            report.content.append(hashlib.sha256(volume.data).hexdigest())
    return report


def read_volume(path: Path, volume: int | None = None) -> tuple[NDArray, Geometry]:
    """Read a 3-D image, or one volume of a 4-D image.

    Returns:
        Its voxels (D, H, W), and size, spacing (mm), origin (mm) and direction, in ITK's order x, y, z.

    Raises:
        RuntimeError: the file cannot be read, or is not 3-D (4-D where a volume of it is asked for).
        IndexError: the file has no such volume.
    """
    image = sitk.ReadImage(str(path))
    if volume is not None:
        if image.GetDimension() != 4:
            raise RuntimeError(f"has {image.GetDimension()} dimensions, not the 4 that hold several channels")
        if volume >= image.GetSize()[3]:
            raise IndexError(f"has {image.GetSize()[3]} volumes, and volume {volume} was wanted")
        image = image[..., volume]
    if image.GetDimension() != 3:
        raise RuntimeError(f"has {image.GetDimension()} dimensions, not 3")
    geometry: Geometry = {
        "size": image.GetSize(),
        "spacing": image.GetSpacing(),
        "origin": image.GetOrigin(),
        "direction": image.GetDirection(),
    }
    return sitk.GetArrayFromImage(image), geometry


def geometry_differences(geometry: Geometry, other: Geometry) -> list[str]:
    """Names of what differs between two geometries."""
    return [
        what
        for what, value in geometry.items()
        if not np.allclose(value, other[what], rtol=0, atol=0 if what == "size" else GEOMETRY_TOLERANCE)
    ]


def image_problems(volume: NDArray, name: str, path: Path) -> list[str]:
    """List what is wrong with a channel's intensities."""
    if volume.dtype.kind == "f" and not np.isfinite(volume).all():
        count = int((~np.isfinite(volume)).sum())
        return [f"{name} has {count} voxels that are NaN or infinite; mend or leave out the case: {path}"]
    if not volume.any():
        return [f"{name} is zero everywhere; the modality is missing in truth, leave out the case: {path}"]
    return []


def truth_problems(volume: NDArray, path: Path, release: Release) -> list[str]:
    """List what is wrong with a truth's values."""
    values = distinct_values(volume)
    if volume.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.round(values)).all()):
        odd = [f"{value:g}" for value in values if not np.isfinite(value) or value != round(float(value))]
        return [f"truth has values that are not whole, {', '.join(odd[:MANY])}; was it interpolated? {path}"]
    known = {0, *release.labels.values()}
    unexpected = [f"{value:g}" for value in values if value not in known]
    if not unexpected:
        return []
    fits = ", ".join(releases_with_values(values)) or "no release"
    return [
        f"truth has the values {', '.join(unexpected[:MANY])}, which {release.title} does not know (it has "
        f"{', '.join(map(str, sorted(known)))}); its values would fit {fits}: {path}"
    ]


def distinct_values(volume: NDArray) -> NDArray:
    """Return the different values of a volume, in order; np.unique, but without sorting millions of small integers."""
    if volume.dtype.kind not in "iu" or np.ptp(volume) >= MOST_COUNTED:
        return np.unique(volume)
    lowest = int(volume.min())
    return np.flatnonzero(np.bincount((volume.ravel() - lowest).astype(np.uint16))) + lowest


def releases_with_values(values: NDArray) -> list[str]:
    """Names of the releases in which all these label values occur."""
    return [key for key in available_releases() if set(values) <= {0, *load_release(key).labels.values()}]


def identical_cases(reports: Mapping[str, CaseReport]) -> dict[str, str]:
    """Find cases whose channels hold the same voxels as an earlier case's. Returns the problem by case id."""
    first_with: dict[tuple[str, ...], str] = {}
    problems = {}
    for case_id, report in reports.items():
        content = tuple(report.content)
        if content and content in first_with:
            first = first_with[content]
            problems[case_id] = f"is the same as {first}, voxel by voxel; leave one out, or it may train and validate"
        first_with.setdefault(content, case_id)
    return problems


def common_ending(cases: Sequence[CaseFiles], channels: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return the file ending that most cases share, which nnU-Net wants of all, and the cases that have others.

    Returns:
        The ending, and a problem for each case id whose images have another.
    """
    endings = {case.case_id: {file_ending(path) for name in channels for path in case.images[name]} for case in cases}
    counts: dict[str, int] = defaultdict(int)
    for of_case in endings.values():
        for ending in of_case:
            counts[ending] += 1
    common = max(counts, key=lambda ending: counts[ending]) if counts else ""
    problems = {
        case_id: f"its files end in {' and '.join(sorted(of_case))}, the others' in {common}; nnU-Net wants one ending"
        for case_id, of_case in endings.items()
        if of_case and of_case != {common}
    }
    return common, problems
