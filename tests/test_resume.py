"""Checkpoints are written completely or not at all, and resuming restores both players bit for bit."""

import contextlib
import errno
import os
import random
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.training.logging.nnunet_logger import LocalLogger
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from segan_nnunet.errors import InputError
from tests.small_trainers import GameTrainer, a_batch, build, play


@pytest.fixture
def trainer(nnunet_folders: Path) -> Any:
    return build(GameTrainer, nnunet_folders)


def test_resume_restores_both_players_bit_for_bit(trainer: Any, nnunet_folders: Path) -> None:
    trainer.on_train_epoch_end([play(trainer, a_batch(seed)) for seed in range(2)])
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    expected_values = torch.rand(3), np.random.rand(3).tolist(), random.random()

    other = build(GameTrainer, nnunet_folders)
    play(other, a_batch(7))
    other.load_checkpoint(str(path))
    for draw in (lambda: torch.rand(5), lambda: np.random.rand(5), random.random):
        draw()  # as nnU-Net does when it starts its loaders after reading the checkpoint
    other.on_epoch_start()
    again = torch.rand(3), np.random.rand(3).tolist(), random.random()
    assert torch.equal(again[0], expected_values[0]) and again[1:] == expected_values[1:], (
        "the random numbers continue where they stopped"
    )
    for seed in (3, 4):  # both players are equal now and after further rounds
        for ours, theirs in ((trainer.network, other.network), (trainer.critic, other.critic)):
            for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
                assert torch.equal(a, b), name
        play(trainer, a_batch(seed))
        play(other, a_batch(seed))
    assert other.logger.get_checkpoint()["critic_losses"] == trainer.logger.get_checkpoint()["critic_losses"]


def test_a_checkpoint_holds_one_network_and_the_critic_separately(trainer: Any, nnunet_folders: Path) -> None:
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["network_weights"].keys() == trainer.network.state_dict().keys()
    network = GameTrainer.build_network_architecture(
        trainer.plans_manager, trainer.configuration_manager, 2, 3, enable_deep_supervision=False
    )
    network.load_state_dict(checkpoint["network_weights"])  # strict loading, as in nnUNetv2_predict
    assert checkpoint["critic_weights"].keys() == trainer.critic.state_dict().keys()
    assert checkpoint["critic_optimizer_state"]["param_groups"]


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write files beyond this size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refusing(error: int) -> Callable[..., Any]:
    """Return a stand-in for a system function that raises this error."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(error, os.strerror(error))

    return refuse


@pytest.mark.parametrize(
    ("function", "error", "remedy"),
    [
        (
            None,
            errno.EFBIG,
            "raise the limit",
        ),  # during torch's write, whose only message is "unexpected pos 10048 vs ..."
        ((os, "fsync"), errno.ENOSPC, "free some room"),  # file servers may report it only here
        ((os, "fsync"), errno.EDQUOT, "ask for a larger quota"),
        ((tempfile, "NamedTemporaryFile"), errno.EROFS, "make that file system writable"),
        ((os, "replace"), errno.EIO, "correct that"),
    ],
)
def test_saving_replaces_a_checkpoint_completely_or_not_at_all(
    trainer: Any,
    nnunet_folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: tuple[Any, str] | None,
    error: int,
    remedy: str,
) -> None:
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    whole = path.read_bytes()
    if function:
        monkeypatch.setattr(*function, refusing(error))
    limit = contextlib.nullcontext() if function else files_of_at_most(10_000)
    with pytest.raises(InputError) as refused, limit:
        trainer.save_checkpoint(str(path))
    message = f"{path} cannot be written: {os.strerror(error)}. The previous checkpoint is intact: "
    assert str(refused.value).startswith(message) and remedy in str(refused.value)
    assert path.read_bytes() == whole
    assert not list(nnunet_folders.glob(".*.pth.*")), "no partly written file remains"


def test_a_full_disk_ends_the_nnunet_command_with_one_message(
    trainer: Any, nnunet_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints no traceback: uncaught errors go through the hook that our trainers set."""
    with files_of_at_most(10_000), pytest.raises(InputError) as refused:
        trainer.save_checkpoint(str(nnunet_folders / "checkpoint.pth"))
    sys.excepthook(refused.type, refused.value, refused.tb)
    output = capsys.readouterr().err
    assert output.startswith("segan_nnunet: ") and os.strerror(errno.EFBIG) in output and output.count("\n") == 1
    full = OSError(errno.ENOSPC, "No space left on device")  # for example when nnU-Net copies dataset.json
    sys.excepthook(OSError, full, None)
    assert capsys.readouterr().err == (
        "segan_nnunet: OSError: No space left on device; free some room and give the command again\n"
    )
    sys.excepthook(ValueError, ValueError("a mistake in the code"), refused.tb)
    assert "Traceback" in capsys.readouterr().err, "an error that the user cannot fix keeps its traceback"


def test_an_unwritable_log_or_picture_does_not_end_the_training(
    trainer: Any, nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = nnunet_folders / "progress.png"
    picture.write_bytes(b"of the epoch before")

    def half(self: Any, folder: str) -> None:
        picture.write_bytes(bytes(20_000))

    monkeypatch.setattr(LocalLogger, "plot_progress_png", half)
    with files_of_at_most(10_000):
        trainer.logger.plot_progress_png(str(nnunet_folders))
    assert not picture.exists(), "no partly written picture"
    assert f"{picture} cannot be written: {os.strerror(errno.EFBIG)}" in capsys.readouterr().out
    monkeypatch.setattr(nnUNetTrainer, "print_to_log_file", refusing(errno.ENOSPC))
    trainer.print_to_log_file("standard output is a file on the full disk")


def test_resuming_refuses_a_checkpoint_without_a_critic(trainer: Any, nnunet_folders: Path) -> None:
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["critic_weights"]
    torch.save(checkpoint, path)
    with pytest.raises(InputError, match="critic_weights.*-pretrained_weights"):
        trainer.load_checkpoint(str(path))
