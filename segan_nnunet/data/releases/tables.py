"""The catalogue of releases, TOML tables in `dataset_conversion/`, and tables of the user's own."""

import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.data.releases.release import Channel, GradeFile, Release, Submission, list_files
from segan_nnunet.data.releases.templates import field_names
from segan_nnunet.errors import InputError
from segan_nnunet.text_files import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OPTIONAL = ("title", "fields", "reference", "licence", "quirks", "example")  # taken as they are


def available_releases() -> list[str]:
    """Return the names of the releases in the package."""
    return sorted(path.stem for path in catalogue_folder("dataset_conversion").glob("*.toml"))


def load_release(key: str) -> Release:
    """Read the table of a release in the package.

    Raises:
        InputError: there is no such release.
    """
    if key not in available_releases():
        raise InputError(
            f"there is no release '{key}'. There are: {', '.join(available_releases())}. "
            "Describe a layout of your own in a table and give it with --layout FILE.toml."
        )
    return read_layout(catalogue_folder("dataset_conversion") / f"{key}.toml")


def releases_with(values: Collection[float]) -> list[Release]:
    """Return the releases in the package that have all these values as labels or background."""
    releases = map(load_release, available_releases())
    return [release for release in releases if set(values) <= {0, *release.labels.values()}]


def recognise(source: Path) -> Release:
    """Recognise the release below a folder by the names of its files.

    Raises:
        InputError: no release fits, or several do; with the releases that were considered.
    """
    paths = list_files(source, "the release")
    fitting = []
    for release in map(load_release, available_releases()):
        cases = release.cases_among(source, paths)[0].values()
        if complete := sum(all(case.images[name] for name in release.default_channels) for case in cases):
            fitting.append((release, complete))
    if not fitting:
        raise InputError(
            f"no release was recognised below {source}; considered: {', '.join(available_releases())}. Give the folder "
            "into which the release was unpacked, or describe your own layout with --layout FILE.toml."
        )
    if len(fitting) > 1:
        candidates = ", ".join(f"{release.key} ({complete} cases)" for release, complete in fitting)
        raise InputError(
            f"the files below {source} are named as in several releases: {candidates}. Their label values differ, and "
            "names do not tell them apart: give the release instead of auto."
        )
    return fitting[0][0]


def read_layout(path: Path) -> Release:
    """Read a release's table, in the package or of the user's own.

    Raises:
        InputError: the file is missing, is not TOML, or breaks a rule of the format; with the rule.
    """
    if not path.is_file():
        raise InputError(f"there is no layout {path}; give the path of a table in TOML")
    try:
        table = tomllib.loads(read_text(path, "a layout"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not a TOML file: {error}; correct that line") from error
    try:
        release = make_release(path.stem, table)
        check(release)
    except KeyError as error:
        raise InputError(f"{path} lacks {error}; docs/datasets.md lists the required keys") from error
    except (ValueError, TypeError, re.error) as error:
        raise InputError(f"{path}: {error}") from error
    return release


def make_release(key: str, table: dict[str, Any]) -> Release:
    """Make a release of the content of its table."""
    case = table.get("case", {})
    grades = case.get("grade_file")
    channels = {name: file if isinstance(file, dict) else {"file": file} for name, file in table["channels"].items()}
    return Release(
        key=key,
        name=table["name"],
        channels={name: Channel(as_tuple(one["file"]), one.get("volume")) for name, one in channels.items()},
        default_channels=tuple(table.get("default_channels", channels)),
        truth=as_tuple(table["truth"]),
        labels=table["labels"],
        regions=table["regions"],
        case_id=case.get("id", "{case}"),
        grade_file=GradeFile(grades["name"], grades["case"], grades["grade"]) if grades else None,
        submission=Submission(**table.get("submission", {})),
        **{"title": key} | {name: table[name] for name in OPTIONAL if name in table},
    )


def as_tuple(templates: str | list[str]) -> tuple[str, ...]:
    """Return one template, or a list of templates, as a tuple."""
    return (templates,) if isinstance(templates, str) else tuple(templates)


def check(release: Release) -> None:
    """Check a table's rules.

    Raises:
        ValueError: the table breaks a rule.
        re.error: a regular expression is invalid.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", release.name):
        raise ValueError(f"name '{release.name}' becomes a folder's name: letters, digits, '_', '-' and '.' only")
    if 0 in release.labels.values() or len(set(release.labels.values())) < len(release.labels):
        raise ValueError("[labels] must have different values, none of them 0, which is background")
    for region, names in release.regions.items():
        if unknown := set(names) - set(release.labels):
            raise ValueError(f"region '{region}' has labels that [labels] lacks: {', '.join(sorted(unknown))}")
    if left_over := set(release.labels).difference(*release.regions.values()):
        raise ValueError(f"label {', '.join(sorted(left_over))} is in no region, and nnU-Net would refuse the truths")
    for name, template in release.templates:
        if lacking := field_names(release.case_id) - field_names(template):
            raise ValueError(
                f"the template of '{name}' lacks {{{'}, {'.join(sorted(lacking))}}}, of which the case's id is made"
            )
    if unknown := set(release.default_channels) - set(release.channels):
        raise ValueError(f"default_channels has {', '.join(sorted(unknown))}, which [channels] lacks")
    _ = release.patterns  # an invalid regular expression of a field shows here
