"""Files of other programs and of people are read, skipped, or refused with the file, the rule and the remedy."""

import json
import os
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from segan_nnunet.data.case_table import read_case_table
from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.data.labelling import PLANNING, read_dataset, read_labelling
from segan_nnunet.data.planned.split_file import read_splits
from segan_nnunet.data.releases.grades import GradeFile, check_grades, read_grades
from segan_nnunet.data.releases.tables import read_layout
from segan_nnunet.data.splits import write_splits
from segan_nnunet.data.volumes import VoxelGrid, read_volume, write_volume
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Folders, segmentations
from segan_nnunet.folds.checkpoint import read_checkpoint, read_fold
from segan_nnunet.grid.checks import check_plans
from segan_nnunet.models.plans import plan
from segan_nnunet.models.preprocessing import check_links
from segan_nnunet.text_files import optional_object, read_json, read_object, read_table
from segan_nnunet.validations.compared_trainers import compared_trainers
from tests.hand_made_results import NAME, cubes, validate, write_dataset

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:12ab\nsize 4711\n"
LATIN_1 = os.fsdecode("Jürgen".encode("latin-1"))


def write_described(path: Path, **parts: object) -> Path:
    described = {"labels": {"background": 0, "edema": 1}, "file_ending": ".nii.gz"} | parts
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(described))
    return path


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"labels": {"0": "background", "2": "core"}}, 'number first.*{"background": 0, "core": 2}'),
        ({"labels": {"background": 0, "edema": "1"}}, "'edema' in `labels` is \"1\""),
        ({"labels": {"background": 0, "whole": [1, "2"]}}, r"'whole' in `labels` is \[1, \"2\"\]"),
        ({"labels": {"background": 0, "edema": True}}, "'edema' in `labels` is true"),
        ({"labels": {"background": 0, "edema": 1.5}}, "'edema' in `labels` is 1.5"),
        ({"labels": {"background": 1, "edema": 2}}, "'background' in `labels` is 1, and should be 0"),
        ({"labels": ["background", "edema"]}, "`labels` is .*should be names with whole numbers"),
        ({"labels": {"background": 0, "edema": []}}, r"'edema' in `labels` is \[\]"),
        ({"channel_names": ["T1", "T2"]}, "`channel_names` is .*should be numbers with names"),
        ({"file_ending": "nii.gz"}, '`file_ending` is "nii.gz", and should be .*with its dot'),
        ({"numTraining": "10"}, '`numTraining` is "10", and should be the number'),
    ],
)
def test_an_error_of_a_bad_dataset_json_names_the_expected_form(tmp_path: Path, parts: dict, message: str) -> None:
    path = write_described(tmp_path / "dataset.json", **parts)
    for read in (read_labelling, read_dataset):
        with pytest.raises(InputError, match=f"dataset.json is not in the form of nnU-Net v2: .*{message}"):
            read(path)


def test_label_values_may_be_whole_floats(tmp_path: Path) -> None:
    labels = {"background": 0.0, "whole": [1.0, 2.0], "core": 2.0}
    labelling = read_labelling(write_described(tmp_path / "dataset.json", labels=labels))
    assert labelling.regions == {"whole": (1, 2), "core": (2,)}
    assert all(type(value) is int for value in labelling.values)


