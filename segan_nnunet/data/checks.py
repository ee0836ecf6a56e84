"""What can be wrong with a case, all of it found before anything is written."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from segan_nnunet.data.environment import usable_cores
from segan_nnunet.data.labelling import whole_numbers
from segan_nnunet.data.progress import progress_bar
from segan_nnunet.data.releases.release import CaseFiles, Release, file_ending
from segan_nnunet.data.releases.tables import available_releases, load_release
from segan_nnunet.data.volumes import Volume, VolumeError, VoxelGrid, read_volume
from segan_nnunet.data.volumes.label_maps import describe_values, distinct_values, list_values


@dataclass
class CaseReport:
    """What the checks found out about a case.

    Attributes:
        problems: each names the file, the rule that it breaks, and the remedy where there is one.
        empty_truth: whether the truth has no foreground; allowed, but worth knowing.
        rewrite_truth: whether the truth's type, header or order of axes must change, so that it cannot be linked.
        rewrite_images: channels whose headers differ from the first's by a rounding that nnU-Net does not forgive.
        content: a digest of each channel's voxels.
        values: of the truth's labels, background aside.
        grid: of the first channel.
        copies: channels with the same voxels as an earlier one, in words.
        fills_brain: whether the truth marks just the voxels of the first channel that are not 0.
    """

    problems: list[str] = field(default_factory=list)
    empty_truth: bool = False
    rewrite_truth: bool = False
    rewrite_images: list[str] = field(default_factory=list)
    content: list[str] = field(default_factory=list)
    values: set[int] = field(default_factory=set)
    grid: VoxelGrid | None = None
    copies: list[str] = field(default_factory=list)
    fills_brain: bool = False


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
    with ThreadPoolExecutor(usable_cores()) as pool, progress_bar("checking", len(cases)) as advance:

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
    if case.strangers and not case.truth:
        problems.append(
            f"truth is missing, and beside the case's images there is {', '.join(map(str, case.strangers))}, which is "
            f"named like nothing of {release.title}; name it like {' or '.join(release.truth)}, or move it away"
        )
    first: tuple[str, VoxelGrid] | None = None
    brain: NDArray[np.bool_] | None = None
    for name, path in files.items():
        try:
            volume = read_volume(path, None if name == "truth" else release.channels[name].volume)
        except VolumeError as error:
            problems.append(f"{name}: {error}")
            continue
        first = first or (name, volume.grid)
        problems += grid_problems(volume, name, *first, geometry_from_image)
        if name == "truth":
            values = distinct_values(whole_numbers(volume.voxels))
            problems += truth_problems(values, path, release)
            report.values = set(values.tolist()) - {0}
            report.empty_truth = not report.values
            truth = volume.on(first[1])
            report.fills_brain = truth is not None and brain is not None and np.array_equal(truth != 0, brain)
            report.rewrite_truth = volume.voxels.dtype.kind == "f" or not nnunet_takes(volume, first[1])
        else:
            problems += image_problems(volume.voxels, name, path)
            brain = volume.voxels != 0 if brain is None else brain
            turned = volume.on(first[1])
            digest = hashlib.sha256((volume.voxels if turned is None else turned).data).hexdigest()
            if digest in report.content:
                report.copies.append(f"{name} holds the same voxels as {channels[report.content.index(digest)]}")
            report.content.append(digest)
            if not nnunet_takes(volume, first[1]):
                report.rewrite_images.append(name)
    report.grid = first and first[1]
    return report


def nnunet_takes(volume: Volume, grid: VoxelGrid) -> bool:
    """Whether nnU-Net takes a file as it is, beside one on this grid.

    It reads .nii with nibabel, which counts axes of a single entry too.
    """
    further_axes = (
        volume.path.suffix.lower() == ".nii" and len(nibabel.Nifti1Image.from_filename(volume.path).shape) > 3
    )
    return volume.grid.matches_nnunet_grid(grid) and not further_axes


def grid_problems(volume: Volume, name: str, first: str, grid: VoxelGrid, geometry_from_image: bool) -> list[str]:
    """List where a truth or a channel does not lie on the first channel's voxels, its axes in whatever order."""
    differences = volume.grid.differences(grid)
    if not differences or volume.on(grid) is not None:
        return []
    same_size, is_truth = volume.grid.size == grid.size, name == "truth"
    if geometry_from_image and same_size and is_truth:
        return []
    hint = f"; resample it to the voxels of {first}, or mend its header if that alone is wrong"
    if is_truth:
        hint = "; if its header alone is wrong, --geometry-from image takes the image's" if same_size else ""
    return [
        f"{what} of {name} is {getattr(volume.grid, what)}, of {first} {getattr(grid, what)}: {volume.path}{hint}"
        for what in differences
    ]


def image_problems(volume: NDArray, name: str, path: Path) -> list[str]:
    """List what is wrong with a channel's intensities."""
    if volume.dtype.kind == "f" and not np.isfinite(volume).all():
        count = int((~np.isfinite(volume)).sum())
        return [f"{name} has {count} voxels that are NaN or infinite; mend or leave out the case: {path}"]
    if not volume.any():
        return [f"{name} is zero everywhere; the modality is missing in truth, leave out the case: {path}"]
    return []


def truth_problems(values: NDArray, path: Path, release: Release) -> list[str]:
    """List what is wrong with a truth's different values."""
    known = {0, *release.labels.values()}
    looks_like = describe_values(values, len(known))
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.round(values)).all()):
        odd = values[~(values == np.round(values))]  # NaN too
        return [f"truth has values that are not whole, {list_values(odd)}; was it interpolated? {looks_like}: {path}"]
    unexpected = np.array([value for value in values if value not in known])
    if not unexpected.size:
        return []
    fits = ", ".join(releases_with_values(values)) or "no release"
    return [
        f"truth has the values {list_values(unexpected)}, which {release.title} does not know (it has "
        f"{', '.join(map(str, sorted(known)))}); its values would fit {fits}"
        f"{'. ' if looks_like else ''}{looks_like}: {path}"
    ]


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


def doubts(reports: Mapping[str, CaseReport]) -> list[str]:
    """Return what breaks no rule, and yet may not be as the user thinks."""
    copies: dict[str, list[str]] = {}
    for case_id, report in reports.items():
        for copy in report.copies:
            copies.setdefault(copy, []).append(case_id)
    found = [
        f"{copy} in {len(cases)} cases, the first {cases[0]}: one of the two modalities is missing there"
        for copy, cases in copies.items()
    ]
    if filled := [case_id for case_id, report in reports.items() if report.fills_brain]:
        found.append(
            f"the truth of {len(filled)} cases, the first {filled[0]}, marks every voxel of the image that is not 0: "
            "is it a mask of the brain?"
        )
    if unknown := [case_id for case_id, report in reports.items() if report.grid and not report.grid.has_spacing]:
        found.append(
            f"the images of {len(unknown)} cases, the first {unknown[0]}, do not say their spacing: 1 mm is taken"
        )
    return found


def common_ending(cases: Sequence[CaseFiles], channels: Sequence[str]) -> str:
    """Return the file ending that most images have; nnU-Net wants one of all, and the others are written anew."""
    endings = Counter(file_ending(path) for case in cases for name in channels for path in case.images[name])
    del endings[""]  # of files that nnU-Net does not read
    return endings.most_common(1)[0][0] if endings else ".nii.gz"
