"""A game of a few hundred steps: an unbounded critic makes the segmentor fail, a bounded one does not."""

import math
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from segan_nnunet.objective import layer_distances
from segan_nnunet.training import AdversarialTrainer, ShortSchedule
from tests.small_trainers import build, play


class Bounded(ShortSchedule, AdversarialTrainer):
    """SegANTrainer_short."""


class Unbounded(Bounded):
    """The game of an earlier version: free batch norm, equal rates, and RMSProp with its tenfold first step."""

    critic_batch_norm_clamp = math.inf
    critic_batch_norm_eps = 1e-5
    critic_initial_lr = ShortSchedule.initial_lr
    distances = staticmethod(layer_distances)
    optimizer_class = torch.optim.RMSprop
    optimizer_settings: ClassVar[dict[str, Any]] = {}


def noisy_slices(number: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return slices with nested discs under noise of twice their contrast in two channels. A third of them is empty."""
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    centre = 8 + 16 * torch.rand(number, 2, 1, 1, generator=generator)
    radius = 3 + 6 * torch.rand(number, 1, 1, generator=generator)
    radius[torch.rand(number, generator=generator) < 1 / 3] = 0
    distance = torch.hypot(rows - centre[:, 0], columns - centre[:, 1])
    target = torch.stack([distance < radius * part for part in (1, 0.65, 0.35)], 1)
    whole, core, enhancing = target.float().unbind(1)
    image = torch.stack([whole - 0.5 * enhancing, 1.5 * enhancing - 0.5 * core], 1)
    return {"data": image + 2 * torch.randn(image.shape, generator=generator), "target": target}


def mean_dice(trainer: Any, batch: dict[str, Tensor]) -> float:
    trainer.network.eval()
    with torch.no_grad():
        predicted = trainer.network(batch["data"]) > 0
    both, either = ((predicted & batch["target"]), (predicted.float() + batch["target"].float()))
    return float((2 * both.sum((0, 2, 3)) / either.sum((0, 2, 3))).mean())


def trained(trainer: type[AdversarialTrainer], folder: Path, steps: int) -> tuple[Any, list[float]]:
    """Return the trainer after some steps, and its Dice on separate slices after each hundred steps."""
    built = build(trainer, folder)
    generator = torch.Generator().manual_seed(0)
    unseen = noisy_slices(128, torch.Generator().manual_seed(1))
    dice = []
    for step in range(1, steps + 1):
        if step == steps:
            built.layer_shares = None  # measure the shares in the last step
        play(built, noisy_slices(12, generator))
        if step % 100 == 0:
            dice.append(mean_dice(built, unseen))
    return built, dice


def test_a_bounded_critic_trains_the_segmentor_and_an_unbounded_critic_does_not(nnunet_folders: Path) -> None:
    bounded, rising = trained(Bounded, nnunet_folders, steps=300)
    _, other = trained(Unbounded, nnunet_folders, steps=300)
    assert rising == sorted(rising), "the Dice of its segmentor only rises"
    assert rising[-1] > other[-1] + 0.05
    assert bounded.layer_shares.min() > 0.05, "every layer contributes to the segmentor's gradient"
