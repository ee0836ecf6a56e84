"""From a release, as the challenge gave it, to a dataset in nnUNet_raw.

Images are linked, not copied. Every problem of every case is found before anything stands under its final name.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from nnunetv2.dataset_conversion.generate_dataset_json import generate_dataset_json

from segan_nnunet.data.case_table import write_case_table, write_left_out
from segan_nnunet.data.checks import CaseReport, check_cases, common_ending, doubts
from segan_nnunet.data.environment import existing_datasets, nnunet_folder
from segan_nnunet.data.labelling import whole_numbers
from segan_nnunet.data.progress import progress_bar
from segan_nnunet.data.releases.release import CaseFiles, Release, file_ending, folders_without_cases
from segan_nnunet.data.releases.tables import available_releases, load_release
from segan_nnunet.data.volumes import VoxelGrid, read_volume, write_volume
from segan_nnunet.errors import InputError, first_lines
from segan_nnunet.outputs import made_folder

LEFT_OUT_TABLE = "left_out.csv"
MOST_PROBLEMS_SHOWN = 50


@dataclass(frozen=True)
class Conversion:
    """What a conversion made.

    Attributes:
        folder: the dataset in nnUNet_raw.
        training, test: ids of the cases with and without truth.
        empty: ids of the training cases whose truth has no foreground.
        left_out: problems of each case that was left out, by case id.
        copied: whether images had to be copied, because asked for, because links are not to be had, because several
            channels lie in one file, or because nnU-Net would refuse a file's ending or header.
        strangers: images that match no template, and were left where they are.
        without_cases: folders beside the cases' in which there is none.
        label_counts: in how many training cases each label occurs, by name.
        better: releases with all the values that occur, and with fewer that do not.
        lost: labels that no prediction of regions can hold, because they always lie in a region with another label.
        doubts: what breaks no rule, and yet may not be as the user thinks.
    """

    folder: Path
    training: list[str]
    test: list[str]
    empty: list[str]
    left_out: dict[str, list[str]]
    copied: bool
    strangers: list[Path]
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
        skip_bad: leave out the cases that break a rule, and convert the rest.
    """

    channels: Sequence[str] = field(default_factory=tuple)
    copy: bool = False
    plain_labels: bool = False
    geometry_from_image: bool = False
    skip_bad: bool = False


def convert(release: Release, source: Path, dataset_id: int, options: Options | None = None) -> Conversion:
    """Make nnUNet_raw/DatasetXXX_Name from a release.

    Cases without truth are test cases; where none has one, the dataset is for predictions and `submission` alone. A
    table of the cases (patient, grade, time point, sources) is written beside dataset.json.

    Args:
        release: how the release is laid out.
        source: the folder into which it was unpacked.
        dataset_id: nnU-Net's number for the dataset, 1 to 999.
        options: channels, links, labels, and what to forgive.

    Raises:
        InputError: nnUNet_raw is not set or cannot be written, the id is taken, a channel is unknown or repeated, the
            source is missing or of another release, or cases break a rule; all problems of all cases are in the
            message. Nothing is left behind.
    """
    raw = nnunet_folder("nnUNet_raw")
    with made_folder(raw, "nnUNet_raw"):
        return convert_into(raw, release, source, dataset_id, options or Options())


def convert_into(raw: Path, release: Release, source: Path, dataset_id: int, options: Options) -> Conversion:
    """Convert as `convert` does, into the folder nnUNet_raw, which exists."""
    channels = tuple(options.channels) or release.default_channels
    if len(set(channels)) < len(channels):
        raise InputError(f"--channels {' '.join(channels)} has a channel twice; name every channel once")
    if unknown := [name for name in channels if name not in release.channels]:
        raise InputError(f"{release.title} has no channel {', '.join(unknown)}; it has {', '.join(release.channels)}")
    if not 1 <= dataset_id <= 999:
        raise InputError(f"dataset id {dataset_id} is not between 1 and 999")
    if taken := existing_datasets(dataset_id):
        raise InputError(f"dataset id {dataset_id} is taken by {taken[0]}; choose another -d, or remove that folder")
    by_id, nobodys = release.find_cases(source)
    found = list(by_id.values())
    without_cases = folders_without_cases(found, source)
    ending, reports = examine(found, channels, release, options)
    left_out = {case_id: report.problems for case_id, report in reports.items() if report.problems}
    cases = [case for case in found if case.case_id not in left_out]
    training = [case.case_id for case in cases if case.truth]
    if not cases:
        raise InputError(f"all {len(found)} cases below {source} break a rule; nothing is left to convert")

    values = [reports[case_id].values for case_id in training]
    folder = raw / f"Dataset{dataset_id:03d}_{release.name}"
    partial = raw / f".{folder.name}.partial"  # nnU-Net looks for names that begin with Dataset
    shutil.rmtree(partial, ignore_errors=True)  # of a conversion that was killed
    try:
        copied = write_dataset(partial, cases, reports, channels, ending, release, options)
        if left_out:
            write_left_out(partial / LEFT_OUT_TABLE, left_out)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Conversion(
        folder,
        training,
        test=[case.case_id for case in cases if not case.truth],
        empty=[case_id for case_id in training if reports[case_id].empty_truth],
        left_out=left_out,
        copied=copied,
        strangers=[*(path for case in cases for path in case.strangers), *nobodys],
        without_cases=without_cases,
        label_counts={name: sum(value in of for of in values) for name, value in release.labels.items()},
        better=releases_that_fit_better(set().union(*values), release),
        lost=[] if options.plain_labels else lost_labels(release),
        doubts=doubts({case.case_id: reports[case.case_id] for case in cases}),
    )


