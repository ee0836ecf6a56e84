"""Define a BRATS release, and find the files of its cases."""

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
from segan_nnunet.file_kinds import check_name, composed, is_hidden

IMAGE_ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd")  # those that nnU-Net reads too


@dataclass(frozen=True)
class Channel:
    """The location of one channel's images.

    Attributes:
        templates: path templates; a file may match any of them.
        volume: index in a 4-D file with several channels, or None.
    """

    templates: tuple[str, ...]
    volume: int | None = None


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case.

    Attributes:
        case_id: name of the case in nnU-Net.
        patient_id: the patient; several cases may be scans of one patient.
        grade: HGG, LGG, or empty if the release has no grade.
        timepoint: the scan among those of the patient, or empty.
        images: per channel name, all files that match its templates (one, if the release is in order).
        truth: all files that match the truth's templates.
        unmatched_files: other images of this case, which match no template.
    """

    case_id: str
    patient_id: str
    grade: str
    timepoint: str
    images: dict[str, list[Path]]
    truth: list[Path]
    unmatched_files: list[Path] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The innermost folder that holds all files of the case."""
        files = [path.parent for paths in (*self.images.values(), self.truth) for path in paths]
        return Path(os.path.commonpath(files))


@dataclass(frozen=True)
class Submission:
    """The file names that the online evaluation expects.

    Attributes:
        file: template of a path in the upload. It may contain {case}, {ending}, {description}, and the fields of one
            channel's path.
        fields_of: name of that channel; empty if there is none.
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
        default_channels: channels that `convert` takes by default, in this order.
        truth: path templates of the truth.
        labels: value of each label in the truth's files; background is 0. nnU-Net's values are 1, 2, 3 ... in the
            order of the table.
        regions: names of the labels of each region, the outermost region first.
        case_id: template over the fields of the paths.
        grade_file: the release's table of grades, if it has one.
        fields: the regular expression of each field whose text is restricted. The fields `patient`, `grade` and
            `timepoint` define these properties of a case. A template contains them as {grade}, and the expression of
            another field as (?P<patient>...).
        quirks: peculiarities of the release, for people.
        submission: how results are uploaded.
        example: for the simulator: the text of each field, with {index}, {grade} and {serial} to fill in. Its entry
            `folder` names the folder that the simulator writes.
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

    @property
    def templates(self) -> list[tuple[str, str]]:
        """All path templates, each with the name of its channel or `truth`."""
        of_channels = [(name, template) for name, channel in self.channels.items() for template in channel.templates]
        return of_channels + [("truth", template) for template in self.truth]

    @cached_property
    def patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        """Regular expressions of all templates, each with the name of its channel or `truth`."""
        return [(name, template_pattern(template, self.fields)) for name, template in self.templates]

    @property
    def label_mapping(self) -> dict[int, int]:
        """nnU-Net's value of each of the release's label values: 1, 2, 3 ... in the table's order."""
        return {0: 0, **{value: index for index, value in enumerate(self.labels.values(), start=1)}}

    def find_cases(self, source: Path) -> tuple[dict[str, CaseFiles], list[Path]]:
        """Find the files of every case below a folder.

        Returns:
            Cases by id, and the images that match no template and belong to no case.

        Raises:
            InputError: the folder is missing, or holds no image of this release; or its table of grades cannot be
                read, or has no case's grade.
        """
        paths = list_files(source, self.title)
        grades, table = read_grades(self.grade_file, paths) if self.grade_file else ({}, None)
        cases, unassigned_files = self.cases_among(source, paths, grades)
        if not any(any(case.images.values()) for case in cases.values()):
            raise InputError(
                f"no file below {source} belongs to {self.title}, whose files are named like {self.templates[0][1]}. "
                + (f"There is, for example, {paths[0].relative_to(source)}." if paths else "The folder is empty.")
            )
        if table:
            check_grades({case.case_id: case.grade for case in cases.values() if case.truth}, grades, table)
        return cases, unassigned_files

    def cases_among(
        self, source: Path, paths: Iterable[Path], grades: Mapping[str, str] | None = None
    ) -> tuple[dict[str, CaseFiles], list[Path]]:
        """Sort the files of this release by case. Return the same as `find_cases`.

        Args:
            source: the folder of the release.
            paths: files below it.
            grades: by case, from the release's table of grades.
        """
        cases: dict[str, CaseFiles] = {}
        root = source.resolve()  # its own name counts too: the user may give a folder inside the layout
        unmatched_files: list[Path] = []
        for path in paths:
            relative = composed((root / path.relative_to(source)).as_posix())
            matches = [(name, match) for name, pattern in self.patterns if (match := pattern.search(relative))]
            for name, match in matches:
                fields = match.groupdict()
                case_id = self.case_id.format_map(fields)
                grade = (grades or {}).get(case_id) or fields.get("grade", "")
                new_case = CaseFiles(
                    case_id=case_id,
                    patient_id=fields.get("patient", case_id),
                    grade=GRADES.get(grade.upper(), ""),
                    timepoint=fields.get("timepoint", ""),
                    images={channel: [] for channel in self.channels},
                    truth=[],
                )
                case = cases.setdefault(case_id, new_case)
                files = case.truth if name == "truth" else case.images[name]
                if not files or path.resolve() not in {other.resolve() for other in files}:  # not a link to one of them
                    files.append(path)
            if not matches and file_ending(path):
                unmatched_files.append(path)
        unassigned_files = assign_unmatched_files(unmatched_files, list(cases.values()))
        return dict(sorted(cases.items())), unassigned_files


