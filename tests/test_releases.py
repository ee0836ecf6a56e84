"""Every release passes: simulate, convert, nnU-Net's check, and a submission of the reference itself."""

import json
import os
import runpy
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

from segan_nnunet.data.conversion import Options, convert, lost_labels, nnunet_labels
from segan_nnunet.data.releases import simulation
from segan_nnunet.data.releases.tables import available_releases, load_release, recognise
from segan_nnunet.data.submission import make_submission
from segan_nnunet.data.volumes import read_volume, write_volume
from segan_nnunet.errors import InputError

pytestmark = pytest.mark.usefixtures("coarse_brain")

GRADED = {"brats2012", "brats2013", "brats2015", "brats2017", "brats2018", "brats2019", "brats2020"}
RARE = {"enhancing tumor", "resection cavity"}  # a low grade tumour may lack both
AMBIGUOUS = {
    f"brats{year}-{kind}": kind for year in (2023, 2024) for kind in ("gli", "met", "ped")
}  # names instead of labels


def voxels(path: Path | str) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_a_channel_that_the_simulation_does_not_know_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = load_release("brats2015")
    first = next(iter(release.channels.values()))
    monkeypatch.setattr(simulation, "load_release", lambda _: replace(release, channels={"ADC": first}))
    with pytest.raises(InputError, match="BRATS 2015 has the channel ADC, and the simulation knows only T1, "):
        simulation.simulate_release(tmp_path, cases=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("nnunet_in_threads")
@pytest.mark.parametrize("key", available_releases())
def test_a_simulated_release_survives_conversion_and_submission(
    key: str, tmp_path: Path, nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "LOW_GRADE_EVERY", 2)
    source = simulation.simulate_release(tmp_path, cases=2, key=key)
    release = load_release(key)
    converted = convert(release, source, 5)
    assert len(converted.training) == 2 and not (converted.test or converted.left_out or converted.empty)
    verify_dataset_integrity(str(converted.folder), num_processes=1)

    cases = pd.read_csv(converted.folder / "cases.csv", keep_default_na=False).set_index("case")
    assert sorted(cases["grade"]) == (["HGG", "LGG"] if key in GRADED else ["", ""])
    assert cases["patient"].nunique() == 2
    dataset = json.loads((converted.folder / "dataset.json").read_text())
    assert [dataset["channel_names"][str(index)] for index in range(len(release.default_channels))] == list(
        release.default_channels
    )
    for case in converted.training:
        original = voxels(cases.loc[case, "truth"])
        written = voxels(converted.folder / "labelsTr" / f"{case}{dataset['file_ending']}")
        assert original.any()
        for region, labels in release.regions.items():
            values = [release.labels[label] for label in labels]
            assert np.isin(original, values).any() or region in RARE, region
            np.testing.assert_array_equal(np.isin(written, dataset["labels"][region]), np.isin(original, values))

    upload = make_submission(5, converted.folder / "labelsTr", tmp_path / "upload")
    assert len(upload.files) == 2
    in_folder = [path.relative_to(tmp_path / "upload").as_posix() for path in upload.files]
    assert zipfile.ZipFile(upload.archive).namelist() == in_folder
    for case in converted.training:
        name = f"{case}{dataset['file_ending']}"
        if key in ("brats2013", "brats2015"):
            number = Path(cases.loc[case, "FLAIR"]).name.split(".")[-2]
            name = f"VSD.SegAN.{number}.mha"
        if key == "msd-task01":
            name = f"Task01_BrainTumour/{name}"
        image, original_image = (
            sitk.ReadImage(str(path)) for path in (tmp_path / "upload" / name, cases.loc[case, "truth"])
        )
        assert image.GetPixelID() == sitk.sitkInt16
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(original_image))
        for what in ("GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(image, what)() == getattr(original_image, what)()


@pytest.mark.parametrize("key", available_releases())
def test_auto_recognises_the_release_by_its_layout(key: str, tmp_path: Path) -> None:
    release = load_release(key)
    volume = np.ones((2, 2, 2), np.int16)
    volumes = {name: volume for name in release.channels}
    simulation.write_case(release, tmp_path / release.example["folder"], 1, "HGG", volumes, volume)
    if key in AMBIGUOUS:
        pair = [rf"brats{year}-{AMBIGUOUS[key]} \(1 cases\)" for year in (2023, 2024)]
        with pytest.raises(InputError, match=f"several releases: {', '.join(pair)}"):
            recognise(tmp_path)
    else:
        assert recognise(tmp_path).key == key


def test_the_page_of_releases_matches_the_tables() -> None:
    docs = Path(__file__).parents[1] / "docs"
    written = (docs / "datasets.md").read_text(encoding="utf-8")
    assert written == runpy.run_path(str(docs / "make_datasets.py"))["page"](written), "run `make tables`"


def test_auto_lists_the_releases_that_it_considered(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="considered: brats2012, brats2013.*--layout"):
        recognise(tmp_path)


def test_nnunet_converters_give_the_same_labels() -> None:
    """Its BraTS 2021 script maps 2 to 1, 1 to 2 and 4 to 3. In MSD and BraTS 2023 the values stay."""
    from nnunetv2.dataset_conversion.Dataset137_BraTS21 import convert_labels_back_to_BraTS

    for key in ("brats2017", "brats2018", "brats2019", "brats2020", "brats2021"):
        back = {index: value for value, index in load_release(key).label_mapping.items()}
        ours = np.array([back[index] for index in range(4)])
        np.testing.assert_array_equal(ours, convert_labels_back_to_BraTS(np.arange(4)))
    labels, order = nnunet_labels(load_release("brats2021"))
    assert labels == {"background": 0, "whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}
    assert order == (1, 2, 3)
    for key in ("msd-task01", "brats2023-gli", "brats2024-gli"):
        assert all(value == index for value, index in load_release(key).label_mapping.items())


@pytest.mark.parametrize(
    ("key", "names"),
    [("brats2024-ped", ("enhancing tumor", "edema")), ("brats2024-gli", ("resection cavity", "enhancing tumor"))],
)
def test_the_meaning_of_label_4_depends_on_the_release(key: str, names: tuple[str, str]) -> None:
    labels = load_release(key).labels
    assert [labels[name] for name in names] == ([1, 4] if key == "brats2024-ped" else [4, 3])
    assert load_release("brats2021").labels["enhancing tumor"] == 4


def test_the_kaggle_copy_of_brats_2020_converts_case_355(tmp_path: Path, nnunet_folders: Path) -> None:
    source = simulation.simulate_release(tmp_path, cases=1, key="brats2020")
    case = source / "BraTS20_Training_001"
    for path in list(case.iterdir()):  # not compressed, and one truth with its original name
        name = "W39_1998.09.19_Segm.nii" if "_seg" in path.name else path.name.removesuffix(".gz")
        sitk.WriteImage(sitk.ReadImage(str(path)), str(case / name))
        path.unlink()
    converted = convert(load_release("brats2020"), source, 5)
    assert converted.training == ["BraTS20_Training_001"]
    assert json.loads((converted.folder / "dataset.json").read_text())["file_ending"] == ".nii"


def test_plain_labels_write_exclusive_labels(tmp_path: Path, nnunet_folders: Path) -> None:
    source = simulation.simulate_release(tmp_path, cases=1, key="brats2021")
    converted = convert(load_release("brats2021"), source, 5, Options(plain_labels=True))
    dataset = json.loads((converted.folder / "dataset.json").read_text())
    assert dataset["labels"] == {
        "background": 0,
        "edema": 1,
        "necrotic and non-enhancing tumor": 2,
        "enhancing tumor": 3,
    }
    assert "regions_class_order" not in dataset


class TestSubmission:
    @pytest.fixture
    def predictions(self, tmp_path: Path, nnunet_folders: Path) -> Path:
        """Convert one training case and two test cases, and write a prediction for each test case."""
        simulation.simulate_release(tmp_path / "train", cases=1, key="brats2021")
        source = simulation.simulate_release(tmp_path / "test", cases=3, key="brats2021", with_truth=False)
        for path in (tmp_path / "train").rglob("BraTS2021_00001"):  # case 1 has the truth
            for file in path.iterdir():
                (source / path.name / file.name).write_bytes(file.read_bytes())
        converted = convert(load_release("brats2021"), source, 5)
        assert len(converted.test) == 2
        predictions = tmp_path / "predictions"
        predictions.mkdir()
        for case in converted.test:
            image = read_volume(converted.folder / "imagesTs" / f"{case}_0000.nii.gz")
            labels = np.zeros(image.voxels.shape, np.uint8)
            labels[0, 0, :4] = (0, 1, 2, 3)
            write_volume(labels, image.grid, predictions / f"{case}.nii.gz")
        return predictions

    def test_a_submission_contains_the_predictions_of_the_test_cases(self, predictions: Path, tmp_path: Path) -> None:
        upload = make_submission(5, predictions, tmp_path / "out")
        assert [path.name for path in upload.files] == ["BraTS2021_00002.nii.gz", "BraTS2021_00003.nii.gz"]
        assert voxels(upload.files[0])[0, 0, :4].tolist() == [0, 2, 1, 4]
        assert sitk.ReadImage(str(upload.files[0])).GetSpacing() == (2.0, 2.0, 2.0), "the geometry of the source"

    def test_a_submission_reorients_mirrored_predictions(self, predictions: Path, tmp_path: Path) -> None:
        path = predictions / "BraTS2021_00002.nii.gz"
        sitk.WriteImage(sitk.Flip(sitk.ReadImage(str(path)), (True, True, False)), str(path))
        upload = make_submission(5, predictions, tmp_path / "out")
        assert voxels(upload.files[0])[0, 0, :4].tolist() == [0, 2, 1, 4]

    def test_a_submission_refuses_a_prediction_on_another_grid(self, predictions: Path, tmp_path: Path) -> None:
        path = predictions / "BraTS2021_00003.nii.gz"
        volume = read_volume(path)
        write_volume(volume.voxels, replace(volume.grid, origin=(1.0, 2.0, 3.0)), path)
        self.refused(predictions, tmp_path, r"BraTS2021_00003.nii.gz has the origin \(1, 2, 3\), its image \(0, 0, 0\)")

    def test_a_submission_refuses_a_missing_test_case(self, predictions: Path, tmp_path: Path) -> None:
        (predictions / "BraTS2021_00003.nii.gz").unlink()
        self.refused(predictions, tmp_path, "1 of 2 test cases have no prediction.*BraTS2021_00003.*predict all")

    def test_a_submission_refuses_an_unknown_case(self, predictions: Path, tmp_path: Path) -> None:
        (predictions / "BraTS2021_00003.nii.gz").rename(predictions / "other.nii.gz")
        self.refused(predictions, tmp_path, "1 predictions belong to no case of the dataset .*other.nii.gz")

    def test_a_submission_refuses_a_prediction_of_another_size(self, predictions: Path, tmp_path: Path) -> None:
        path = predictions / "BraTS2021_00003.nii.gz"
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8)), str(path))
        self.refused(
            predictions, tmp_path, r"BraTS2021_00003.nii.gz has 5 x 4 x 3 voxels, its image [0-9 x]+; resample"
        )

    def test_a_submission_refuses_unknown_labels(self, predictions: Path, tmp_path: Path) -> None:
        path = predictions / "BraTS2021_00002.nii.gz"
        volume = read_volume(path)
        write_volume(np.full_like(volume.voxels, 7), volume.grid, path)
        self.refused(predictions, tmp_path, "BraTS2021_00002.nii.gz has the unknown label 7")

    def test_a_submission_refuses_a_folder_without_predictions(self, predictions: Path, tmp_path: Path) -> None:
        self.refused(tmp_path, tmp_path, "no prediction, a file ending in .nii.gz")

    def test_a_submission_refuses_an_existing_output(self, predictions: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is not empty: it holds BraTS2021_00002.nii.gz, .* does not replace"):
            make_submission(5, predictions, predictions)

    def test_a_submission_can_be_an_archive_alone(self, predictions: Path, tmp_path: Path) -> None:
        upload = make_submission(5, predictions, tmp_path / "new" / "upload.ZIP")
        assert upload.folder is None and upload.archive == tmp_path / "new" / "upload.ZIP"
        names = zipfile.ZipFile(upload.archive).namelist()
        assert names == list(map(str, upload.files)) == ["BraTS2021_00002.nii.gz", "BraTS2021_00003.nii.gz"]
        assert os.listdir(tmp_path / "new") == ["upload.ZIP"]
        with pytest.raises(InputError, match="exists, and nothing is replaced"):
            make_submission(5, predictions, upload.archive)

    def test_a_submission_can_be_written_into_the_current_folder(
        self, predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        assert make_submission(5, predictions, Path()).archive == tmp_path / "here.zip"
        assert len(os.listdir()) == 2

    def test_a_submission_refuses_an_archive_name_with_another_ending(self, predictions: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is named like a file; -o takes a folder"):
            make_submission(5, predictions, tmp_path / "upload.tar.gz")

    def refused(self, predictions: Path, tmp_path: Path, match: str) -> None:
        with pytest.raises(InputError, match=match):
            make_submission(5, predictions, tmp_path / "out")
        assert not list(tmp_path.glob("*out*")), "no file remains"


def test_paediatric_labels_of_2023_differ_from_those_of_2024(tmp_path: Path, nnunet_folders: Path) -> None:
    """Enhancing tumour is 3 in 2023 and 1 from 2024 on. Converting with the other year's table is never silent."""
    source = simulation.simulate_release(tmp_path, cases=2, key="brats2023-ped")
    converted = convert(load_release("brats2024-ped"), source, 5)
    assert converted.label_counts["edema"] == 0 and "brats2023-ped" in converted.better
    source = simulation.simulate_release(tmp_path / "later", cases=2, key="brats2024-ped")
    with pytest.raises(InputError, match="truth has the values 4, which BraTS 2023 PED.*would fit .*brats2024-ped"):
        convert(load_release("brats2023-ped"), source, 6)


def test_a_conversion_lists_labels_that_regions_cannot_restore(tmp_path: Path, nnunet_folders: Path) -> None:
    source = simulation.simulate_release(tmp_path, cases=1, key="brats2024-ped")
    converted = convert(load_release("brats2024-ped"), source, 5)
    assert converted.lost == ["cystic component"] and converted.better == []
    assert convert(load_release("brats2024-ped"), source, 6, Options(plain_labels=True)).lost == []
    # core is 1 + 3, and only the first is written
    assert lost_labels(load_release("brats2015")) == ["non-enhancing tumor"]
    assert lost_labels(load_release("brats2023-gli")) == []


def test_a_description_that_cannot_be_part_of_a_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--description 'a/b' becomes part of file names, which cannot contain '/'"):
        make_submission(5, tmp_path, tmp_path / "upload", "a/b")
