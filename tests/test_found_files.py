"""Cases are found through links, compressed or not, in upper or lower case, and unexpected files are named."""

from pathlib import Path

import numpy as np
import pytest

from segan_nnunet.data.conversion import convert
from segan_nnunet.data.releases.release import list_files
from segan_nnunet.data.releases.simulation import simulate_release
from segan_nnunet.data.releases.tables import load_release
from segan_nnunet.data.volumes import read_volume
from segan_nnunet.errors import InputError
from tests.hand_made import VALUES, no_dataset_left, write_2015_case, write_volume


def test_a_release_without_truth_becomes_a_dataset_of_test_cases(tmp_path: Path, nnunet_folders: Path) -> None:
    release = tmp_path / "release"
    write_2015_case(release, "HGG", "brats_tcia_pat200_0001", 500, truth=False)
    converted = convert(load_release("brats2015"), release, 15)
    assert not converted.training and converted.test == ["brats_tcia_pat200_0001"]
    assert len(list((converted.folder / "imagesTs").iterdir())) == 3


def test_an_unmatched_file_prevents_a_case_from_becoming_a_test_case(release_2015: Path, nnunet_folders: Path) -> None:
    path = next(release_2015.rglob("brats_tcia_pat118_0001/*OT*/*.mha"))
    path.rename(path.with_name(f"{path.stem} (1).mha"))  # the name of a browser's second download
    with pytest.raises(
        InputError, match=r"pat118_0001: truth is missing, and the case has files that match no .* \(1\)\.mha"
    ):
        convert(load_release("brats2015"), release_2015, 15)
    assert no_dataset_left(nnunet_folders)


def test_converting_names_additional_images_beside_a_complete_case(release_2015: Path, nnunet_folders: Path) -> None:
    case = next(release_2015.rglob("brats_tcia_pat118_0001"))
    (case / "notes.txt").touch()
    (case / "swi.mha").touch()
    (case.parent / "brats_tcia_pat999_0001" / "VSD").mkdir(parents=True)
    converted = convert(load_release("brats2015"), release_2015, 15)
    assert converted.unmatched_files == [case / "swi.mha"]
    assert converted.without_cases == [case.parent / "brats_tcia_pat999_0001"]


def test_list_files_follows_linked_folders_but_no_loops(tmp_path: Path, release_2015: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "HGG").symlink_to(release_2015 / "HGG")
    (linked / "gone.mha").symlink_to(tmp_path / "gone")
    expected_files = sorted(path.resolve() for path in (release_2015 / "HGG").rglob("*.mha"))
    (linked / "HGG" / "loop").symlink_to(linked)
    (linked / "HGG" / "._hidden.mha").touch()
    listed_files = list_files(linked, "it")
    assert sorted(path.resolve() for path in listed_files) == sorted([*expected_files, tmp_path / "gone"])


def test_nifti_files_are_found_compressed_or_not_in_upper_or_lower_case(tmp_path: Path, nnunet_folders: Path) -> None:
    for number, ending in enumerate((".nii.gz", ".nii", ".NII.gz", ".NII")):
        case = f"BraTS2021_{number:05}"
        for part in ("t1", "t1ce", "t2", "flair", "seg"):
            path = tmp_path / "release" / case / f"{case}_{part}{ending.lower()}"
            values = (VALUES % 2).astype(np.uint8) if part == "seg" else VALUES.astype(np.int16) + number
            write_volume(path, values)
            path.rename(path.with_name(f"{case}_{part}{ending}"))
    converted = convert(load_release("brats2021"), tmp_path / "release", 21)
    assert len(converted.training) == 4 and not converted.unmatched_files
    assert {path.name[15:] for path in (converted.folder / "imagesTr").iterdir()} == {
        f"_000{n}.nii.gz" for n in range(3)
    }
    np.testing.assert_array_equal(
        read_volume(converted.folder / "imagesTr" / "BraTS2021_00003_0000.nii.gz").voxels, VALUES.astype(np.int16) + 3
    )


def test_simulated_cases_of_2013_are_not_patients(tmp_path: Path, nnunet_folders: Path) -> None:
    for folder in ("Image_Data", "Synthetic_Data"):
        for name, volume in (("MR_T1", 1), ("MR_T1c", 2), ("MR_T2", 3), ("MR_Flair", 4)):
            name = f"VSD.Brain.XX.O.{name}"
            path = tmp_path / "BRATS-2" / folder / "HG" / "0001" / name / f"{name}.{volume}.mha"
            write_volume(path, VALUES.astype(np.int16) + volume)
        name = "VSD.Brain_3more.XX.XX.OT"
        path = tmp_path / "BRATS-2" / folder / "HG" / "0001" / name / f"{name}.5.mha"
        write_volume(path, (VALUES % 2).astype(np.uint8))
    converted = convert(load_release("brats2013"), tmp_path / "BRATS-2", 13)
    assert converted.training == ["HG_0001"]
    assert "Image_Data" in str((converted.folder / "imagesTr" / "HG_0001_0000.mha").resolve())


def test_a_link_to_a_neighbouring_case_hides_no_case(tmp_path: Path, release_2015: Path, nnunet_folders: Path) -> None:
    (release_2015 / "HGG" / "AnExample").symlink_to(next(release_2015.rglob("brats_tcia_pat118_0001")))
    assert len(convert(load_release("brats2015"), release_2015, 15).training) == 3


def test_an_image_in_a_folder_of_many_cases_is_identified_by_its_name(tmp_path: Path, nnunet_folders: Path) -> None:
    source = simulate_release(tmp_path, cases=3, key="msd-task01")
    path = next(source.rglob("labelsTr/*_002.nii.gz"))
    path.rename(path.with_name(path.name.replace(".nii.gz", " (1).nii.gz")))
    with pytest.raises(
        InputError, match=r"_002: truth is missing, and the case has files that match no .*_002 \(1\)\.nii\.gz"
    ):
        convert(load_release("msd-task01"), source, 5)
