"""A checkpoint: written whole, and continued bit for bit, critic included."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segan_nnunet.errors import InputError
from tests.small_trainers import GameTrainer, a_batch, build, play


@pytest.fixture
def trainer(nnunet_folders: Path) -> Any:
    return build(GameTrainer, nnunet_folders)


def test_resume_restores_both_players_bit_for_bit(trainer: Any, nnunet_folders: Path) -> None:
    trainer.on_train_epoch_end([play(trainer, a_batch(seed)) for seed in range(2)])
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    drawn = torch.rand(3), np.random.rand(3).tolist(), random.random()

    other = build(GameTrainer, nnunet_folders)
    play(other, a_batch(7))
    other.load_checkpoint(str(path))
    for draw in (lambda: torch.rand(5), lambda: np.random.rand(5), random.random):
        draw()  # as nnU-Net does when it starts its loaders, after it has read the checkpoint
    other.on_epoch_start()
    again = torch.rand(3), np.random.rand(3).tolist(), random.random()
    assert torch.equal(again[0], drawn[0]) and again[1:] == drawn[1:], "random numbers go on where they were"
    for seed in (3, 4):  # and so do both players: equal now, and after further rounds
        for ours, theirs in ((trainer.network, other.network), (trainer.critic, other.critic)):
            for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
                assert torch.equal(a, b), name
        play(trainer, a_batch(seed))
        play(other, a_batch(seed))
    assert other.logger.get_checkpoint()["critic_losses"] == trainer.logger.get_checkpoint()["critic_losses"]


def test_checkpoint_holds_one_network_and_the_critic_beside_it(trainer: Any, nnunet_folders: Path) -> None:
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["network_weights"].keys() == trainer.network.state_dict().keys()
    network = GameTrainer.build_network_architecture(
        trainer.plans_manager, trainer.configuration_manager, 2, 3, enable_deep_supervision=False
    )
    network.load_state_dict(checkpoint["network_weights"])  # as nnUNetv2_predict does, strictly
    assert checkpoint["critic_weights"].keys() == trainer.critic.state_dict().keys()
    assert checkpoint["critic_optimizer_state"]["param_groups"]


def test_a_checkpoint_is_replaced_whole_or_not_at_all(
    trainer: Any, nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    whole = path.read_bytes()
    write = torch.save

    def fail_on_disk(value: Any, file: Any) -> None:
        if hasattr(file, "name"):  # not the buffer in memory
            file.write(b"half a checkpoint")
            raise OSError("disk full")
        write(value, file)

    monkeypatch.setattr(torch, "save", fail_on_disk)
    with pytest.raises(OSError, match="disk full"):
        trainer.save_checkpoint(str(path))
    assert path.read_bytes() == whole
    assert not list(nnunet_folders.glob(".*.pth.*")), "nothing half-written stays behind"


def test_resuming_without_a_critic_is_refused(trainer: Any, nnunet_folders: Path) -> None:
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["critic_weights"]
    torch.save(checkpoint, path)
    with pytest.raises(InputError, match="critic_weights.*-pretrained_weights"):
        trainer.load_checkpoint(str(path))
