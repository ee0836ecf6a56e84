"""Check the cases of a release. All problems are found before anything is written."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from segan_nnunet.data.labelling import whole_numbers
from segan_nnunet.data.processes import map_cases
from segan_nnunet.data.releases.release import CaseFiles, Release, file_ending
from segan_nnunet.data.releases.tables import releases_with
from segan_nnunet.data.volumes import Volume, VoxelGrid, read_volume
from segan_nnunet.data.volumes.label_maps import describe_values, distinct_values, list_values
from segan_nnunet.data.volumes.same_voxels import Checksums, checksums
from segan_nnunet.errors import InputError, first_lines

TRUTH = "truth"
MOST_PROBLEMS_SHOWN = 50
CASES_PER_PROCESS = 50  # starting a process takes as long as checking some dozen cases


@dataclass
class CaseReport:
    """The result of checking a case.

    Attributes:
        problems: each names the file, the rule that it breaks, and the remedy.
        rewritten: the channels, or `truth`, that nnU-Net would refuse as they are, so that they are not linked. Their
            types, headers or orders of axes differ.
        digests: checksums of the voxels, by channel.
        values: label values of the truth, without background.
        grid: of the first channel.
        doubts: each breaks no rule, but may be a mistake.
    """

    problems: list[str] = field(default_factory=list)
    rewritten: set[str] = field(default_factory=set)
    digests: dict[str, Checksums] = field(default_factory=dict)
    values: set[int] = field(default_factory=set)
    grid: VoxelGrid | None = None
    doubts: list[str] = field(default_factory=list)


def check_cases(
    cases: Sequence[CaseFiles],
    channels: Sequence[str],
    release: Release,
    geometry_from_image: bool = False,
    skip_bad: bool = False,
) -> dict[str, CaseReport]:
    """Check every case, with a progress bar.

    Args:
        cases: of the release.
        channels: those to convert.
        release: the release, with its labels and templates.
        geometry_from_image: accept a truth of the right size whose spacing, origin or direction differ.

        skip_bad: accept cases with problems; they are left out.

    Returns:
        The reports by case id.

    Raises:
        InputError: cases have problems; with all problems of all cases.
    """
    arguments = (channels, release, geometry_from_image)
    checked = map_cases("checking", check_case, cases, *arguments, cases_per_process=CASES_PER_PROCESS)
    reports = dict(zip((case.case_id for case in cases), checked, strict=True))
    first_with: dict[tuple[Checksums, ...], str] = {}
    for case_id, report in reports.items():
        content = tuple(report.digests.values())
        if content and (first := first_with.setdefault(content, case_id)) != case_id:
            report.problems.append(
                f"is the same as {first}, voxel by voxel; leave one out: the same images may train and validate"
            )
    lines = [f"{case_id}: {problem}" for case_id, report in reports.items() for problem in report.problems]
    if lines and not skip_bad:
        raise InputError(
            f"{release.title} cannot be converted: {len(lines)} problems. Correct or move away these cases and convert "
            f"again, or leave them out with --skip-bad; nothing was written.{first_lines(lines, MOST_PROBLEMS_SHOWN)}"
        )
    return reports


def check_case(case: CaseFiles, channels: Sequence[str], release: Release, geometry_from_image: bool) -> CaseReport:
    """Check one case: its id, its files, their geometry, intensities and label values."""
    report = CaseReport()
    problems = report.problems
    if case.case_id != Path(case.case_id).name or case.case_id.startswith(".") or case.case_id != case.case_id.strip():
        problems.append(f"the id '{case.case_id}' cannot be a file's name; rename the case's files")
    files: dict[str, Path] = {}
    for name in (*channels, TRUTH):
        paths = case.truth if name == TRUTH else case.images[name]
        if len(paths) > 1:
            problems.append(f"{name} is ambiguous, keep one of: {', '.join(map(str, paths))}")
        elif paths:
            files[name] = paths[0]
        elif name != TRUTH:
            problems.append(f"{name} is missing, a file named like {' or '.join(release.channels[name].templates)}")
    if case.unmatched_files and not case.truth:
        problems.append(
            f"truth is missing, and the case has files that match no template of {release.title}: "
            f"{', '.join(map(str, case.unmatched_files))}; name the truth like {' or '.join(release.truth)}, or move "
            "these files away"
        )
    first: tuple[str, VoxelGrid] | None = None
    brain: NDArray[np.bool_] | None = None
    for name, path in files.items():
        try:
            volume = read_volume(path, None if name == TRUTH else release.channels[name].volume)
        except InputError as error:
            problems.append(f"{name}: {error}")
            continue
        first = first or (name, volume.grid)
        problems += grid_problems(volume, name, *first, geometry_from_image)
        # nnU-Net reads .nii with nibabel, which keeps further axes of one voxel
        is_nii = path.suffix.lower() == ".nii"
        has_further_axes = is_nii and len(nibabel.Nifti1Image.from_filename(path).shape) > 3
        if has_further_axes or not volume.grid.matches_nnunet_grid(first[1]):
            report.rewritten.add(name)
        if name == TRUTH:
            values = distinct_values(whole_numbers(volume.voxels))
            problems += truth_problems(values, path, release)
            report.values = set(values.tolist()) - {0}
            truth = volume.on(first[1])
            if truth is not None and brain is not None and np.array_equal(truth != 0, brain):
                report.doubts.append(
                    "the truth marks every voxel of the image that is not 0 and looks like a mask of the brain"
                )
            if volume.voxels.dtype.kind == "f":
                report.rewritten.add(name)
        else:
            problems += image_problems(volume.voxels, name, path)
            brain = volume.voxels != 0 if brain is None else brain
            digest = checksums(volume.on_or_as_stored(first[1]))
            if original := next((other for other, seen in report.digests.items() if seen == digest), None):
                report.doubts.append(
                    f"{name} holds the same voxels as {original}: one of the two modalities is missing there"
                )
            report.digests[name] = digest
    report.grid = first and first[1]
    if report.grid and not report.grid.has_spacing:
        report.doubts.append("the images do not say their spacing: 1 mm is taken")
    return report


def grid_problems(volume: Volume, name: str, first: str, grid: VoxelGrid, geometry_from_image: bool) -> list[str]:
    """List the attributes of the grid in which a truth or a channel differs from the first channel.

    Another order of the axes is no difference. With `geometry_from_image` a truth only needs the same size.
    """
    differences = volume.grid.differences(grid)
    has_same_size, is_truth = volume.grid.size == grid.size, name == TRUTH
    if not differences or volume.on(grid) is not None or (geometry_from_image and has_same_size and is_truth):
        return []
    hint = f"; resample it to the voxels of {first}, or correct its header if only the header is wrong"
    if is_truth and has_same_size:
        hint = "; if only its header is wrong, --geometry-from image takes the image's header"
    return [
        f"{attribute} is {getattr(volume.grid, attribute)} in {name} and {getattr(grid, attribute)} in {first}: "
        f"{volume.path}{hint}"
        for attribute in differences
    ]


def image_problems(voxels: NDArray, name: str, path: Path) -> list[str]:
    """List what is wrong with a channel's intensities."""
    if voxels.dtype.kind in "fc" and (count := np.count_nonzero(~np.isfinite(voxels))):
        return [f"{name} has {count} voxels that are NaN or infinite; correct or leave out the case: {path}"]
    if not voxels.any():
        return [f"{name} is zero everywhere; the modality is missing, leave out the case: {path}"]
    return []


