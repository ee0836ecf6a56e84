"""Trainers that stop early: NAME_until35 is the first 35 epochs of NAME, which another training may start from."""

from typing import ClassVar

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class Stopped(nnUNetTrainer):
    """To put in front of any trainer: the whole schedule is built, the learning rate's too, and its rest left out."""

    until: ClassVar[int]

    def initialize(self) -> None:
        """Build the training, then shorten it."""
        super().initialize()
        self.num_epochs: int = min(self.num_epochs, self.until)
