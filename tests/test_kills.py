"""A training that is killed repeatedly at random moments loses no saved epoch."""

import random
import re
from pathlib import Path

import pytest
import torch

from tests.conftest import Commands, commands_on_balls

pytestmark = pytest.mark.end_to_end

KILLS = 12
SETTINGS = ("0", "-p", "SegANPlans", "-device", "cpu", "-tr")
TRAIN = ("nnUNetv2_train", "1", "2d", *SETTINGS)
TRAINERS = """
import os
import shutil
import time

from segan_nnunet.training import AdversarialTrainer


class Steady(AdversarialTrainer):
    initial_lr, num_iterations_per_epoch, num_val_iterations_per_epoch, num_epochs = 1e-3, 2, 1, 3

    def initialize(self):
        super().initialize()
        self.autocast_dtype = None  # float32

    def on_epoch_end(self):
        super().on_epoch_end()
        if self.current_epoch == 1:
            shutil.copy(f"{self.output_folder}/checkpoint_latest.pth", f"{self.output_folder}/../after_one_epoch.pth")


class Killed(Steady):
    num_epochs = int(os.environ.get("EPOCHS", "100000"))


flush = os.fsync


def slow_flush(file):
    time.sleep(0.2)  # a slow disk, so that kills also fall into the writing of checkpoints
    flush(file)


if "SLOW_DISK" in os.environ:
    os.fsync = slow_flush
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    folder = tmp_path_factory.mktemp("kills")
    commands = commands_on_balls(folder, TRAINERS)
    plan = ("segan_nnunet", "plan", "-d", "1", "-c", "2d", "3d_fullres", "--width", "2", "--batch-size", "2")
    (planned,) = commands.forked(plan)
    assert planned[0] == 0, planned
    splits = folder / "nnUNet_preprocessed" / "Dataset001_Balls" / "splits_final.json"
    splits.write_text('[{"train": ["case_1", "case_2"], "val": ["case_0"]}]')
    return commands


def fold(run: Commands, trainer: str, configuration: str = "2d") -> Path:
    return run.folder / "nnUNet_results" / "Dataset001_Balls" / f"{trainer}__SegANPlans__{configuration}" / "fold_0"


def test_a_training_killed_at_random_moments_loses_no_saved_epoch(run: Commands) -> None:
    """SIGKILL comes at random moments, sometimes during a checkpoint write. After each kill, check and continue."""
    moments = random.Random(0)
    folder = fold(run, "Killed")
    commands, times = [], []
    for kill in range(KILLS):
        commands += [
            (*TRAIN, "Killed", "--c"),
            ("cp", str(folder / "checkpoint_latest.pth"), str(run.folder / f"found_{kill}.pth")),
            ("sh", "-c", f"ls -A {folder} > {run.folder}/listing_{kill}.txt"),
        ]
        times += [moments.uniform(0.5, 3.5), None, None]
    done = run.forked(*commands, jobs=1, kill_after=times, SLOW_DISK="1")
    assert [status for status, _ in done[::3]] == [-9] * KILLS

    saved = 0
    for kill, (_, printed) in enumerate(done[::3]):
        begun = [int(epoch) for epoch in re.findall(r": Epoch (\d+)", printed)]
        finished = [int(epoch) for epoch in re.findall(r"epoch (\d+)/", printed)]
        assert begun[:1] in ([], [saved]), "it continues after the last saved epoch"
        snapshot = run.folder / f"found_{kill}.pth"
        if snapshot.is_file():
            checkpoint = torch.load(snapshot, weights_only=True)  # a complete checkpoint, whenever the kill came
            assert checkpoint["current_epoch"] >= max([saved, *finished]), "every finished epoch was saved"
            saved = checkpoint["current_epoch"]
            assert all(len(values) == saved for values in checkpoint["logging"].values())
    assert saved > 2, "the trainings progressed between the kills"
    inside = [kill for kill in range(KILLS) if ".pth." in (run.folder / f"listing_{kill}.txt").read_text()]
    assert inside, "at least one kill came during a checkpoint write"

    ((status, printed),) = run.forked((*TRAIN, "Killed", "--c"), EPOCHS=str(saved + 1))
    assert status == 0 and f"epoch {saved + 1}/{saved + 1}" in printed
    assert not list(folder.glob(".*")), "no partly written files remain"
    final = torch.load(folder / "checkpoint_final.pth", weights_only=True)
    steps = {int(state["step"]) for state in final["critic_optimizer_state"]["state"].values()}
    assert steps == {2 * (saved + 1)}, "every epoch is logged once in the end"


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_an_interrupted_training_ends_bit_identical_to_an_uninterrupted_one(run: Commands, configuration: str) -> None:
    folder = fold(run, "Steady", configuration)
    train = ("nnUNetv2_train", "1", configuration, *SETTINGS, "Steady")
    commands = [
        train,
        ("mv", str(folder), str(folder.with_name("uninterrupted"))),
        ("mkdir", str(folder)),
        ("cp", str(folder.with_name("after_one_epoch.pth")), str(folder / "checkpoint_latest.pth")),
        (*train, "--c"),
    ]
    done = run.forked(*commands, jobs=1)
    assert [status for status, _ in done] == [0] * len(commands), done
    assert ": Epoch 0" not in done[-1][1] and ": Epoch 1" in done[-1][1]
    ours, theirs = (
        torch.load(path / "checkpoint_final.pth", weights_only=True)
        for path in (folder, folder.with_name("uninterrupted"))
    )
    for player in ("network_weights", "critic_weights"):
        assert ours[player].keys() == theirs[player].keys()
        assert all(torch.equal(value, theirs[player][name]) for name, value in ours[player].items()), player
    early = torch.load(folder.with_name("after_one_epoch.pth"), weights_only=True)
    assert any(not torch.equal(value, early["critic_weights"][name]) for name, value in ours["critic_weights"].items())
