"""Convert a release, as the challenge gave it, to a dataset in nnUNet_raw.

Images are linked, not copied. All problems of all cases are found before the dataset gets its final name.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from nnunetv2.dataset_conversion.generate_dataset_json import generate_dataset_json

from segan_nnunet.data.case_table import write_case_table
from segan_nnunet.data.checks import (
    CASES_PER_PROCESS,
    TRUTH,
    CaseReport,
    check_cases,
    common_ending,
    doubts,
)
from segan_nnunet.data.environment import existing_datasets, nnunet_folder
from segan_nnunet.data.labelling import whole_numbers
from segan_nnunet.data.processes import map_cases
from segan_nnunet.data.releases.release import CaseFiles, Release, file_ending, folders_without_cases
from segan_nnunet.data.releases.tables import releases_with
from segan_nnunet.data.volumes import VoxelGrid, read_volume, write_volume
from segan_nnunet.errors import InputError
from segan_nnunet.outputs import made_folder

LEFT_OUT_TABLE = "left_out.csv"


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion.

    Attributes:
        folder: the dataset in nnUNet_raw.
        training, test: ids of the cases with and without truth.
        empty: ids of the training cases whose truth has no foreground.
        left_out: problems of each case that was left out, by case id.
        copied: whether images were copied: on request, because the file system has no links, because several channels
            lie in one file, or because nnU-Net would refuse a file's ending or header.
        unmatched_files: images that match no template, and stay where they are.
        without_cases: folders next to the case folders that contain no case.
        label_counts: number of training cases with each label, by name.
        better: releases with all label values of the truths, and fewer labels that never occur.
        lost: labels that predictions of regions cannot hold, because they always lie in a region with another label.
        doubts: warnings of what breaks no rule, but may be a mistake.
    """

    folder: Path
    training: list[str]
    test: list[str]
    empty: list[str]
    left_out: dict[str, list[str]]
    copied: bool
    unmatched_files: list[Path]
    without_cases: list[Path]
    label_counts: dict[str, int]
    better: list[str]
    lost: list[str]
    doubts: list[str]


@dataclass(frozen=True)
class Options:
    """How to convert.

    Attributes:
        channels: names of the channels to take, in this order; the release's default if empty.
        copy: copy the images instead of linking them.
        plain_labels: make a dataset of exclusive labels instead of regions.
        geometry_from_image: accept a truth of the right size whose spacing, origin or direction differ.
        skip_bad: leave out the cases that break a rule, and convert the others.
    """

    channels: Sequence[str] = ()
    copy: bool = False
    plain_labels: bool = False
    geometry_from_image: bool = False
    skip_bad: bool = False