def test_planning_names_every_problem_of_a_dataset(nnunet_folders: Path) -> None:
    path = write_described(nnunet_folders / "nnUNet_raw" / "Dataset005_Own" / "dataset.json", modality={"0": "T1"})
    with pytest.raises(InputError, match="`channel_names` is missing.*called it `modality`.*`numTraining` is missing"):
        plan(5)
    for labels, message in (
        ({"whole": [1, 2]}, "lacks the background"),
        ({"background": 0, "whole": [1, 2]}, "a list of 1"),
        ({"background": 0, "oedema": 1, "core": 4}, "without a gap, and 2 is missing"),
        ({"background": 0, "oedema": 1, "core": 2, "ignore": 2}, "'ignore' in `labels` is 2, and should be .*, 3"),
    ):
        write_described(path, channel_names={"0": "T1"}, numTraining=1, labels=labels)
        with pytest.raises(InputError, match=message):
            read_dataset(path, PLANNING)
    parts = {"labels": {"background": 0, "whole": [1, 2]}, "channel_names": {"0": "T1"}, "numTraining": 1}
    for more, message in (
        ({"regions_class_order": ["1"]}, "`regions_class_order` should be a list of 1 label values"),
        ({"regions_class_order": [1], "channel_names": {"1": "T1", "2": "T2"}}, "numbers 1, 2, and should count from"),
        ({"regions_class_order": [1], "dataset": [{"image": "a", "label": "b"}]}, "`dataset` .*should be cases with"),
    ):
        write_described(path, **(parts | more))
        with pytest.raises(InputError, match=message):
            read_dataset(path, PLANNING)
    assert not list((nnunet_folders / "nnUNet_preprocessed").iterdir())


def test_split_reads_the_cases_of_dataset_json_without_labels_tr(nnunet_folders: Path) -> None:
    cases = {f"p{n}": {"images": [f"/elsewhere/{n}.nii.gz"], "label": f"/elsewhere/{n}_seg.nii.gz"} for n in range(4)}
    path = write_described(nnunet_folders / "nnUNet_raw" / "Dataset005_Own" / "dataset.json", dataset=cases)
    # as a spreadsheet with a German locale saves it, with a retyped header
    table = "\r\n".join(["sep=;", "Case;Patient ", *(f" p{n};{n};" for n in range(4)), ";;"])
    (path.parent / "cases.csv").write_bytes(table.encode("utf-16"))
    assert write_splits(5, folds=2)["validation"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n "b": [1, 2],\n}', "line 2: there is a comma too many before the }"),
        (b"[1,\n 2,\n\n]", "line 2: there is a comma too many before the ]"),
        (b'{"a": 1\n "b": 2}', "line 1: a comma is missing after this"),
        (b'{"a": [1,\n 2', "line 2: the text ends too early"),
        (b"{'a': 1}", "line 1: JSON has names and texts in double quotes"),
        (b'{"a": {"b": 1,\n "b": 2}}', "'b' twice"),
        ('{"a": "ü"}'.encode("latin-1"), "line 1: a letter is in another encoding"),
        ('{"a": 1}'.encode("utf-16"), "is in UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "is in UTF-16"),
        ('{"a": 1}'.encode("utf-8-sig"), "byte-order mark"),
        (POINTER, "is a pointer of Git LFS, not a JSON file.*git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (bytes(100), "begins with zeros"),
        (b"", "is empty"),
        (b"[1]", "holds a list"),
    ],
)
def test_an_error_of_unreadable_json_names_line_and_rule(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}.*{message}"):
        read_object(path)
    assert optional_object(path) == {}


def test_an_error_of_missing_json_says_that_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("/gone/plans.json")
    for name, message in (
        ("none.json", "does not exist"),
        ("link.json", "is a link to /gone/plans.json"),
        (".", "folder"),
    ):
        with pytest.raises(InputError, match=message):
            read_json(tmp_path / name)


def test_unrelated_files_stop_nothing(nnunet_folders: Path) -> None:
    folder = nnunet_folders / "nnUNet_preprocessed" / "Dataset021_Own"
    folder.mkdir()
    (folder / "Good.json").write_text(
        '{"dataset_name": "Dataset021_Own", "plans_name": "Good", "configurations": {"2d": {}}}'
    )
    (folder / "Broken.json").write_text('{"configurations": {"2d": {}},}')
    (folder / "List.json").write_text("[{}]")
    (folder / "Odd.json").write_text('{"configurations": null}')
    (folder / "._Good.json").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    (folder / ".#Good.json").symlink_to("me@laptop.4711")
    (nnunet_folders / "nnUNet_raw" / "Dataset021_Own_2.zip").touch()  # an archive of the dataset
    assert dataset_name(21) == "Dataset021_Own"
    check_plans(folder, ["Good"], "2d")
    for name, message in (
        ("Broken", "Broken.json, line 1: there is a comma"),
        ("Odd", "Odd.json has no `configurations`"),
    ):
        with pytest.raises(InputError, match=message):
            check_plans(folder, [name], "2d")


