"""Trainings that start from another's end, so that two arms share their first part."""

import json
from pathlib import Path

import pytest
import torch

from segan_nnunet.errors import InputError
from segan_nnunet.grid import crossval
from segan_nnunet.grid.branches import branch, check_start, start_job
from segan_nnunet.grid.checks import parse_start
from segan_nnunet.grid.jobs import Grid, Job
from segan_nnunet.trainer_names import parts, stopped
from segan_nnunet.training import composed_trainer
from tests.small_trainers import Short, Theirs, batch_of, build, epoch, nnunet_architecture, same, trained

ARM = Job("Dataset001_Tiny", "2d", "Short", "SegANPlans", 0, "cpu", start="Theirs_until2")

pytestmark = pytest.mark.usefixtures("without_progress_png")


def test_a_trainer_that_stops_is_named_before_its_seed() -> None:
    assert stopped("A_50epochs_seed3", 35) == "A_50epochs_until35_seed3"
    assert parts("A_50epochs_until35_seed3").until_epoch == 35


def test_a_trainer_that_stops_has_the_schedule_of_the_whole(nnunet_folders: Path) -> None:
    whole, first = (
        build(trainer, nnunet_folders, architecture=nnunet_architecture())
        for trainer in (Theirs, composed_trainer("Theirs_until2_seed1", {"Theirs": Theirs}))
    )
    assert (whole.num_epochs, first.num_epochs) == (4, 2)
    assert first.lr_scheduler.max_steps == 4
    last = composed_trainer("Theirs_until9", {"Theirs": Theirs})
    assert build(last, nnunet_folders, architecture=nnunet_architecture()).num_epochs == 4


@pytest.mark.parametrize("wrong", ["A", "A:", ":3", "A:0", "A:-1", "A:x"])
def test_a_start_is_a_trainer_and_an_epoch(wrong: str) -> None:
    assert parse_start("nnUNetTrainer:700") == "nnUNetTrainer_until700"
    with pytest.raises(InputError, match="TRAINER:EPOCH"):
        parse_start(wrong)


def test_every_arm_starts_from_the_end_of_its_own_fold_plans_and_seed() -> None:
    grid = Grid("D", ("A", "B"), ("P",), (0, 1), seeds=(3, 4), start="A_until2")
    starts = {(job.trainer, job.fold): start_job(job) for job in grid.jobs()}
    assert len(starts) == 8
    for (trainer, fold), start in starts.items():
        assert start is not None and start.start is None
        assert (start.trainer, start.fold) == (f"A_until2_seed{trainer[-1]}", fold)


def test_a_dry_run_says_what_is_trained_first(nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for check in ("check_trainers", "check_folds"):
        monkeypatch.setattr(crossval, check, lambda _: None)
    grid = Grid("Dataset001_Tiny", ("A", "B"), ("P",), (0,), device="cpu", start="A_until2")
    first, copied, arm, *_, compared = crossval.commands(grid)
    assert first == "nnUNetv2_train 1 2d 0 -tr A_until2 -p P -device cpu"
    assert copied.startswith("# crossval puts ") and "A_until2__P__2d" in copied
    assert arm == "nnUNetv2_train 1 2d 0 -tr A -p P -device cpu --c"
    assert compared.startswith("segan_nnunet compare")


def test_critics_begin_where_nnunet_s_own_training_ends(nnunet_folders: Path) -> None:
    start = trained(Theirs, nnunet_folders, 2)
    start.current_epoch -= 1  # as nnU-Net's on_train_end has it
    begun = start_job(ARM)
    assert begun is not None
    begun.folder.mkdir(parents=True)
    start.save_checkpoint(str(begun.folder / "checkpoint_final.pth"))
    check_start(ARM)
    branch(ARM, begun)
    assert ARM.command()[-1] == "--c"

    arm = build(Short, nnunet_folders, architecture=nnunet_architecture())
    assert not same(arm.network, start.network)
    arm.load_checkpoint(str(ARM.folder / "checkpoint_latest.pth"))
    assert same(arm.network, start.network) and arm.current_epoch == 2
    momentum = [state["momentum_buffer"] for state in start.optimizer.state_dict()["state"].values()]
    restored = [state["momentum_buffer"] for state in arm.optimizer.state_dict()["state"].values()]
    assert momentum and all(torch.equal(a, b) for a, b in zip(momentum, restored, strict=True))
    epoch(arm, [batch_of(arm)])
    log = arm.logger.local_logger.my_fantastic_logging
    assert log["train_losses"][:2] == start.logger.local_logger.my_fantastic_logging["train_losses"]
    assert len(log["critic_losses"]) == 3 and log["critic_losses"][2] == log["critic_losses"][2]


def test_a_fold_keeps_the_start_that_it_had(nnunet_folders: Path) -> None:
    ARM.folder.mkdir(parents=True)
    (ARM.folder / "checkpoint_best.pth").touch()
    with pytest.raises(InputError, match="trained from its beginning, and is now to be trained from the end of Theirs"):
        check_start(ARM)
    (ARM.folder / "crossval_start.json").write_text(json.dumps({"trainer": "Theirs_until2"}))
    check_start(ARM)
    with pytest.raises(InputError, match="trained from the end of Theirs_until2, and is now .* from its beginning"):
        check_start(Job(**{**vars(ARM), "start": None}))