def convert(release: Release, source: Path, dataset_id: int, options: Options | None = None) -> Conversion:
    """Make nnUNet_raw/DatasetXXX_Name from a release.

    Cases without truth are test cases. If no case has a truth, the dataset is for predictions and `submission` only. A
    table of the cases (patient, grade, time point, sources) is written beside dataset.json.

    Args:
        release: the layout of the release, as `load_release("brats2015")` returns it.
        source: the folder into which it was unpacked.
        dataset_id: nnU-Net's number for the dataset, 1 to 999.
        options: channels, links, labels, and rules to ignore.

    Raises:
        InputError: nnUNet_raw is not set or cannot be written, the id is taken, a channel is unknown or repeated, the
            source is missing or of another release, or cases break a rule; with all problems of all cases. Nothing is
            left behind.
    """
    options = options or Options()
    raw = nnunet_folder("nnUNet_raw")
    with made_folder(raw, "nnUNet_raw"):
        channels = tuple(options.channels) or release.default_channels
        check_request(release, channels, dataset_id)
        found_cases, unassigned_files = release.find_cases(source)
        all_cases = list(found_cases.values())
        without_cases = folders_without_cases(all_cases, source)
        reports = check_cases(all_cases, channels, release, options.geometry_from_image, options.skip_bad)
        left_out = {case_id: report.problems for case_id, report in reports.items() if report.problems}
        cases = [case for case in all_cases if case.case_id not in left_out]
        if not cases:
            raise InputError(
                f"all {len(all_cases)} cases below {source} break a rule; nothing is left to convert. Convert without "
                "--skip-bad to see the rules"
            )
        folder = raw / f"Dataset{dataset_id:03d}_{release.name}"
        partial = raw / f".{folder.name}.partial"  # nnU-Net looks for names that begin with Dataset
        shutil.rmtree(partial, ignore_errors=True)  # of a conversion that was killed
        try:
            ending = common_ending(all_cases, channels)
            copied = write_dataset(partial, cases, reports, channels, ending, release, options)
            if left_out:
                problems = [(case_id, problem) for case_id, of_case in left_out.items() for problem in of_case]
                table = pd.DataFrame(problems, columns=["case", "problem"])
                table.to_csv(partial / LEFT_OUT_TABLE, index=False, errors="backslashreplace")
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    training = [case.case_id for case in cases if case.truth]
    values = [reports[case_id].values for case_id in training]
    all_values = set().union(*values)
    fitting = [other for other in releases_with(all_values) if len(other.labels) < len(release.labels)]
    return Conversion(
        folder=folder,
        training=training,
        test=[case.case_id for case in cases if not case.truth],
        empty=[case_id for case_id in training if not reports[case_id].values],
        left_out=left_out,
        copied=copied,
        unmatched_files=[*(path for case in cases for path in case.unmatched_files), *unassigned_files],
        without_cases=without_cases,
        label_counts={name: sum(value in of_case for of_case in values) for name, value in release.labels.items()},
        better=[other.key for other in fitting] if all_values else [],
        lost=[] if options.plain_labels else lost_labels(release),
        doubts=doubts({case.case_id: reports[case.case_id] for case in cases}),
    )


def check_request(release: Release, channels: Sequence[str], dataset_id: int) -> None:
    """Check the channels and the dataset id.

    Raises:
        InputError: a channel is unknown or repeated, or the id is out of range or taken.
    """
    if len(set(channels)) < len(channels):
        raise InputError(f"--channels {' '.join(channels)} has a channel twice; name every channel once")
    if unknown := [name for name in channels if name not in release.channels]:
        raise InputError(f"{release.title} has no channel {', '.join(unknown)}; it has {', '.join(release.channels)}")
    if not 1 <= dataset_id <= 999:
        raise InputError(f"dataset id {dataset_id} is not between 1 and 999; choose another -d")
    if taken := existing_datasets(dataset_id):
        raise InputError(f"dataset id {dataset_id} is taken by {taken[0]}; choose another -d, or remove that folder")


def nnunet_labels(
    release: Release, plain: bool = False
) -> tuple[dict[str, int | tuple[int, ...]], tuple[int, ...] | None]:
    """Return nnU-Net's `labels` and `regions_class_order` of a release.

    nnU-Net writes a region's value in regions_class_order into the voxels of the region that lie in no later region.
    The value is the smallest of the region's labels that is in no later region.

    Args:
        release: with the labels.
        plain: exclusive labels instead of regions, without regions_class_order.

    Raises:
        InputError: a region lies wholly inside later ones, so no value is left for it.
    """
    mapping = release.label_mapping
    labels: dict[str, int | tuple[int, ...]] = {"background": 0}
    if plain:
        return labels | {name: mapping[value] for name, value in release.labels.items()}, None
    order: list[int] = []
    later: set[int] = set()
    for name, members in reversed(release.regions.items()):
        values = {mapping[release.labels[label]] for label in members}
        if not values - later:
            raise InputError(f"region '{name}' of {release.title} lies inside later regions; put it after them")
        order.insert(0, min(values - later))
        later |= values
    regions = {
        name: tuple(sorted(mapping[release.labels[label]] for label in members))
        for name, members in release.regions.items()
    }
    return labels | {name: values if len(values) > 1 else values[0] for name, values in regions.items()}, tuple(order)