def test_planning_names_mac_files_among_the_images(tmp_path: Path) -> None:
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "imagesTr" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    check_links(tmp_path)
    (tmp_path / "imagesTr" / "._a_0000.nii.gz").touch()
    with pytest.raises(InputError, match=r"1 files of .*attributes.*-name '\._\*' -delete"):
        check_links(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_grade_tables_of_common_programs_are_read(tmp_path: Path, encoding: str, separator: str) -> None:
    lines = ["", " Case , GRADE", "Jürgen , lgg ", ",", "anna,HG"]
    path = tmp_path / "grades.csv"
    path.write_bytes("\r\n".join(lines).replace(",", separator).encode(encoding))
    grades, table = read_grades(GradeFile("grades.csv", "case", "Grade"), [path, tmp_path / "other.txt"])
    assert table == path and grades == {"Jürgen": "lgg", "anna": "HG"}


def test_bad_grade_tables_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    for content, message in (
        (b"PK\x03\x04\x14\x00", "is a spreadsheet workbook .*save it as CSV"),
        (POINTER, "is a pointer of Git LFS"),
        (b"\r\n \r\n", "has no line of text"),
        (b"case,patient\na,1,2\n", "the row of a has 3 values, and the header 2"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"cases.csv.*{message}"):
            read_table(path)


@pytest.mark.parametrize(("encoding", "message"), [("latin-1", "line 1: a letter"), ("utf-8-sig", "byte-order mark")])
def test_an_error_of_a_layout_in_another_encoding_names_the_file(tmp_path: Path, encoding: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "Zürich"\n', encoding=encoding)
    with pytest.raises(InputError, match=f"mine.toml.*{message}"):
        read_layout(path)


def test_an_unknown_grade_gives_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "name_mapping.csv"
    check_grades({"a": "HGG"}, {}, path)
    assert capsys.readouterr().out == ""
    check_grades({"a": "HGG", "b": ""}, {"a": "HGG", "b": "III"}, path)
    assert (
        "WARNING: " in (output := capsys.readouterr().out)
        and "1 of 2 training cases" in output
        and "the grade of b is 'III'" in output
    )
    with pytest.raises(
        InputError, match=r"name_mapping.csv has no grade .* for 1 of 1 .*such as a_1, do not include a\. "
    ):
        check_grades({"a": ""}, {"a_1": "HGG"}, path)
    (tmp_path / "cases.csv").write_text("case,patient,grade\na,1,lgg\nb,2,II\n")
    assert read_case_table(tmp_path)["grade"].tolist() == ["LGG", "II"]


def test_file_names_that_are_not_utf_8_are_refused_before_itk_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"{LATIN_1}.nii.gz"
    path.write_bytes(b"whatever")
    with pytest.raises(InputError, match=r"J\\xfcrgen.nii.gz is not UTF-8.*convmv"):
        read_volume(path)
    with pytest.raises(InputError, match="is not UTF-8"):
        write_volume(
            np.zeros((2, 2, 2), np.uint8), VoxelGrid((2, 2, 2), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1)), path
        )
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "imagesTr" / f"{LATIN_1}_0000.nii.gz").touch()
    with pytest.raises(InputError, match="is not UTF-8"):  # before nnU-Net plans
        check_links(tmp_path)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / LATIN_1))
    with pytest.raises(InputError, match="is not UTF-8"):
        nnunet_folder("nnUNet_raw")


