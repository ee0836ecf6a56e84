"""Conversion of small hand-made files."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from nnunetv2.utilities.dataset_name_id_conversion import find_candidate_datasets

from segan_nnunet.data import conversion
from segan_nnunet.data.conversion import Options, convert
from segan_nnunet.data.releases.tables import load_release, read_layout
from tests.hand_made import SIZE, no_dataset_left, write_2015_case, write_own_case


def test_conversion_links_images_and_describes_the_dataset(release_2015: Path, nnunet_folders: Path) -> None:
    converted = convert(load_release("brats2015"), release_2015, 15)
    assert converted.folder.name == "Dataset015_BRATS2015" and not converted.copied
    assert converted.training == ["brats_2013_pat0001_1", "brats_tcia_pat118_0001", "brats_tcia_pat118_0014"]
    dataset = json.loads((converted.folder / "dataset.json").read_text())
    assert dataset["channel_names"] == {"0": "T1c", "1": "T2", "2": "FLAIR"}  # the order of the paper
    assert (dataset["numTraining"], dataset["file_ending"]) == (3, ".mha")
    linked = converted.folder / "imagesTr" / "brats_tcia_pat118_0014_0002.mha"
    assert linked.is_symlink() and linked.resolve().name == "VSD.Brain.XX.O.MR_Flair.200.mha"
    assert (converted.folder / "labelsTr" / "brats_2013_pat0001_1.mha").is_symlink()
    cases = pd.read_csv(converted.folder / "cases.csv")
    assert list(cases["patient"]) == ["brats_2013_pat0001", "brats_tcia_pat118", "brats_tcia_pat118"]
    assert list(cases["grade"]) == ["LGG", "HGG", "HGG"]


def test_conversion_selects_channels_and_copies_images(release_2015: Path, nnunet_folders: Path) -> None:
    converted = convert(load_release("brats2015"), release_2015, 15, Options(("FLAIR", "T1"), copy=True))
    files = sorted(path.name for path in (converted.folder / "imagesTr").iterdir())
    assert len(files) == 6 and converted.copied
    first = converted.folder / "imagesTr" / files[0]
    assert not first.is_symlink() and sitk.GetArrayFromImage(sitk.ReadImage(str(first)))[1, 1, 1] == 100  # FLAIR


def test_conversion_copies_where_the_file_system_has_no_links(
    release_2015: Path, nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    converted = convert(load_release("brats2015"), release_2015, 15)
    assert converted.copied and (converted.folder / "imagesTr" / "brats_2013_pat0001_1_0000.mha").is_file()


def test_cases_without_truth_become_test_cases(release_2015: Path, nnunet_folders: Path) -> None:
    write_2015_case(release_2015, "HGG_LGG", "brats_2013_pat0103_1", 400, truth=False)
    converted = convert(load_release("brats2015"), release_2015, 15)
    assert converted.test == ["brats_2013_pat0103_1"] and len(converted.training) == 3
    assert len(list((converted.folder / "imagesTs").iterdir())) == 3


def test_conversion_makes_labels_consecutive_and_records_the_original_values(
    layout: Path, tmp_path: Path, nnunet_folders: Path
) -> None:
    original = np.random.default_rng(0).choice([0, 1, 2, 4], size=SIZE[::-1]).astype(np.float32)
    write_own_case(tmp_path / "own", "a", original)
    release = read_layout(layout)
    converted = convert(release, tmp_path / "own", 7)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(converted.folder / "labelsTr" / "a.nii.gz")))
    assert written.dtype == np.uint8 and set(np.unique(written)) == {0, 1, 2, 3}
    dataset = json.loads((converted.folder / "dataset.json").read_text())
    back = {int(index): value for index, value in dataset["original_labels"].items()}
    np.testing.assert_array_equal(np.vectorize(back.get)(written), original)
    assert {index: value for value, index in release.label_mapping.items()} == back
    assert dataset["labels"]["tumor core"] == [1, 3]  # 1 and 4 in the release


def test_a_killed_conversion_leaves_no_dataset(release_2015: Path, nnunet_folders: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from segan_nnunet.data import conversion\n"
        "from segan_nnunet.data.releases.tables import load_release\n"
        "conversion.write_case_table = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "conversion.convert(load_release('brats2015'), Path(sys.argv[1]), 15)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(release_2015)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list((nnunet_folders / "nnUNet_raw").iterdir()), "the conversion had started"
    assert find_candidate_datasets(15).size == 0, "nnU-Net sees no dataset"
    converted = convert(load_release("brats2015"), release_2015, 15)
    assert [path.name for path in (nnunet_folders / "nnUNet_raw").iterdir()] == [converted.folder.name]


def test_a_failed_conversion_leaves_nothing_and_can_be_repeated(
    release_2015: Path, nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(conversion, "write_case_table", die)
        with pytest.raises(KeyboardInterrupt):
            convert(load_release("brats2015"), release_2015, 15)
    assert no_dataset_left(nnunet_folders)
    (nnunet_folders / "nnUNet_raw" / ".Dataset015_BRATS2015.partial").mkdir()  # as after a kill
    assert convert(load_release("brats2015"), release_2015, 15).folder.is_dir()
    assert os.listdir(nnunet_folders / "nnUNet_raw") == ["Dataset015_BRATS2015"]
