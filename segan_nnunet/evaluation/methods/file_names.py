"""Advice for folders of segmentations that are laid out or named in another way than `compare` needs."""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from segan_nnunet.file_kinds import is_hidden

PATTERNS = ("*/*", "*/*/*")  # below a folder, where other tools put a folder for each case


def where_they_are(folder: Path, ending: str) -> str:
    """Say what a folder holds instead of files with an ending, and what helps; nothing if it is empty."""
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
    """Say what the names of files have before or behind those of the references; nothing if they have nothing.

    Args:
        owner: of the files, for the sentence.
        names: of the files, without their ending.
        cases: of the references.
    """
    for longer, shorter, whose in ((names, cases, owner), (cases, names, "the references")):
        if affixes := common_affixes(set(longer) - set(shorter), set(shorter) - set(longer)):
            before, behind = affixes
            parts = [f"'{before}' before the case" if before else "", f"'{behind}' behind the case" if behind else ""]
            images = ", as images are named and not segmentations" if re.fullmatch(r"_\d{4}", behind) else ""
            return f"The files of {whose} have {' and '.join(filter(None, parts))}{images}: rename them without it"
    return ""


def common_affixes(longer: Collection[str], shorter: Collection[str]) -> tuple[str, str] | None:
    """Return what most names have before and behind a name of the others; None where most have not the same."""
    counts: Counter[tuple[str, str]] = Counter()
    for name in longer:
        counts.update({name.partition(part)[::2] for part in shorter if part in name})
    for affixes, count in counts.most_common(1):
        if 2 * count > min(len(longer), len(shorter)):
            return affixes
    return None