def truth_problems(values: NDArray, path: Path, release: Release) -> list[str]:
    """List what is wrong with the different values of a truth."""
    known = {0, *release.labels.values()}
    looks_like = describe_values(values, len(known))
    if len(odd := values[~(values == np.round(values)) | ~np.isfinite(values)]):  # NaN too
        return [f"truth has values that are not whole, {list_values(odd)}; was it interpolated? {looks_like}: {path}"]
    if not (unknown := [value for value in values.tolist() if value not in known]):
        return []
    fits = ", ".join(fitting.key for fitting in releases_with(values.tolist())) or "no release"
    return [
        f"truth has the values {list_values(unknown)}, which {release.title} does not know (it has "
        f"{', '.join(map(str, sorted(known)))}); its values would fit {fits}"
        f"{'. ' if looks_like else ''}{looks_like}: {path}"
    ]


def doubts(reports: Mapping[str, CaseReport]) -> list[str]:
    """Return the doubts of all cases, each once, with the number of cases and the first one."""
    cases_of: dict[str, list[str]] = defaultdict(list)
    for case_id, report in reports.items():
        for doubt in report.doubts:
            cases_of[doubt].append(case_id)
    return [f"{doubt} (in {len(cases)} cases, the first {cases[0]})" for doubt, cases in cases_of.items()]


def common_ending(cases: Sequence[CaseFiles], channels: Sequence[str]) -> str:
    """Return the file ending of most images. nnU-Net wants one ending, and the other images are written anew."""
    paths = (path for case in cases for name in channels for path in case.images[name])
    endings = Counter(ending for path in paths if (ending := file_ending(path)))  # of files that nnU-Net reads
    return endings.most_common(1)[0][0] if endings else ".nii.gz"
