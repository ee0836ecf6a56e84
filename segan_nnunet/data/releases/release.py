"""What a BRATS release is, and how the files of its cases are found."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from segan_nnunet.data.releases.grades import GRADES, GradeFile, check_grades, read_grades
from segan_nnunet.data.releases.templates import template_pattern
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_name, composed

IMAGE_ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd")  # those that nnU-Net reads too


@dataclass(frozen=True)
class Channel:
    """Where one channel's images lie.

    Attributes:
        templates: path templates, any of which a file may match.
        volume: index in a 4-D file that holds several channels, or None.
    """

    templates: tuple[str, ...]
    volume: int | None = None


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case, as they were found.

    Attributes:
        case_id: name of the case in nnU-Net.
        patient_id: whom it shows; several cases may be scans of one patient.
        grade: HGG, LGG, or empty where the release does not tell.
        timepoint: which of the patient's scans it is, or empty.
        images: per channel name, all files that match its templates (one, if the release is in order).
        truth: all files that match the truth's templates.
        strangers: images beside these files that match no template.
    """

    case_id: str
    patient_id: str
    grade: str
    timepoint: str
    images: dict[str, list[Path]]
    truth: list[Path]
    strangers: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Submission:
    """How the online evaluation wants a segmentation's file named.

    Attributes:
        file: template of its path in the upload, over {case}, {ending}, {description}, and the fields of one channel's
            path.
        fields_of: that channel, or empty.
    """

    file: str = "{case}{ending}"
    fields_of: str = ""


@dataclass(frozen=True)
class Release:
    """One release's table.

    Attributes:
        key: its name on the command line.
        name: the dataset's name in nnU-Net, as in Dataset015_NAME.
        title, reference, licence: for people; they go into dataset.json.
        channels: by name.
        default_channels: channels that are converted unless others are asked for, in this order.
        truth: path templates of the truth.
        labels: value of each label in the truth's files; background is 0. nnU-Net's values are 1, 2, 3 ... in the
            order of the table.
        regions: names of the labels of each region, the outermost region first.
        case_id: template over the fields of the paths.
        grade_file: where grades are in a table of the release.
        fields: regular expression of each narrowed field. The fields `patient`, `grade` and `timepoint` are what they
            are called, in a template as {grade} or in another field's expression as (?P<patient>...).
        quirks: what is odd in the release, for people.
        submission: how results are uploaded.
        example: a value of each field, over {index}, {grade} and {serial}, for the simulator; `folder` is where it
            writes.
    """

    key: str
    name: str
    title: str
    channels: dict[str, Channel]
    truth: tuple[str, ...]
    labels: dict[str, int]
    regions: dict[str, list[str]]
    default_channels: tuple[str, ...] = ()
    case_id: str = "{case}"
    grade_file: GradeFile | None = None
    fields: dict[str, str] = field(default_factory=dict)
    reference: str = ""
    licence: str = ""
    quirks: str = ""
    submission: Submission = Submission()
    example: dict[str, str] = field(default_factory=dict)

    @cached_property
    def patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        """Regular expressions of all templates, each with its channel's name or `truth`."""
        templates = [(name, template) for name, channel in self.channels.items() for template in channel.templates]
        templates += [("truth", template) for template in self.truth]
        return [(name, template_pattern(template, self.fields)) for name, template in templates]

    @property
    def label_mapping(self) -> dict[int, int]:
        """nnU-Net's value of each label value of the release; nnU-Net's are consecutive, in the table's order."""
        return {0: 0, **{value: index for index, value in enumerate(self.labels.values(), start=1)}}

    def find_cases(self, source: Path) -> tuple[dict[str, CaseFiles], list[Path]]:
        """Find the files of every case below a folder.

        Returns:
            Cases by id, and images that are named like nothing of this release and lie in no case's folder.

        Raises:
            InputError: the folder is missing, or holds no image of this release; or its table of grades cannot be
                read, or gives no case a grade.
        """
        paths = list_files(source, self.title)
        grades, table = read_grades(self.grade_file, paths) if self.grade_file else ({}, None)
        cases, strangers = self.cases_among(source, paths, grades)
        if not any(any(case.images.values()) for case in cases.values()):
            template = next(iter(self.channels.values())).templates[0]
            raise InputError(
                f"no file below {source} belongs to {self.title}, whose files are named like {template}. "
                + (f"There is, for example, {paths[0].relative_to(source)}." if paths else "The folder is empty.")
            )
        if table:
            check_grades({case.case_id: case.grade for case in cases.values() if case.truth}, grades, table)
        return cases, strangers

    def cases_among(
        self, source: Path, paths: Iterable[Path], grades: Mapping[str, str] | None = None
    ) -> tuple[dict[str, CaseFiles], list[Path]]:
        """Sort the files that belong to this release by case. Returns as `find_cases`.

        Args:
            source: the folder of the release.
            paths: files below it.
            grades: by case, from the release's own table of grades.
        """
        cases: dict[str, CaseFiles] = {}
        root = source.resolve()  # its own name counts too: the user may point at a folder inside the layout
        strangers: list[Path] = []
        for path in paths:
            relative = composed((root / path.relative_to(source)).as_posix())
            matches = [(name, match) for name, pattern in self.patterns if (match := pattern.search(relative))]
            for name, match in matches:
                case = self._case(cases, match.groupdict(), grades or {})
                found = case.truth if name == "truth" else case.images[name]
                if not found or path.resolve() not in {other.resolve() for other in found}:  # a link to it is the same
                    found.append(path)
            if not matches and is_image(path):
                strangers.append(path)
        nobodys = assign_strangers(strangers, list(cases.values()))
        return dict(sorted(cases.items())), nobodys

    def _case(self, cases: dict[str, CaseFiles], groups: dict[str, str], grades: Mapping[str, str]) -> CaseFiles:
        case_id = self.case_id.format_map(groups)
        if case_id not in cases:
            cases[case_id] = CaseFiles(
                case_id=case_id,
                patient_id=groups.get("patient", case_id),
                grade=GRADES.get((grades.get(case_id) or groups.get("grade", "")).upper(), ""),
                timepoint=groups.get("timepoint", ""),
                images={name: [] for name in self.channels},
                truth=[],
            )
        return cases[case_id]


