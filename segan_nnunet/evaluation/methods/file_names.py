"""Advise on folders of segmentations whose layout or file names do not suit `compare`."""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from segan_nnunet.file_kinds import is_hidden

PATTERNS = ("*/*", "*/*/*")  # places of the files if other tools make one folder per case


def layout_hint(folder: Path, ending: str) -> str:
    """Describe what a folder holds instead of files with this ending, and the remedy; empty for an empty folder."""
    below = [path for pattern in PATTERNS for path in sorted(folder.glob(f"{pattern}{ending}"))]
    if below := [path for path in below if not is_hidden(path)]:
        return (
            f". Its subfolders hold {len(below)} such files, the first {below[0]}: put one file per case into one "
            "folder, named like its reference"
        )
    names = [path.name for path in folder.iterdir() if path.is_file() and not is_hidden(path)]
    endings = Counter(name[name.find(".") :] for name in names if "." in name)
    return (
        f". Its files end in {', '.join(sorted(endings))}: convert them, or give another dataset.json"
        if endings
        else ""
    )


def naming_hint(owner: str, names: Collection[str], cases: Collection[str]) -> str:
    """Describe the common prefix or suffix of file names that do not match the cases; empty without one.

    Args:
        owner: owner of the files, for the sentence.
        names: names of the files, without their ending.
        cases: cases of the references.
    """
    for longer, shorter, whose in ((names, cases, owner), (cases, names, "the references")):
        if affixes := common_affixes(set(longer) - set(shorter), set(shorter) - set(longer)):
            before, behind = affixes
            parts = [f"'{before}' before the case" if before else "", f"'{behind}' behind the case" if behind else ""]
            images = ", as images are named and not segmentations" if re.fullmatch(r"_\d{4}", behind) else ""
            return f"The files of {whose} have {' and '.join(filter(None, parts))}{images}: rename them without it"
    return ""


def common_affixes(longer: Collection[str], shorter: Collection[str]) -> tuple[str, str] | None:
    """Return the prefix and suffix that most longer names add to a shorter name; None if most do not share them."""
    counts: Counter[tuple[str, str]] = Counter()
    for name in longer:
        counts.update({name.partition(part)[::2] for part in shorter if part in name})
    for affixes, count in counts.most_common(1):
        if 2 * count > min(len(longer), len(shorter)):
            return affixes
    return None
