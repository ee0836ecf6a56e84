"""What the authors' released code trains with, which differs from the paper."""

import torch
from torch import Tensor

from segan_nnunet.networks.encoder import BATCH_NORM_EPS
from segan_nnunet.objective import concatenated_distances, soft_dice_distance
from segan_nnunet.training.adversarial_trainer import AdversarialTrainer


class AdversarialDiceTrainer(AdversarialTrainer):
    """The objective, optimiser and clamp of the authors' released code, on the paper's networks.

    Soft Dice beside the distance, one mean over the features of all layers, Adam for both players, every parameter of
    the critics clamped at 0.05. The released networks are others: they were made for another data set (ISIC), with more
    blocks and no biases; and there the rate is halved, and Adam begun anew, every 25 epochs.
    """

    optimizer_class = torch.optim.Adam
    optimizer_settings = {"betas": (0.5, 0.999)}
    initial_lr = 2e-4
    critic_initial_lr = 2e-4
    critic_clamp = 0.05
    critic_batch_norm_clamp = 0.05
    critic_batch_norm_eps = BATCH_NORM_EPS
    distances = staticmethod(concatenated_distances)

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """The soft Dice distance, which S minimises beside Eq. 2."""
        return soft_dice_distance(predicted, truth)
