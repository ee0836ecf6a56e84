"""Labels of any size, values that are no labels, other names and other axis orders are handled or explained."""

import itertools
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from segan_nnunet.cli.datasets import convert as convert_command
from segan_nnunet.data.conversion import Options, convert
from segan_nnunet.data.labelling import Labelling, read_labelling, whole_numbers
from segan_nnunet.data.releases.tables import load_release, read_layout
from segan_nnunet.data.submission import write_segmentation
from segan_nnunet.data.volumes import read_grid, read_labels
from segan_nnunet.data.volumes.label_maps import distinct_values
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.file_names import naming_hint
from segan_nnunet.evaluation.methods.methods_on_cases import segmentations
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.exchanged import exchange_warnings, exchanged_labels
from segan_nnunet.evaluation.scores.measurement import Case, measure
from segan_nnunet.evaluation.scores.scores import add_scores, confusion_matrix
from tests.hand_made import SIZE, VALUES, overwrite, write_own_case, write_volume

BRATS = Labelling({"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}, (0, 1, 2, 3), None, ("T2",), ".nii.gz")


@pytest.mark.parametrize("values", [(2, 1002, 1026), (1, 255, 256, 257), (7, 70_000, 3_000_000)])
@pytest.mark.parametrize("kind", [np.int32, np.float64])
def test_labels_of_any_size_have_separate_scores(tmp_path: Path, values: tuple[int, ...], kind: type) -> None:
    random = np.random.default_rng(0)
    truth: np.ndarray = random.choice([0, *values], SIZE[::-1]).astype(kind)
    predicted: np.ndarray = random.choice([0, *values], SIZE[::-1]).astype(kind)
    write_volume(tmp_path / "t.mha", truth)
    write_volume(tmp_path / "p.mha", predicted)
    labelling = Labelling({str(v): (v,) for v in values} | {"all": values}, (0, *values), None, ("T1",), ".mha")
    measured = measure([Case("a", tmp_path / "t.mha", {"m": tmp_path / "p.mha"})], labelling, 1)
    for row in add_scores(measured, EmptyPolicy.NNUNET).itertuples():
        true_mask, predicted_mask = (np.isin(volume, labelling.regions[row.region]) for volume in (truth, predicted))
        assert row.Dice == pytest.approx(
            2 * (true_mask & predicted_mask).sum() / (true_mask.sum() + predicted_mask.sum())
        )
        assert row.TP + row.FP + row.FN + row.TN == truth.size
    assert (
        confusion_matrix(truth.astype(int), predicted.astype(int), labelling.values).shape == (len(values) + 1,) * 2
    ), "one score per label"


def test_different_values_handles_any_number_type() -> None:
    for kind, expected in itertools.product(
        (np.int8, np.int16, np.int64, np.float32), ([-100, 0, 120], [-128, 127], [5])
    ):
        np.testing.assert_array_equal(distinct_values(np.array([*expected, *expected], kind)), expected)
    np.testing.assert_array_equal(distinct_values(np.array([2**63 + 1, 0], np.uint64)), [0, 2**63 + 1])
    np.testing.assert_array_equal(distinct_values(np.array([-(2**62), 2**62])), [-(2**62), 2**62])
    assert whole_numbers(huge := np.array([1e20])) is huge, "beyond 64-bit integers"
    assert whole_numbers(np.array([True, False])).dtype == np.uint8


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (np.linspace(0, 1, 120), "look like probabilities: apply a threshold"),
        (np.linspace(-8, 9, 120), "network's output .*threshold or argmax"),
        (np.arange(120) % 4 * 0.75, "interpolated .resample labels by nearest neighbour"),
        (np.arange(120) % 2 * 255, "black and white picture: write the label's value instead of 255"),
        (np.arange(120), "s 4, 5, 6, 7, 8, 9, 10, 11, ...;.*different values are those of an image"),
        (np.where(np.arange(120) > 3, np.nan, 1), "NaN and infinity are no labels"),
        (np.arange(120) % 2 * 1_234_567, " 1234567; dataset.json knows 0, 1, 2, 3. Map its values"),
    ],
)
def test_an_error_names_what_a_file_holds_instead_of_a_label_map(
    tmp_path: Path, volume: np.ndarray, message: str
) -> None:
    write_volume(tmp_path / "a.nii.gz", volume.reshape(SIZE[::-1]))
    with pytest.raises(InputError, match=f"a.nii.gz has the unknown label.*{message}"):
        read_labels(tmp_path / "a.nii.gz", BRATS)


