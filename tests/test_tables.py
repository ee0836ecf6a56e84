"""Path templates and release tables are correct."""

from pathlib import Path

import pytest

from segan_nnunet.data.conversion import nnunet_labels
from segan_nnunet.data.releases.tables import available_releases, load_release, read_layout
from segan_nnunet.data.releases.templates import template_pattern
from segan_nnunet.errors import InputError


def test_template_fields_repeat_and_stars_stay_in_their_folder() -> None:
    pattern = template_pattern("{grade}/{case}/x*.{n}/{case}.{n}.mha", {"grade": "HGG|LGG", "n": r"\d+"})
    match = pattern.search("/data/HGG/pat1/x_y.7/pat1.7.mha")
    assert match and match.groupdict() == {"grade": "HGG", "case": "pat1", "n": "7"}
    for wrong in (
        "HGG/pat1/x.7/pat2.7.mha",
        "HGG/pat1/x.7/pat1.8.mha",
        "MGG/pat1/x.7/pat1.7.mha",
        "HGG/pat1/x/y.7/pat1.7.mha",
    ):
        assert not pattern.search(wrong), wrong


@pytest.mark.parametrize("key", available_releases())
def test_every_release_table_is_consistent(key: str) -> None:
    release = load_release(key)
    assert release.reference and release.licence
    labels, order = nnunet_labels(release)
    assert order and labels["background"] == 0 and len(order) == len(labels) - 1


def test_brats_2015_regions_equal_those_of_the_paper() -> None:
    labels, order = nnunet_labels(load_release("brats2015"))
    assert labels == {"background": 0, "whole tumor": (1, 2, 3, 4), "tumor core": (1, 3, 4), "enhancing tumor": 4}
    # voxels that only the whole tumour holds are written as edema; in the core, one of the core's labels is written
    assert order == (2, 1, 4)


def test_written_labels_restore_the_regions() -> None:
    labels, order = nnunet_labels(load_release("brats2015"))
    assert order
    regions = [value if isinstance(value, tuple) else (value,) for value in list(labels.values())[1:]]
    for depth in range(len(regions) + 1):  # inside the first `depth` nested regions
        written = order[depth - 1] if depth else 0
        assert [written in region for region in regions] == [index < depth for index in range(len(regions))]


def test_an_unknown_release_error_lists_the_known_releases() -> None:
    with pytest.raises(InputError, match="'brats1999'.*brats2015.*--layout"):
        load_release("brats1999")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "Mine"', "", "lacks 'name'"),
        ('name = "Mine"', 'name = "my data"', "folder's name"),
        ('["core", "edema", "enhancing tumor"]', '["core", "oedema"]', "oedema"),
        ('"{case}/seg.nii.gz"', '"seg.nii.gz"', r"'truth' lacks \{case\}"),
        ('enhancing tumor" = 4', 'enhancing tumor" = 2', "different values"),
        ("[labels]", "[labels", "not a TOML file"),
    ],
)
def test_an_error_of_a_bad_release_table_names_the_rule(layout: Path, old: str, new: str, message: str) -> None:
    layout.write_text(layout.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_layout(layout)