def examine(
    cases: Sequence[CaseFiles], channels: Sequence[str], release: Release, options: Options
) -> tuple[str, dict[str, CaseReport]]:
    """Check all cases. Returns the files' common ending, and a report for each case id.

    Raises:
        InputError: cases break a rule and are not to be skipped; with every problem of every case.
    """
    reports = check_cases(cases, channels, release, options.geometry_from_image)
    ending = common_ending(cases, channels)
    problems = [f"{case_id}: {problem}" for case_id, report in reports.items() for problem in report.problems]
    if problems and not options.skip_bad:
        listed = first_lines(problems, MOST_PROBLEMS_SHOWN)
        raise InputError(
            f"{release.title} cannot be converted: {len(problems)} problems. Mend or move away these cases and convert "
            f"again, or leave them out with --skip-bad; nothing was written.{listed}"
        )
    return ending, reports


def nnunet_labels(
    release: Release, plain: bool = False
) -> tuple[dict[str, int | tuple[int, ...]], tuple[int, ...] | None]:
    """Return nnU-Net's `labels` and `regions_class_order` of a release.

    regions_class_order is the value WRITTEN where a region is the last that holds: for each region the smallest of
    its labels that is in no later region.

    Args:
        release: whose labels.
        plain: exclusive labels instead of regions; there is no regions_class_order then.

    Raises:
        InputError: a region lies wholly inside later ones, so that no value is left to write for it.
    """
    labels: dict[str, int | tuple[int, ...]] = {"background": 0}
    if plain:
        return {**labels, **{name: release.label_mapping[value] for name, value in release.labels.items()}}, None
    regions = {
        name: tuple(sorted(release.label_mapping[release.labels[label]] for label in members))
        for name, members in release.regions.items()
    }
    written = []
    for index, (name, values) in enumerate(regions.items()):
        later = {value for region in list(regions.values())[index + 1 :] for value in region}
        own = [value for value in values if value not in later]
        if not own:
            raise InputError(f"region '{name}' of {release.title} lies inside later regions; put it after them")
        written.append(own[0])
    labels |= {name: region if len(region) > 1 else region[0] for name, region in regions.items()}
    return labels, tuple(written)


def lost_labels(release: Release) -> list[str]:
    """Names of the labels that are written for no region: in predictions they become another label of their region."""
    _, written = nnunet_labels(release)
    return [name for name, value in release.labels.items() if release.label_mapping[value] not in (written or ())]


def releases_that_fit_better(values: set[int], release: Release) -> list[str]:
    """Names of the releases that have all these values as labels, and fewer than this one that never occur."""
    absent = set(release.labels.values()) - values
    labels = {key: set(load_release(key).labels.values()) for key in available_releases()}
    return [key for key, of in labels.items() if values and values <= of and len(of - values) < len(absent)]


def write_dataset(
    folder: Path,
    cases: Sequence[CaseFiles],
    reports: Mapping[str, CaseReport],
    channels: Sequence[str],
    ending: str,
    release: Release,
    options: Options,
) -> bool:
    """Write a dataset whose cases are in order. Returns whether images were copied."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    if any(not case.truth for case in cases):
        (folder / "imagesTs").mkdir()
    identity = all(value == index for value, index in release.label_mapping.items())
    copied = False
    with progress_bar("writing", len(cases)) as advance:
        for case in cases:
            images = folder / ("imagesTr" if case.truth else "imagesTs")
            report = reports[case.case_id]
            assert report.grid is not None  # for mypy: a case without problems has its channels
            for index, name in enumerate(channels):
                target, volume = images / f"{case.case_id}_{index:04d}{ending}", release.channels[name].volume
                source = case.images[name][0]
                as_it_is = volume is None and file_ending(source) == ending
                if as_it_is and name not in report.rewrite_images:
                    copied |= place(source, target, options.copy)
                else:
                    write_volume(read_volume(source, volume).on_or_as_stored(report.grid), report.grid, target)
                    copied = True
            if case.truth:
                target = folder / "labelsTr" / f"{case.case_id}{ending}"
                if identity and not report.rewrite_truth and file_ending(case.truth[0]) == ending:
                    place(case.truth[0], target, options.copy)
                else:
                    rewrite_labels(case.truth[0], target, release.label_mapping, report.grid)
            advance()
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


def place(source: Path, target: Path, copy: bool) -> bool:
    """Link a file, or copy it if asked to or if links cannot be had. Returns whether it was copied."""
    if not copy:
        try:
            target.symlink_to(source.resolve())
            return False
        except OSError:
            pass  # a file system without links
    shutil.copyfile(source, target)
    return True


def rewrite_labels(source: Path, target: Path, mapping: Mapping[int, int], grid: VoxelGrid) -> None:
    """Write a truth with other values, as small integers, on its image's grid and in its order of axes."""
    values = whole_numbers(read_volume(source).on_or_as_stored(grid))
    labels = np.zeros(values.shape, np.min_scalar_type(max(mapping.values())))
    for value, index in mapping.items():
        labels[values == value] = index
    write_volume(labels, grid, target)
