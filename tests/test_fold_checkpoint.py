"""Checkpoints are read without running code in them."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segan_nnunet.errors import InputError
from segan_nnunet.folds.checkpoint import read_fold
from segan_nnunet.folds.checks import check_one_method
from segan_nnunet.folds.record import read_record
from segan_nnunet.validations.training_records import read_training_log

LOG = {
    "dice_per_class_or_region": [[np.float32(0.5), np.float32(0.25)]],
    "train_losses": [np.float64(1.0)],
    "val_losses": [2.0],
}


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("this must not run",))


def write(model: Path, fold: int, batch_size: int = 2, **more: Any) -> Path:
    folder = model / f"fold_{fold}"
    folder.mkdir(parents=True)
    plans = {"configurations": {"2d": {"batch_size": batch_size}}}
    torch.save({"logging": LOG, "init_args": {"plans": plans}, **more}, folder / "checkpoint_final.pth")
    return folder


def test_the_checkpoint_reader_reads_nnunet_logs_with_numpy_numbers(tmp_path: Path) -> None:
    log = read_training_log(write(tmp_path, 0))
    assert log is not None and log.pseudo_dice.tolist() == [[0.5, 0.25]] and log.validation_loss.tolist() == [2.0]


def test_the_checkpoint_reader_runs_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, 0, harmful=Harmful())
    assert read_fold(folder) is None and read_training_log(folder) is None
    assert "this must not run" not in capsys.readouterr().out


def test_folds_of_different_plans_are_not_one_method(tmp_path: Path) -> None:
    model = tmp_path / "SegAN__SegANPlans__2d"
    folds = [model / f"fold_{fold}" for fold in range(3)]
    assert read_record(write(model, 0)).configuration == {"batch_size": 2}
    write(model, 1)
    check_one_method(folds)
    write(model, 2, batch_size=4)
    with pytest.raises(InputError, match="fold_2 was trained under other plans .* than .*fold_0: batch_size differ"):
        check_one_method(folds)
    assert read_record(model / "fold_7").configuration is None


def test_the_checkpoint_reader_reads_numpy_1_and_numpy_2_numbers_alike(tmp_path: Path) -> None:
    path = write(tmp_path / "A__P__2d", 0) / "checkpoint_final.pth"
    with zipfile.ZipFile(path) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray"))
    assert b"cnumpy.core.multiarray" in path.read_bytes() and b"numpy._core" not in path.read_bytes()
    log = read_training_log(path.parent)
    assert log is not None and log.pseudo_dice.tolist() == [[0.5, 0.25]] and log.training_loss.tolist() == [1.0]


def test_the_checkpoint_reader_reopens_only_a_changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = write(tmp_path / "A__P__2d", 0)
    opened, load = [], torch.load

    def counted(path: Path, **how: Any) -> Any:
        opened.append(path)
        return load(path, **how)

    monkeypatch.setattr(torch, "load", counted)
    assert read_record(fold).configuration == {"batch_size": 2} and read_training_log(fold) and len(opened) == 1
    torch.save({"current_epoch": 7}, fold / "checkpoint_final.pth")
    assert read_fold(fold) == {"current_epoch": 7} and len(opened) == 2