def test_compare_matches_names_that_a_mac_decomposed(nnunet_folders: Path) -> None:
    case = unicodedata.normalize("NFC", "Zoë_1")
    mac = unicodedata.normalize("NFD", case)
    write_dataset(nnunet_folders)
    validate(nnunet_folders, "A__P__2d", 0, {case: (cubes(4, 2), cubes(3, 2)), "b": (cubes(4, 2), cubes(4, 1))})
    for path in [*nnunet_folders.rglob(f"{case}.mha"), *nnunet_folders.rglob(f"{case}_0000.mha")]:
        if "gt_segmentations" not in path.parts:
            path.rename(path.with_name(path.name.replace(case, mac)))
    preprocessed = nnunet_folders / "nnUNet_preprocessed" / NAME
    (nnunet_folders / "nnUNet_raw" / NAME / "imagesTr" / "d_0000.mha").touch()
    (preprocessed / "splits_final.json").write_text(json.dumps([{"train": ["d"], "val": ["b", mac]}]))
    (nnunet_folders / "nnUNet_raw" / NAME / "cases.csv").write_text(f"case,patient,grade\n{mac},p1,hgg\nb,p2,LGG\n")
    compared = compared_trainers(1, ["2d"], None, None, None, (), Folders())
    assert [one.case_id for one in compared.cases] == sorted([case, "b"])
    assert compared.grades == {case: "HGG", "b": "LGG"}
    assert compared.predictions[0].files[case].is_file() and "T1c" in compared.images(case)
    for path in (preprocessed / "gt_segmentations", nnunet_folders / "nnUNet_raw" / NAME / "imagesTr"):
        for file in path.glob(f"{mac}*"):
            file.rename(file.with_name(file.name.replace(mac, case)))
    with pytest.raises(InputError, match="it has one that looks the same"):
        read_splits(preprocessed)  # nnU-Net, which trains, compares bytes


def test_two_names_that_look_alike_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        (tmp_path / f"{unicodedata.normalize(form, 'Zoë')}.mha").touch()
    if len(list(tmp_path.iterdir())) == 2:  # impossible on a Mac
        with pytest.raises(InputError, match=r"two files .*\(NFC\).*\(NFD\)"):
            segmentations(tmp_path, ".mha")


def test_a_checkpoint_error_names_the_actual_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_latest.pth"
    for content, message in (
        (POINTER, "is a pointer of Git LFS, not a checkpoint.*git lfs pull.*or remove it"),
        (b"", "is empty, not a checkpoint"),
        (bytes(2048), "begins with zeros and is not a checkpoint"),
        (b"<html>Sign in</html>", "is a web page, not a checkpoint"),
        (b"network_weights: 3\n" * 30, "is not a checkpoint of PyTorch"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"checkpoint_latest.pth {message}"):
            read_checkpoint(path)
        assert read_fold(tmp_path) is None
    with zipfile.ZipFile(path, "w") as archive:  # an exported model with the name of a checkpoint
        archive.writestr("Dataset001/model/plans.json", "{}")
    with pytest.raises(InputError, match="zip archive of other files, .*nnUNetv2_install_pretrained_model_from_zip"):
        read_checkpoint(path)
    for saved, message in (
        ([1, 2], "holds a list, not a checkpoint of a training"),
        ({"state_dict": {"a": torch.ones(1)}}, "is no checkpoint of nnU-Net: it has no 'network_weights'"),
        ({"network_weights": {}}, "is no checkpoint of nnU-Net"),
    ):
        torch.save(saved, path)
        with pytest.raises(InputError, match=message):
            read_checkpoint(path)
    torch.save({"state_dict": {}}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match="PyTorch before 1.6, as the models of nnU-Net v1"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle/data.pkl", b"\x80\x02c__torch__.torch.nn.modules.conv\nConv2d\n")
    with pytest.raises(InputError, match="is a network in TorchScript, as model.ts of a MONAI bundle"):
        read_checkpoint(path)
    torch.save({"network_weights": {"a": torch.ones(9)}}, path)
    whole = path.read_bytes()
    keys = whole.index(b"network_weights")
    for broken in (whole[:-200], whole[:keys] + b"Network" + whole[keys + 7 :]):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="is damaged or cut off .*Restore it, or remove it"):
            read_checkpoint(path)
    torch.save({"network_weights": {"a": torch.ones(1)}, "logging": {"loss": [np.float64(0.5)]}}, path)
    assert read_checkpoint(path)["logging"] == {"loss": [0.5]}, "nnU-Net's own checkpoints hold NumPy numbers"
