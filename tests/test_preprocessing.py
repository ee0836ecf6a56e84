"""Changes of the raw data after the preprocessing are detected, whatever the time stamps."""

import json
import os
from pathlib import Path

import pytest

from segan_nnunet.data.planned.preprocessed_data import record_path
from segan_nnunet.errors import InputError
from segan_nnunet.models.preprocessing import (
    PIECE,
    digest_of_pieces,
    preprocess_with_nnunet,
    remove_changed_labels,
)

PLANS = {"plans_name": "P", "configurations": {"2d": {"data_identifier": "P_2d"}}}


@pytest.fixture
def preprocessed(nnunet_folders: Path) -> Path:
    """Return the preprocessed folder of a dataset of one case that nnU-Net preprocessed."""
    raw, folder = (nnunet_folders / f"nnUNet_{part}" / "Dataset007_Tiny" for part in ("raw", "preprocessed"))
    for path in (raw / "imagesTr" / "a_0000.mha", raw / "labelsTr" / "a.mha", folder / "P_2d" / "a.pkl"):
        path.parent.mkdir(parents=True)
        path.write_text(path.name)
    for path in raw.rglob("*.mha"):
        os.utime(path, (1, 1))
    (folder / "dataset.json").write_text(json.dumps({"numTraining": 1, "file_ending": ".mha"}))
    return folder


def preprocess(preprocessed: Path) -> None:
    preprocess_with_nnunet(preprocessed, PLANS, "2d", 1)


@pytest.mark.parametrize("name", ["labelsTr/a.mha", "imagesTr/a_0000.mha"])
def test_a_changed_file_with_an_old_time_stamp_is_named(preprocessed: Path, name: str) -> None:
    preprocess(preprocessed)
    recorded = json.loads(record_path(preprocessed / "P_2d").read_text())
    assert sorted(recorded["files"]) == ["imagesTr/a_0000.mha", "labelsTr/a.mha"]
    changed = Path(os.environ["nnUNet_raw"]) / preprocessed.name / name
    changed.write_text("corrected")
    os.utime(changed, (1, 1))
    with pytest.raises(InputError, match=f"1 files .*the first {name}, were changed since .*P_2d .*Remove"):
        preprocess(preprocessed)


def test_a_touched_but_unchanged_file_is_not_named(preprocessed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preprocess(preprocessed)
    (Path(os.environ["nnUNet_raw"]) / preprocessed.name / "labelsTr" / "a.mha").touch()
    preprocess(preprocessed)
    assert capsys.readouterr().out == ""


def test_data_that_nnunet_preprocessed_again_are_accepted(preprocessed: Path) -> None:
    preprocess(preprocessed)
    label = Path(os.environ["nnUNet_raw"]) / preprocessed.name / "labelsTr" / "a.mha"
    label.write_text("corrected")
    os.utime(label, (1, 1))
    later = record_path(preprocessed / "P_2d").stat().st_mtime + 10
    os.utime(preprocessed / "P_2d" / "a.pkl", (later, later))
    preprocess(preprocessed)


def test_newer_files_without_a_record_give_a_warning(preprocessed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.utime(preprocessed / "P_2d" / "a.pkl", (0, 0))
    preprocess(preprocessed)
    assert "2 files of the dataset" in capsys.readouterr().out and not record_path(preprocessed / "P_2d").exists()


def test_an_image_digest_depends_on_size_beginning_middle_and_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    content = bytearray(10 * PIECE)
    path.write_bytes(content)
    digests = {digest_of_pieces(path)}
    for position in (0, 5 * PIECE, 10 * PIECE - 1):
        content[position] = 1
        path.write_bytes(content)
        digests.add(digest_of_pieces(path))
        content[position] = 0
    path.write_bytes(content + b"\0")
    assert len(digests | {digest_of_pieces(path)}) == 5


def test_preprocessing_removes_copies_of_changed_labels(tmp_path: Path) -> None:
    for folder in ("labelsTr", "kept"):
        (tmp_path / folder).mkdir()
        for case in "ab":
            (tmp_path / folder / case).write_text(case)
    (tmp_path / "labelsTr" / "b").write_text("corrected")
    remove_changed_labels(tmp_path / "kept", tmp_path)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["a"]


def test_an_unset_raw_data_variable_is_named(preprocessed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (preprocessed / "P_2d" / "a.pkl").unlink()
    monkeypatch.delenv("nnUNet_raw")
    with pytest.raises(InputError, match="nnUNet_raw is not set"):
        preprocess(preprocessed)