def test_an_error_for_channels_says_how_to_merge_them(tmp_path: Path) -> None:
    for name, shape in (("last.nii.gz", (*SIZE, 3)), ("first.nii.gz", (3, *SIZE))):
        nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)), tmp_path / name)
        with pytest.raises(InputError, match=f"{name} has 4 dimensions.*Merge a channel per region into one label"):
            read_labels(tmp_path / name, BRATS)
    vectors = sitk.GetImageFromArray(np.ones((*SIZE[::-1], 3), np.uint8), isVector=True)
    sitk.WriteImage(vectors, str(tmp_path / "layers.seg.nrrd"))
    with pytest.raises(InputError, match="3 values per voxel.*Merge a channel per region"):
        read_labels(tmp_path / "layers.seg.nrrd", BRATS)


def test_an_error_for_release_values_shows_the_whole_mapping(tmp_path: Path) -> None:
    noted = {"labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3]}, "file_ending": ".nii.gz"}
    noted |= {"original_labels": {"0": 0, "1": 20, "2": 10, "3": 40}}
    (tmp_path / "dataset.json").write_text(json.dumps(noted))
    write_volume(tmp_path / "a.nii.gz", VALUES % 5 // 4 * 20 + VALUES % 2 * 10)
    for labelling, volume, message in (
        (read_labelling(tmp_path / "dataset.json"), np.array([0, 10, 20, 40])[VALUES % 4], "10 → 2, 20 → 1, 40 → 3"),
        (BRATS, np.array([0, 1, 2, 4])[VALUES % 4], "1 → 2, 2 → 1, 4 → 3"),
        (BRATS, VALUES % 2 * 4, "1 → 2, 2 → 1, 4 → 3"),
    ):
        write_volume(tmp_path / "a.nii.gz", volume)
        with pytest.raises(
            InputError, match=f"look like the values of the release. Map all .* {message}; one of them alone"
        ):
            read_labels(tmp_path / "a.nii.gz", labelling)
    write_volume(tmp_path / "a.nii.gz", VALUES % 6)  # no label has the value 5
    with pytest.raises(InputError, match="Map its values to those of dataset.json, or add the label there"):
        read_labels(tmp_path / "a.nii.gz", BRATS)


@pytest.mark.parametrize("exchange", [{1: 2, 2: 1}, {2: 3, 3: 2}, {1: 2, 2: 3, 3: 1}])
def test_exchanged_labels_give_a_warning(
    tmp_path: Path, exchange: dict[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    cases = []
    for number in range(3):
        truth = np.random.default_rng(number).choice(4, SIZE[::-1])
        predicted = np.where(VALUES % 5 == 0, 0, np.array([exchange.get(label, label) for label in range(4)])[truth])
        for name, volume in ((f"t{number}", truth), (f"p{number}", predicted), (f"right{number}", truth)):
            write_volume(tmp_path / f"{name}.mha", volume.astype(np.uint8))
        files = {"wrong": tmp_path / f"p{number}.mha", "right": tmp_path / f"right{number}.mha"}
        cases.append(Case(str(number), tmp_path / f"t{number}.mha", files))
    measure(cases, BRATS, 1)
    pairs = ", ".join(f"{label} → {predicted_label}" for label, predicted_label in exchange.items())
    printed = capsys.readouterr().out
    assert "WARNING: wrong: labels look exchanged in 3 of 3 cases. Where" in printed and pairs in printed
    assert "right: labels" not in printed


def test_a_bad_prediction_gives_no_warning_of_exchanged_labels() -> None:
    values = (0, 2, 1002, 1026)
    confusion = np.array([[900, 5, 5, 5], [5, 2, 60, 3], [5, 1, 80, 3], [5, 0, 0, 9]])
    assert exchanged_labels(confusion, values) == (), "2 is always predicted as 1002, but 1002 is never predicted as 2"
    confusion[2] = [5, 80, 1, 3]
    assert exchanged_labels(confusion, values) == ((2, 1002), (1002, 2))
    assert exchanged_labels(confusion, values, ignore_value=1002) == ()
    assert exchanged_labels(np.zeros((4, 4), int), values) == ()
    exchanges = [((1, 2), (2, 1)), (), ()]
    assert exchange_warnings("m", exchanges, [{1, 2}] * 3) == [] and exchange_warnings(
        "m", exchanges, [{1, 2}, {1}, {2}]
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("case_{}_seg", "The files of Mine have '_seg' behind the case: rename them without it"),
        ("pred-case_{}", "have 'pred-' before the case"),
        ("my_case_{}.out", "have 'my_' before the case and '.out' behind the case"),
        ("case_{}_0000", "'_0000' behind the case, as images are named and not segmentations"),
        ("{}", "The files of the references have 'case_' before the case"),
        ("other{}x", ""),
    ],
)
def test_an_error_names_the_prefix_or_suffix_of_unmatched_files(name: str, message: str) -> None:
    cases = [f"case_{number}" for number in range(12)]
    hint = naming_hint("Mine", [name.format(number) for number in range(12)], cases)
    assert message in hint and bool(message) == bool(hint)


def test_an_error_names_case_folders_and_another_file_ending(tmp_path: Path) -> None:
    for folder, message in (
        ("a/b/c_trans.nii.gz", "subfolders hold 1 such files, the first .*c_trans.nii.gz: put one file"),
        ("d.mha", "Its files end in .mha"),
        (".hidden", "dataset.json says$"),
    ):
        path = tmp_path / folder.replace("/", "_") / folder
        path.parent.mkdir(parents=True)
        path.touch()
        with pytest.raises(InputError, match=f"holds no segmentation.*{message}"):
            segmentations(tmp_path / folder.replace("/", "_"), ".nii.gz")


def turn(path: Path, axes: tuple[bool, ...] = (True, False, True), order: tuple[int, ...] = (1, 2, 0)) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(sitk.PermuteAxes(sitk.Flip(image, axes), order), str(path))
    return sitk.GetArrayFromImage(image)


def test_a_channel_in_another_axis_order_is_reoriented(release_2015: Path, nnunet_folders: Path) -> None:
    path = overwrite(release_2015, "brats_tcia_pat118_0001", "T2.", VALUES.astype(np.int16) + 1)
    voxels = turn(path)
    converted = convert(load_release("brats2015"), release_2015, 15)
    written = sitk.ReadImage(str(converted.folder / "imagesTr" / "brats_tcia_pat118_0001_0001.mha"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), voxels)
    assert written.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert (converted.folder / "imagesTr" / "brats_tcia_pat118_0001_0002.mha").is_symlink(), (
        "the other files are still links"
    )


@pytest.mark.parametrize(("offset", "accepted"), [(0.002, True), (-0.009, True), (0.5, False), (1.0, False)])
def test_converting_accepts_the_rounding_of_a_registration(
    release_2015: Path, nnunet_folders: Path, offset: float, accepted: bool
) -> None:
    path = next(release_2015.rglob("brats_tcia_pat118_0001/*T2.*/*.mha"))
    image = sitk.ReadImage(str(path))
    image.SetOrigin((0.0, offset, 0.0))
    sitk.WriteImage(image, str(path))
    if accepted:
        assert convert(load_release("brats2015"), release_2015, 15).training
    else:
        with pytest.raises(
            InputError, match="origin is .* in T2 and .*resample it to the voxels of T1c, or correct its header"
        ):
            convert(load_release("brats2015"), release_2015, 15)


def test_converting_warns_of_copied_channels_and_brain_masks(
    release_2015: Path, nnunet_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = "brats_tcia_pat118_0001"
    overwrite(release_2015, case, "T1c.", VALUES.astype(np.int16))
    turn(overwrite(release_2015, case, "Flair.", VALUES.astype(np.int16)))  # the same voxels in another axis order
    overwrite(release_2015, case, "OT.", (VALUES > 0).astype(np.uint8))
    convert_command(["brats2015", str(release_2015)], 15)
    printed = capsys.readouterr().out
    assert "WARNING: FLAIR holds the same voxels as T1c: one of the two modalities is missing there" in printed
    assert "WARNING: the truth marks every voxel of the image that is not 0" in printed
    assert printed.count(f"(in 1 cases, the first {case})") == 2


def test_an_error_shows_the_exact_values_of_a_truth(layout: Path, tmp_path: Path, nnunet_folders: Path) -> None:
    for case, labels in (("a", np.where(VALUES % 2, 120, -100).astype(np.int8)), ("b", VALUES % 2 * np.int8(-128))):
        write_own_case(tmp_path / "own" / case, case, labels.astype(np.int8))
    with pytest.raises(InputError) as caught:
        convert(read_layout(layout), tmp_path / "own", 15)
    assert "truth has the values -100, 120," in str(caught.value) and "the values -128," in str(caught.value)


def test_plain_labels_keep_many_values(tmp_path: Path, nnunet_folders: Path) -> None:
    labels = "".join(f"l{value} = {value * 150}\n" for value in range(1, 301))
    layout = tmp_path / "many.toml"
    layout.write_text(
        'name = "Many"\ntruth = "{case}/seg.nii.gz"\n[channels]\nT1c = "{case}/t1c.nii.gz"\n'
        f"[labels]\n{labels}[regions]\nall = {[f'l{value}' for value in range(1, 301)]}\n"
    )
    truth = np.where(VALUES > 60, 45_000, 150 * 256).astype(np.int32)
    write_own_case(tmp_path / "own", "a", truth)
    converted = convert(read_layout(layout), tmp_path / "own", 15, Options(plain_labels=True))
    written = converted.folder / "labelsTr" / "a.nii.gz"
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(written)))).tolist()) == {256, 300}
    labelling = read_labelling(converted.folder / "dataset.json")
    assert write_segmentation(written, tmp_path / "back.nii.gz", labelling, read_grid(written)) == {38_400, 45_000}
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "back.nii.gz"))), truth)
