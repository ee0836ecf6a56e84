"""Trainers of a seed: NAME_seed3 is the trainer NAME with everything random drawn from the seed 3."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet

from segan_nnunet.training.run.threads import respect_omp_num_threads


class Seeded(nnunet.nnUNetTrainer):
    """To put in front of any trainer: its weights, its sampling of patches and its augmentation come from `seed`.

    With nnUNet_n_proc_DA=0 on one thread a training is repeated bit for bit. With several processes that augment,
    their batches arrive in an order of their own, and a training is repeated up to that.
    """

    seed: ClassVar[int]

    def initialize(self) -> None:
        """Draw the weights from the seed, in all processes of DDP the same."""
        respect_omp_num_threads(self.device)  # of nnU-Net's own trainers too
        seed_everything(self.seed)
        super().initialize()

    def get_dataloaders(self) -> Any:
        """Draw patches and augmentation from the seed, in each process other ones, and other ones after a resume."""
        states = np.random.SeedSequence((self.seed, self.local_rank, self.current_epoch))
        seed_everything(int(states.generate_state(1)[0]))
        with seeded_workers(states):
            return super().get_dataloaders()


def seed_everything(seed: int) -> None:
    """Seed all random generators of this process."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # CUDA's too


@contextmanager
def seeded_workers(states: np.random.SeedSequence) -> Iterator[None]:
    """Give the processes that augment seeds of their own: nnU-Net leaves them to chance, and has no hook for them."""
    augmenter: Callable[..., Any] = nnunet.NonDetMultiThreadedAugmenter

    def seeded(*args: Any, num_processes: int, **settings: Any) -> Any:
        seeds = [int(state.generate_state(1)[0]) for state in states.spawn(num_processes)]
        return augmenter(*args, num_processes=num_processes, **{**settings, "seeds": seeds})

    with mock.patch.object(nnunet, "NonDetMultiThreadedAugmenter", seeded):
        yield
