"""Write the tables of all releases into docs/datasets.md, between its two markers (`make tables`)."""

from pathlib import Path

from segan_nnunet.data.releases.release import Release, file_ending
from segan_nnunet.data.releases.tables import available_releases, load_release

PAGE = Path(__file__).parent / "datasets.md"
START, END = "<!-- tables -->\n", "<!-- end of tables -->\n"


def rows(release: Release) -> tuple[str, str]:
    """Return the row of a release in the table of files, and its row in the table of labels."""
    channels = ", ".join(f"**{name}**" if name in release.default_channels else name for name in release.channels)
    template = next(iter(release.channels.values())).templates[0].replace("|", "\\|")
    upload = release.submission.file.replace("{ending}", file_ending(Path(template.replace("*", ".gz"))))
    files = f"| `{release.key}` | {release.title} | `{template}` | {channels} | `{upload}` |"
    labels = ", ".join(f"{value} → {release.label_mapping[value]} {name}" for name, value in release.labels.items())
    regions = "; ".join(
        f"{region} = {'+'.join(str(release.labels[label]) for label in labels)}"
        for region, labels in release.regions.items()
    )
    return files, f"| `{release.key}` | {labels} | {regions} | {release.quirks} |"


def tables() -> str:
    """Return both tables as Markdown."""
    releases = [rows(load_release(key)) for key in available_releases()]
    files = ["| release | title | first channel's files | channels | submission |", "| --- | --- | --- | --- | --- |"]
    labels = ["| release | labels | regions (values in the release) | quirks |", "| --- | --- | --- | --- |"]
    files += [row for row, _ in releases]
    labels += [row for _, row in releases]
    return "\n".join(files) + "\n\n" + "\n".join(labels) + "\n"


def page(text: str) -> str:
    """Return the page with new tables."""
    before, _, rest = text.partition(START)
    return before + START + tables() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