def lost_labels(release: Release) -> list[str]:
    """Return the names of the labels that no region writes: predictions hold another label of their region."""
    _, written = nnunet_labels(release)
    return [name for name, value in release.labels.items() if release.label_mapping[value] not in (written or ())]


def write_dataset(
    folder: Path,
    cases: Sequence[CaseFiles],
    reports: Mapping[str, CaseReport],
    channels: Sequence[str],
    ending: str,
    release: Release,
    options: Options,
) -> bool:
    """Write a dataset of cases without problems. Return whether images were copied."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    if any(not case.truth for case in cases):
        (folder / "imagesTs").mkdir()
    constants = (folder, channels, ending, release, options)
    copied = any(map_cases("writing", write_case, [(case, reports[case.case_id]) for case in cases], *constants,
                           cases_per_process=CASES_PER_PROCESS))  # fmt: skip
    labels, regions_class_order = nnunet_labels(release, options.plain_labels)
    generate_dataset_json(
        str(folder),
        channel_names=dict(enumerate(channels)),
        labels=labels,
        regions_class_order=regions_class_order,
        num_training_cases=sum(bool(case.truth) for case in cases),
        file_ending=ending,
        dataset_name=release.name,
        description=release.title,
        reference=release.reference,
        license=release.licence,
        converted_by="segan_nnunet convert",
        brats_release=release.key,
        original_labels={str(index): value for value, index in release.label_mapping.items()},
    )
    write_case_table(folder, cases, list(release.channels))
    return copied


def write_case(
    checked: tuple[CaseFiles, CaseReport],
    folder: Path,
    channels: Sequence[str],
    ending: str,
    release: Release,
    options: Options,
) -> bool:
    """Link or write the images and the truth of a case. Return whether images were copied.

    Args:
        checked: the files of the case, and its report without problems.
        folder: the dataset.
        channels, ending, release, options: as in `write_dataset`.
    """
    case, report = checked
    grid, rewritten = report.grid, report.rewritten
    assert grid is not None  # for mypy: a case without problems has its channels
    images, copied = folder / ("imagesTr" if case.truth else "imagesTs"), False
    for index, name in enumerate(channels):
        source, volume = case.images[name][0], release.channels[name].volume
        target = images / f"{case.case_id}_{index:04d}{ending}"
        if volume is None and name not in rewritten and file_ending(source) == ending:
            copied |= link_or_copy(source, target, options.copy)
        else:
            write_volume(read_volume(source, volume).on_or_as_stored(grid), grid, target)
            copied = True
    keeps_values = all(value == index for value, index in release.label_mapping.items())
    for source in case.truth:
        target = folder / "labelsTr" / f"{case.case_id}{ending}"
        if keeps_values and TRUTH not in rewritten and file_ending(source) == ending:
            link_or_copy(source, target, options.copy)
        else:
            rewrite_labels(source, target, release.label_mapping, grid)
    return copied


def link_or_copy(source: Path, target: Path, copy: bool) -> bool:
    """Link a file, or copy it on request or if the file system has no links. Return whether it was copied."""
    if not copy:
        try:
            target.symlink_to(source.resolve())
            return False
        except OSError:
            pass  # a file system without links
    shutil.copyfile(source, target)
    return True


def rewrite_labels(source: Path, target: Path, mapping: Mapping[int, int], grid: VoxelGrid) -> None:
    """Write a truth with nnU-Net's values, as small integers, on its image's grid."""
    values = whole_numbers(read_volume(source).on_or_as_stored(grid))
    labels = np.zeros(values.shape, np.min_scalar_type(max(mapping.values())))
    for value, index in mapping.items():
        labels[values == value] = index
    write_volume(labels, grid, target)