def assign_strangers(strangers: Iterable[Path], cases: Sequence[CaseFiles]) -> list[Path]:
    """Give images that match no template to the case in whose folder they lie, or by whose id they are named.

    Returns:
        Those that are nobody's.
    """
    owners: dict[Path, list[CaseFiles]] = defaultdict(list)
    for case in cases:
        owners[own_folder(case)].append(case)
    nobodys: list[Path] = []
    for path in strangers:
        of_nearest: list[CaseFiles] = next((owners[folder] for folder in path.parents if folder in owners), [])
        if len(of_nearest) != 1:  # a folder of several
            of_nearest = [case for case in cases if re.match(rf"{re.escape(case.case_id)}(?![0-9A-Za-z])", path.name)]
        (of_nearest[0].strangers if len(of_nearest) == 1 else nobodys).append(path)
    return nobodys


def own_folder(case: CaseFiles) -> Path:
    """The innermost folder that holds all files of a case."""
    files = [path.parent for paths in (*case.images.values(), case.truth) for path in paths]
    return Path(os.path.commonpath(files))


def folders_without_cases(cases: Iterable[CaseFiles], source: Path) -> list[Path]:
    """Folders beside those of the cases in which no file of a case lies: cases that are empty or named otherwise."""
    roots = {own_folder(case) for case in cases} - {source}
    shared = {parent for root in roots for parent in root.parents}  # grades, and what else holds cases
    beside = {folder for root in roots for folder in root.parent.iterdir() if folder.is_dir()}
    return sorted(folder for folder in beside - roots - shared if not folder.name.startswith("."))


def list_files(source: Path, title: str) -> list[Path]:
    """List all files below a folder, through links too, dangling ones included; names that begin with "." are none.

    Raises:
        InputError: there is no such folder, its name is not UTF-8, or one below it cannot be read.
    """
    if not source.is_dir():
        raise InputError(f"{source} is not a folder; give the folder into which {title} was unpacked")
    check_name(os.path.abspath(source))
    files: list[Path] = []

    def refuse(error: OSError) -> None:
        raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    for folder, inside, names in os.walk(source, onerror=refuse, followlinks=True):
        here = Path(folder)
        if here.is_symlink() and here.resolve() in {above.resolve() for above in here.parents}:
            inside.clear()  # a link to a folder through which it was reached
            continue
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        files += [here / name for name in names if not name.startswith(".")]
    return sorted(files)


def is_image(path: Path) -> bool:
    """Whether a file is named like an image."""
    return path.name.lower().endswith(IMAGE_ENDINGS)


def file_ending(path: Path) -> str:
    """Return the ending of an image file, `.nii.gz` counting as one; empty if it is none that nnU-Net reads."""
    return next((ending for ending in IMAGE_ENDINGS if path.name.lower().endswith(ending)), "")
