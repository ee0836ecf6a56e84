from pathlib import Path

import numpy as np
import pytest

from segan_nnunet.data.volumes.same_voxels import checksums
from segan_nnunet.evaluation.methods.methods_on_cases import Folders, compared_folders
from segan_nnunet.evaluation.scores.measurement import measure
from segan_nnunet.evaluation.scores.same_files import REFERENCE, same_file_warnings
from tests.hand_made_results import write_folder


def cube(start: int) -> np.ndarray:
    voxels = np.zeros((6, 6, 6), np.uint8)
    voxels[start : start + 2, 1:4, 1:4] = 1
    return voxels


def test_checksums_see_one_voxel_and_not_the_order_in_memory() -> None:
    voxels = cube(1)
    other = voxels.copy()
    other[5, 5, 5] = 1
    assert checksums(voxels) == checksums(np.asfortranarray(voxels)) != checksums(other)


def test_equal_folders_and_equal_references_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write_folder(tmp_path / "truth", {"a": cube(0), "b": cube(2), "c": cube(0)})
    folders = {
        "Copy": write_folder(tmp_path / "copy", {"a": cube(0), "b": cube(2), "c": cube(0)}),
        "One": write_folder(tmp_path / "one", {"a": cube(1), "b": cube(3), "c": cube(2)}),
        "Two": write_folder(tmp_path / "two", {"a": cube(1), "b": cube(3), "c": cube(2)}),
    }
    compared = compared_folders(None, Folders(folders, truth))
    measure(compared.cases, compared.labelling, 1)
    printed = " ".join(capsys.readouterr().out.split())
    assert "WARNING: Copy holds the voxels of the reference in all 3 cases" in printed
    assert "WARNING: One and Two hold the same voxels in all 3 cases" in printed
    assert "some cases have the same reference, voxel by voxel: a = c." in printed


def test_cases_without_any_label_may_be_equal() -> None:
    empty, other = checksums(np.zeros(8)), checksums(np.ones(8))
    voxels = {case: {REFERENCE: empty, "A": empty} for case in ("a", "b")}
    assert same_file_warnings(voxels, empty=["a", "b"]) == []
    assert same_file_warnings({**voxels, "c": {REFERENCE: other, "A": empty}}, empty=["a", "b"]) == []
