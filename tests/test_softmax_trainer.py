"""The softmax baseline as nnU-Net trains it, on a small trainer in this process."""

from pathlib import Path

import pytest
import torch

from segan_nnunet.errors import InputError
from segan_nnunet.training import SoftmaxTrainer
from tests.small_trainers import a_batch, build


class BaselineTrainer(SoftmaxTrainer):
    num_epochs = 3
    initial_lr = 1e-3


def test_the_softmax_baseline_returns_regions_in_the_order_of_the_dataset(nnunet_folders: Path) -> None:
    inside_out = {"background": 0, "enhancing tumor": 4, "whole tumor": [1, 2, 3, 4], "tumor core": [1, 3, 4]}
    trainer = build(BaselineTrainer, nnunet_folders, inside_out)
    assert trainer.region_order() == [1, 2, 0]
    trainer.network.nesting_rank.copy_(torch.tensor([2, 0, 1]))
    trainer.network.eval()
    enhancing, whole, core = trainer.network(torch.randn(2, 2, 32, 32)).unbind(1)
    assert (whole >= core).all() and (core >= enhancing).all()
    assert "nesting_rank" in trainer.network.state_dict(), "prediction reads the order from the weights"


def test_the_softmax_baseline_learns_a_batch(nnunet_folders: Path) -> None:
    trainer = build(BaselineTrainer, nnunet_folders)
    trainer.network.train()
    batch = a_batch()
    batch["target"] = torch.stack([batch["data"][:, 0] > t for t in (0.0, 0.5, 1.0)], 1)
    losses = [float(trainer.train_step(batch)["loss"]) for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]


def test_the_softmax_baseline_refuses_regions_that_do_not_nest(nnunet_folders: Path) -> None:
    apart = {"background": 0, "whole tumor": [1, 2], "tumor core": [2, 3], "cavity": 4}
    with pytest.raises(InputError, match="'tumor core'.*'whole tumor'|'whole tumor'.*'tumor core'"):
        build(BaselineTrainer, nnunet_folders, apart)
