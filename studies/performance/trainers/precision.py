"""Trainers for one measurement in performance.md: SegANTrainer_short in autocast and in float32, five seeds each."""

from typing import ClassVar

import torch

from segan_nnunet.training import AdversarialTrainer, ShortSchedule


class Seeded(ShortSchedule, AdversarialTrainer):
    """SegANTrainer_short, both players drawn from a seed."""

    seed: ClassVar[int]
    float32: ClassVar[bool] = False

    def initialize(self) -> None:
        """Draw the weights from the seed; for float32, leave autocast out."""
        torch.manual_seed(self.seed)
        super().initialize()
        if self.float32:
            self.autocast_dtype = None


for seed in range(1, 6):
    for name, float32 in (("autocast", False), ("float32", True)):
        trainer = f"SegAN_{name}_{seed}"
        globals()[trainer] = type(trainer, (Seeded,), {"seed": seed, "float32": float32, "__module__": __name__})
