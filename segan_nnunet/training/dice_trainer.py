"""The recipe of the authors' released code, which differs from the paper's."""

import torch
from torch import Tensor

from segan_nnunet.objective import soft_dice_distance
from segan_nnunet.training.adversarial_trainer import AdversarialTrainer


class AdversarialDiceTrainer(AdversarialTrainer):
    """Adds soft Dice to the segmentor's loss; Adam for both players; clamps the critics, batch norm too, at 0.05."""

    optimizer_class = torch.optim.Adam
    optimizer_settings = {"betas": (0.5, 0.999)}
    initial_lr = 2e-4
    critic_clamp = 0.05
    clamp_batch_norm = True

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """The soft Dice distance, which S minimises beside Eq. 2."""
        return soft_dice_distance(predicted, truth)
