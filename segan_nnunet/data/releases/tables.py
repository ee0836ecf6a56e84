"""The catalogue of releases, TOML tables in `dataset_conversion/`, and tables of the user's own."""

import re
import sys
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


def available_releases() -> list[str]:
    """Names of the releases that come with the package."""
    return sorted(path.stem for path in catalogue_folder("dataset_conversion").glob("*.toml"))


def load_release(key: str) -> Release:
    """Read the table of a release that comes with the package.

    Raises:
        InputError: there is no such release.
    """
    if key not in available_releases():
        raise InputError(
            f"there is no release '{key}'. There are: {', '.join(available_releases())}. "
            "Describe a layout of your own in a table and give it with --layout FILE.toml."
        )
    return read_layout(catalogue_folder("dataset_conversion") / f"{key}.toml")


def recognise(source: Path) -> Release:
    """Find the release that a folder holds, by the names of its files.

    Raises:
        InputError: no release fits, or several do; with those that were considered.
    """
    paths = list_files(source, "the release")
    fitting = {}
    for release in map(load_release, available_releases()):
        cases = release.cases_among(source, paths)[0].values()
        whole = sum(all(case.images[name] for name in release.default_channels) for case in cases)
        if whole:
            fitting[release.key] = whole
    if len(fitting) == 1:
        return load_release(next(iter(fitting)))
    if fitting:
        found = ", ".join(f"{key} ({whole} cases)" for key, whole in fitting.items())
        raise InputError(
            f"the files below {source} are named as in several releases: {found}. Their label values differ, and "
            "names do not tell them apart: give the release instead of auto."
        )
    raise InputError(
        f"no release was recognised below {source}; considered: {', '.join(available_releases())}. Give the folder "
        "into which the release was unpacked, or describe your own layout with --layout FILE.toml."
    )


def read_layout(path: Path) -> Release:
    """Read a release's table, or one of the user's own.

    Raises:
        InputError: the file is missing, is not TOML, or breaks a rule of the format; with the rule.
    """
    if not path.is_file():
        raise InputError(f"there is no layout {path}")
    try:
        table = tomllib.loads(read_text(path, "a layout"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error
    try:
        release = _release(path.stem, table)
        check(release)
    except KeyError as error:
        raise InputError(f"{path} lacks {error}; docs/datasets.md says what a table needs") from error
    except (ValueError, TypeError, re.error) as error:
        raise InputError(f"{path}: {error}") from error
    return release


def _release(key: str, table: dict[str, Any]) -> Release:
    case = table.get("case", {})
    grades = case.get("grade_file")
    return Release(
        key=key,
        name=table["name"],
        title=table.get("title", key),
        channels={name: _channel(value) for name, value in table["channels"].items()},
        default_channels=tuple(table.get("default_channels", table["channels"])),
        truth=_templates(table["truth"]),
        labels=table["labels"],
        regions=table["regions"],
        case_id=case.get("id", "{case}"),
        grade_file=GradeFile(grades["name"], grades["case"], grades["grade"]) if grades else None,
        fields=table.get("fields", {}),
        reference=table.get("reference", ""),
        licence=table.get("licence", ""),
        quirks=table.get("quirks", ""),
        submission=Submission(**table.get("submission", {})),
        example=table.get("example", {}),
    )


def _channel(value: Any) -> Channel:
    if isinstance(value, dict):
        return Channel(_templates(value["file"]), value.get("volume"))
    return Channel(_templates(value))


def _templates(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def check(release: Release) -> None:
    """Check a table's rules.

    Raises:
        ValueError: one is broken.
        re.error: a regular expression is invalid.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", release.name):
        raise ValueError(f"name '{release.name}' becomes a folder's name: letters, digits, '_', '-' and '.' only")
    if 0 in release.labels.values() or len(set(release.labels.values())) < len(release.labels):
        raise ValueError("[labels] must have different values, none of them 0, which is background")
    for region, names in release.regions.items():
        if unknown := set(names) - set(release.labels):
            raise ValueError(f"region '{region}' has labels that [labels] lacks: {', '.join(sorted(unknown))}")
    if left_over := set(release.labels) - {name for names in release.regions.values() for name in names}:
        raise ValueError(f"label {', '.join(sorted(left_over))} is in no region, and nnU-Net would refuse the truths")
    needed = field_names(release.case_id)
    templates = [(name, template) for name, channel in release.channels.items() for template in channel.templates]
    for name, template in [*templates, *(("truth", template) for template in release.truth)]:
        if lacking := needed - field_names(template):
            raise ValueError(
                f"the template of '{name}' lacks {{{'}, {'.join(sorted(lacking))}}}, of which the case's id is made"
            )
    if unknown := set(release.default_channels) - set(release.channels):
        raise ValueError(f"default_channels has {', '.join(sorted(unknown))}, which [channels] lacks")
    _ = release.patterns  # an invalid regular expression of a field shows here
