"""Bad input gives an error with file, rule and remedy, and leaves no files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from segan_nnunet.data.conversion import Options, convert
from segan_nnunet.data.releases.release import Release
from segan_nnunet.data.releases.tables import load_release, read_layout
from segan_nnunet.data.volumes import read_volume
from segan_nnunet.errors import InputError
from tests.hand_made import SIZE, VALUES, no_dataset_left, overwrite, write_2015_case, write_own_case, write_volume


def expect_refusal(match: str, release: Release, source: Path, folders: Path, dataset_id: int = 15) -> None:
    with pytest.raises(InputError, match=match):
        convert(release, source, dataset_id)
    assert no_dataset_left(folders)


def test_converting_refuses_a_missing_source(tmp_path: Path, nnunet_folders: Path) -> None:
    expect_refusal("nowhere is not a folder", load_release("brats2015"), tmp_path / "nowhere", nnunet_folders)


def test_converting_refuses_a_source_of_another_release(layout: Path, tmp_path: Path, nnunet_folders: Path) -> None:
    write_own_case(tmp_path / "own", "a", np.zeros(SIZE[::-1], np.uint8))
    expect_refusal(
        r"no file below .* belongs to BRATS 2015.*example, a/seg",
        load_release("brats2015"), tmp_path / "own", nnunet_folders,
    )  # fmt: skip


def test_converting_refuses_a_user_table_that_matches_no_file(
    layout: Path, release_2015: Path, nnunet_folders: Path
) -> None:
    expect_refusal("no file below .* belongs to mine", read_layout(layout), release_2015, nnunet_folders)


def test_converting_lists_every_problem_of_every_case(release_2015: Path, nnunet_folders: Path) -> None:
    release = load_release("brats2015")
    write_2015_case(release_2015, "HGG", "brats_tcia_pat200_0001", 500, without="T2")
    folder = write_2015_case(release_2015, "HGG", "brats_tcia_pat300_0001", 600)
    write_volume(next(folder.glob("*T1c*/*.mha")), np.zeros((2, 2, 2), np.int16))
    folder = write_2015_case(release_2015, "HGG", "brats_tcia_pat400_0001", 700)
    write_volume(next(folder.glob("*Flair*/*.mha")), np.zeros(SIZE[::-1], np.int16), spacing=2.0)
    folder = write_2015_case(release_2015, "LGG", "brats_tcia_pat500_0001", 800)
    write_volume(next(folder.glob("*OT*/*.mha")), np.full(SIZE[::-1], 5, np.int16))
    folder = write_2015_case(release_2015, "LGG", "brats_tcia_pat600_0001", 900)
    next(folder.glob("*MR_T2*/*.mha")).write_bytes(b"not an image")
    with pytest.raises(InputError) as caught:
        convert(release, release_2015, 15)
    message = str(caught.value)
    for expected in (
        "pat200_0001: T2 is missing",
        "pat300_0001: size is (6, 5, 4) in T2 and (2, 2, 2) in T1c",
        "pat400_0001: spacing is (2.0, 2.0, 2.0) in FLAIR and (1.0, 1.0, 1.0) in T1c",
        "pat500_0001: truth has the values 5, which BRATS 2015 does not know (it has 0, 1, 2, 3, 4)",
        "pat600_0001: T2: ",
    ):
        assert expected in message
    assert no_dataset_left(nnunet_folders)


def test_converting_refuses_an_ambiguous_modality(release_2015: Path, nnunet_folders: Path) -> None:
    write_2015_case(release_2015, "HGG", "brats_tcia_pat118_0001", 1000)
    expect_refusal(
        r"pat118_0001: T1c is ambiguous, keep one of: .*T1c\.1002\.mha, .*T1c\.102\.mha",
        load_release("brats2015"),
        release_2015,
        nnunet_folders,
    )


@pytest.mark.parametrize(
    ("what", "values", "message"),
    [
        ("T1c", np.where(VALUES == 7, np.nan, 1.0), "T1c has 1 voxels that are NaN or infinite"),
        ("T2", np.where(VALUES < 2, np.inf, 1.0), "T2 has 2 voxels that are NaN or infinite"),
        ("Flair", np.zeros(SIZE[::-1], np.int16), "FLAIR is zero everywhere; the modality is missing"),
        ("OT", VALUES % 5 + 0.5, "truth has values that are not whole, 0.5, 1.5.*interpolated"),
        ("OT", np.where(VALUES == 0, np.nan, 1.0), "truth has values that are not whole, nan"),
        ("OT", np.full(SIZE[::-1], -1, np.int16), "truth has the values -1, .* would fit no release"),
    ],
)
def test_converting_refuses_bad_voxels(
    release_2015: Path, nnunet_folders: Path, what: str, values: np.ndarray, message: str
) -> None:
    path = overwrite(release_2015, "brats_tcia_pat118_0001", f"{what}.", values)
    expect_refusal(
        f"1 problems.*\n.*pat118_0001: {message}.*{path.name}", load_release("brats2015"), release_2015, nnunet_folders
    )


def test_an_unknown_label_error_names_the_release_that_has_the_labels(
    layout: Path, tmp_path: Path, nnunet_folders: Path
) -> None:
    write_own_case(tmp_path / "own", "a", (VALUES % 4).astype(np.uint8))  # the user's table has no label 3
    expect_refusal(
        "values 3, which mine does not know.*would fit brats2013, brats2015, brats2023-gli",
        read_layout(layout), tmp_path / "own", nnunet_folders,
    )  # fmt: skip


@pytest.mark.parametrize("keep", [0.3, 0.98])
def test_converting_refuses_a_truncated_file(release_2015: Path, nnunet_folders: Path, keep: float) -> None:
    path = next(release_2015.rglob("brats_tcia_pat118_0001/*T1c.*/*.mha"))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    expect_refusal(
        "T1c: .* (was cut off|is damaged|or damaged).*fetch", load_release("brats2015"), release_2015, nnunet_folders
    )


@pytest.mark.parametrize("what", ["origin", "direction"])
def test_converting_accepts_a_wrong_truth_header_only_on_request(
    release_2015: Path, nnunet_folders: Path, what: str
) -> None:
    path = next(release_2015.rglob("brats_tcia_pat118_0001/*OT*/*.mha"))
    truth = sitk.ReadImage(str(path))
    if what == "origin":
        truth.SetOrigin((5.0, 0.0, 0.0))
    else:
        truth.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(truth, str(path))
    release = load_release("brats2015")
    expect_refusal(f"{what} is .* in truth and .*--geometry-from image takes", release, release_2015, nnunet_folders)
    converted = convert(release, release_2015, 15, Options(geometry_from_image=True))
    written = sitk.ReadImage(str(converted.folder / "labelsTr" / "brats_tcia_pat118_0001.mha"))
    assert written.GetOrigin() == (0.0, 0.0, 0.0) and written.GetDirection()[0] == 1.0
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(truth))
    assert (converted.folder / "labelsTr" / "brats_tcia_pat118_0014.mha").is_symlink(), (
        "the other files are still links"
    )


def test_converting_stores_whole_numbers_of_a_float_truth_as_integers(release_2015: Path, nnunet_folders: Path) -> None:
    overwrite(release_2015, "brats_tcia_pat118_0001", "OT.", (VALUES % 5).astype(np.float64))
    converted = convert(load_release("brats2015"), release_2015, 15)
    written = sitk.ReadImage(str(converted.folder / "labelsTr" / "brats_tcia_pat118_0001.mha"))
    assert written.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), VALUES % 5)


def test_converting_counts_empty_truths(release_2015: Path, nnunet_folders: Path) -> None:
    overwrite(release_2015, "brats_tcia_pat118_0001", "OT.", np.zeros(SIZE[::-1], np.int16))
    assert convert(load_release("brats2015"), release_2015, 15).empty == ["brats_tcia_pat118_0001"]


def test_converting_refuses_one_scan_under_two_names(release_2015: Path, nnunet_folders: Path) -> None:
    write_2015_case(release_2015, "HGG", "brats_tcia_pat999_0001", 100)  # the content of pat118_0001
    expect_refusal(
        "pat999_0001: is the same as brats_tcia_pat118_0001, voxel by voxel; leave one out",
        load_release("brats2015"), release_2015, nnunet_folders,
    )  # fmt: skip


def test_converting_unifies_mixed_file_endings(tmp_path: Path, nnunet_folders: Path) -> None:
    layout = tmp_path / "any.toml"
    layout.write_text(
        'name = "Any"\ntruth = "{case}/seg.*"\n[channels]\nT1c = "{case}/t1c.*"\n[labels]\ntumor = 1\n'
        '[regions]\n"whole tumor" = ["tumor"]\n'
    )
    for number, (case, ending) in enumerate((("a", ".nii.gz"), ("b", ".nii.gz"), ("c", ".mha"))):
        write_volume(tmp_path / "own" / case / f"t1c{ending}", VALUES.astype(np.float32) + number)
        write_volume(tmp_path / "own" / case / f"seg{ending}", (VALUES % 2).astype(np.uint8))
    converted = convert(read_layout(layout), tmp_path / "own", 15)
    for part, name in (("imagesTr", "c_0000.nii.gz"), ("labelsTr", "c.nii.gz")):
        source = tmp_path / "own" / "c" / ("t1c.mha" if part == "imagesTr" else "seg.mha")
        np.testing.assert_array_equal(read_volume(converted.folder / part / name).voxels, read_volume(source).voxels)
    assert converted.copied and (converted.folder / "imagesTr" / "a_0000.nii.gz").is_symlink(), (
        "the other files are still links"
    )


def test_skip_bad_leaves_out_bad_cases_and_lists_them(release_2015: Path, nnunet_folders: Path) -> None:
    write_2015_case(release_2015, "HGG", "brats_tcia_pat200_0001", 500, without="T2")
    converted = convert(load_release("brats2015"), release_2015, 15, Options(skip_bad=True))
    assert len(converted.training) == 3 and list(converted.left_out) == ["brats_tcia_pat200_0001"]
    listed = pd.read_csv(converted.folder / "left_out.csv")
    assert list(listed["case"]) == ["brats_tcia_pat200_0001"] and "T2 is missing" in listed["problem"][0]
    assert json.loads((converted.folder / "dataset.json").read_text())["numTraining"] == 3


def test_converting_refuses_a_release_without_good_cases(tmp_path: Path, nnunet_folders: Path) -> None:
    release = tmp_path / "release"
    write_2015_case(release, "HGG", "brats_tcia_pat200_0001", 500, without="T2")
    with pytest.raises(InputError, match="all 1 cases .* break a rule"):
        convert(load_release("brats2015"), release, 15, Options(skip_bad=True))


def test_converting_refuses_a_taken_dataset_id(release_2015: Path, nnunet_folders: Path) -> None:
    (nnunet_folders / "nnUNet_results" / "Dataset015_Other").mkdir()
    expect_refusal("15 is taken by .*Dataset015_Other", load_release("brats2015"), release_2015, nnunet_folders)


def test_converting_refuses_an_unset_nnunet_raw(release_2015: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_raw", raising=False)
    with pytest.raises(InputError, match="nnUNet_raw is not set.*export nnUNet_raw="):
        convert(load_release("brats2015"), release_2015, 15)


def test_converting_refuses_an_unknown_channel(release_2015: Path, nnunet_folders: Path) -> None:
    with pytest.raises(InputError, match="no channel PET; it has T1, T1c, T2, FLAIR"):
        convert(load_release("brats2015"), release_2015, 15, Options(("PET",)))


def test_converting_refuses_a_case_id_that_cannot_be_a_file_name(
    layout: Path, tmp_path: Path, nnunet_folders: Path
) -> None:
    write_own_case(tmp_path / "own", " spaced", (VALUES % 2).astype(np.uint8))
    expect_refusal(
        "the id ' spaced' cannot be a file's name; rename", read_layout(layout), tmp_path / "own", nnunet_folders
    )
