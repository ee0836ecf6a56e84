"""Compiled critics share one graph for any number of regions. Dynamo's eager backend counts graphs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch._dynamo.utils import counters

from segan_nnunet.training import AdversarialTrainer
from tests.small_trainers import build


class Compiled(AdversarialTrainer):
    """Compiles also on the CPU, where nnU-Net does not."""

    def _do_i_compile(self) -> bool:
        return True

    @staticmethod
    def compile_is_requested() -> bool:
        return True


@pytest.fixture(autouse=True)
def graphs_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def graphs_of(num_regions: int, folder: Path) -> tuple[int, int]:
    """Return the number of graphs after one epoch of training and validation, and after a second epoch."""
    torch._dynamo.reset()
    counters.clear()
    labels = {"background": 0, **{f"region {r}": list(range(r + 1, num_regions + 1)) for r in range(num_regions)}}
    trainer = build(Compiled, folder, labels)
    batch = {"data": torch.randn(4, 2, 32, 32), "target": torch.rand(4, num_regions, 32, 32) < 0.5}
    counted = []
    for _ in range(2):
        trainer.on_train_epoch_start()
        for _ in range(3):  # the first step of an epoch also measures the shares
            trainer.train_step(batch)
        trainer.on_validation_epoch_start()
        with torch.no_grad():
            trainer.validation_step(batch)
        counted.append(counters["stats"]["unique_graphs"])
    return counted[0], counted[1]


def test_any_number_of_critics_shares_the_compiled_graphs(nnunet_folders: Path) -> None:
    three: Any = graphs_of(3, nnunet_folders)
    six: Any = graphs_of(6, nnunet_folders)
    assert three == six
    assert three[0] == three[1], "a second epoch adds no graph"
    assert 0 < three[0] <= 8, "dynamo gives up on a function after eight graphs"


@pytest.mark.parametrize(
    ("value", "is_ddp", "compiled"), [("true", False, True), ("true", True, False), ("", False, False)]
)
def test_players_compile_on_request_and_never_with_synchronised_batch_norm(
    nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch, value: str, is_ddp: bool, compiled: bool
) -> None:
    monkeypatch.setenv("nnUNet_compile", value)
    monkeypatch.setattr(nnUNetTrainer, "_do_i_compile", lambda trainer: True)
    trainer = build(AdversarialTrainer, nnunet_folders)
    trainer.is_ddp = is_ddp
    assert trainer._do_i_compile() == compiled
    trainer.critic = trainer.build_critic()
    trainer.compile_critics()
    assert all((part._compiled_call_impl is not None) == compiled for part in trainer.critic.critics)