def assign_unmatched_files(unmatched_files: Iterable[Path], cases: Sequence[CaseFiles]) -> list[Path]:
    """Assign images that match no template to the case of their folder, or to the case that their name begins with.

    Returns:
        Those that belong to no case.
    """
    cases_in: dict[Path, list[CaseFiles]] = defaultdict(list)
    for case in cases:
        cases_in[case.folder].append(case)
    unassigned_files: list[Path] = []
    for path in unmatched_files:
        owners: list[CaseFiles] = next((cases_in[folder] for folder in path.parents if folder in cases_in), [])
        if len(owners) != 1:  # a folder of several cases
            owners = [case for case in cases if re.match(rf"{re.escape(case.case_id)}(?![0-9A-Za-z])", path.name)]
        (owners[0].unmatched_files if len(owners) == 1 else unassigned_files).append(path)
    return unassigned_files


def folders_without_cases(cases: Iterable[CaseFiles], source: Path) -> list[Path]:
    """Return the folders next to the case folders that contain no case: they are empty, or have other names."""
    roots = {case.folder for case in cases} - {source}
    shared = {parent for root in roots for parent in root.parents}  # folders of grades, for instance
    siblings = {folder for root in roots for folder in root.parent.iterdir() if folder.is_dir()}
    return sorted(folder for folder in siblings - roots - shared if not is_hidden(folder))


def list_files(source: Path, title: str) -> list[Path]:
    """List all files below a folder. Links are followed, dangling links are listed, hidden files are left out.

    Raises:
        InputError: the folder does not exist, its name is not UTF-8, or a folder below it cannot be read.
    """
    if not source.is_dir():
        raise InputError(f"{source} is not a folder; give the folder into which {title} was unpacked")
    check_name(os.path.abspath(source))
    files: list[Path] = []

    def refuse(error: OSError) -> None:
        raise InputError(
            f"the folder {error.filename} cannot be read: {error.strerror}; ask its owner for permission to read it, "
            "or move it away"
        ) from error

    for name, subfolders, names in os.walk(source, onerror=refuse, followlinks=True):
        folder = Path(name)
        if folder.is_symlink() and folder.resolve() in {parent.resolve() for parent in folder.parents}:
            subfolders.clear()  # the link leads to a folder above it
            continue
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files += [folder / name for name in names if not name.startswith(".")]
    return sorted(files)


def file_ending(path: Path) -> str:
    """Return the ending of an image file that nnU-Net reads, such as `.nii.gz`; an empty text for other files."""
    return next((ending for ending in IMAGE_ENDINGS if path.name.lower().endswith(ending)), "")
