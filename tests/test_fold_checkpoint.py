"""Checkpoints are looked at without running what is in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.presentation.figures.curves import read_training_log
from segan_nnunet.fold_checkpoint import check_one_network, configuration_of, read_fold

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


def test_nnunet_s_log_is_read_numbers_of_numpy_included(tmp_path: Path) -> None:
    log = read_training_log(write(tmp_path, 0))
    assert log is not None and log.pseudo_dice.tolist() == [[0.5, 0.25]] and log.validation_loss.tolist() == [2.0]


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, 0, harmful=Harmful())
    assert read_fold(folder) is None and read_training_log(folder) is None
    assert "this must not run" not in capsys.readouterr().out


def test_folds_of_two_plans_are_not_one_method(tmp_path: Path) -> None:
    model = tmp_path / "SegAN__SegANPlans__2d"
    assert configuration_of(write(model, 0), "2d") == {"batch_size": 2}
    write(model, 1)
    check_one_network(model, [0, 1, 2])
    write(model, 2, batch_size=4)
    with pytest.raises(InputError, match="folds of two plans: in batch_size fold 2 differs from fold 0"):
        check_one_network(model, [0, 1, 2])
    assert configuration_of(model / "fold_7", "2d") is None
