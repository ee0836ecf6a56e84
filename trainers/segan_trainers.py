"""The trainers of the paper, for `nnUNetv2_train ... -tr NAME` (docs/trainers.md). The game is in `training/segan.py`.

To change the distance of Eq. 3, give a subclass other `distances`. To add a term to S's loss, override `further_loss`.
A trainer of your own is a class of three lines in a file like this one, in a folder of yours that is added to
nnUNet_extTrainer (docs/trainers.md, "A trainer of your own"). There `from segan_trainers import SegANTrainer` works.
"""

import torch
from torch import Tensor

from segan_nnunet.networks.critic import BATCH_NORM_EPS
from segan_nnunet.objective import concatenated_distances, layer_distances, soft_dice_distance
from segan_nnunet.training import (
    AdversarialTrainer,
    CriticBesideTrainer,
    PaperTrainer,
    SeparateTrainer,
    ShortSchedule,
    SoftmaxTrainer,
    composed_trainer,
)

# --- SegAN (S3-3C), in three forms: docs/method.md compares them with the paper point by point


class SegANTrainer(AdversarialTrainer):
    """SegAN with critics that are bounded, as the paper's proof requires, and with relative distances. Recommended.

    It differs from the paper in what `SegANTrainer_asPublished` sets back, and why is in docs/method.md: relative
    distances, a bias-corrected RMSProp, batch norm of C clamped to 1 and with an eps of 1e-2, images in [0.1, 1].
    """


class SegANTrainer_asPublished(SegANTrainer):
    """SegAN as the paper states it: Eq. 3's mean absolute differences, RMSProp at 2e-5, all of C clamped to 0.01."""

    distances = staticmethod(layer_distances)
    optimizer_class = torch.optim.RMSprop
    optimizer_settings = {}  # torch's own
    initial_lr = critic_initial_lr = 2e-5
    critic_clamp = critic_batch_norm_clamp = 0.01
    critic_batch_norm_eps = BATCH_NORM_EPS
    lowest_intensity = 0.0


class SegANDiceTrainer(AdversarialTrainer):
    """The objective of the authors' released code: soft Dice and one mean over all features; Adam, C clamped to 0.05.

    The released networks were made for another data set (ISIC): they have more blocks and no biases. The code also
    halves the rate, and starts Adam anew, every 25 epochs.
    """

    distances = staticmethod(concatenated_distances)
    optimizer_settings = {"betas": (0.5, 0.999)}
    initial_lr = critic_initial_lr = 2e-4
    critic_clamp = critic_batch_norm_clamp = 0.05
    critic_batch_norm_eps = BATCH_NORM_EPS

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the soft Dice distance, which S minimises in addition to Eq. 2."""
        return soft_dice_distance(predicted, truth)


# --- Baselines (Section 3.2)


class UNetSoftmaxTrainer(SoftmaxTrainer):
    """The paper's U-net baseline: as SegANTrainer, with the softmax loss in place of the multi-scale loss."""


class UNetDiceCETrainer(PaperTrainer):
    """As UNetSoftmaxTrainer with nnU-Net's own loss, Dice and cross-entropy."""


# --- The paper's ablations (Section 3.1), with SegANTrainer's settings


class SegANTrainer_S1_1C(SeparateTrainer):
    """S1-1C: a separate segmentor and critic for each region."""


class SegANTrainer_S3_1C(SegANTrainer):
    """S3-1C: one critic, which sees the masked images of all regions at once."""

    def region_groups(self) -> dict[str, list[int]]:
        """Return all regions, for the one critic."""
        return {"all regions": list(range(self.label_space.num_maps))}


class SegANTrainer_s0(SegANTrainer):
    """S3-3C-s0: the distance at layer 0 alone, of the masked images themselves. No critic has weights, none learns."""

    critic_layers = (0,)


class SegANTrainer_s3(SegANTrainer):
    """S3-3C-s3: the distance at the critic's last layer alone."""

    critic_layers = (3,)


# --- Controls for the parts of SegAN


class SegANTrainer_frozen(SegANTrainer):
    """Critics that keep their initial, clamped weights: a fixed distance. Its difference to SegAN is the adversary."""

    critic_learns = False


class SegANTrainer_Eq3(SegANTrainer):
    """Eq. 3 as published, all else as in SegANTrainer: mean absolute differences of the features."""

    distances = staticmethod(layer_distances)


class SegANTrainer_concatenated(SegANTrainer):
    """The authors' weighting of layers: one mean over the features of all layers, concatenated and scaled."""

    distances = staticmethod(concatenated_distances)


# --- nnU-Net's own recipe, with the critics beside its loss


class nnUNetTrainerSegAN(CriticBesideTrainer):
    """nnU-Net's training with critics beside its loss. Their share of the gradient falls from 1 to 0."""


class nnUNetTrainerSegAN_frozen(CriticBesideTrainer):
    """The same with critics that keep their initial, clamped weights: a fixed distance beside nnU-Net's loss."""

    critic_learns = False


# --- Short forms that are more than the suffix


class SegANDiceTrainer_short(ShortSchedule, SegANDiceTrainer):
    """The released objective in 600 steps, at its own rate: Adam needs no larger one."""

    initial_lr = SegANDiceTrainer.initial_lr
    critic_initial_lr = SegANDiceTrainer.critic_initial_lr


class nnUNetTrainerSegAN_short(ShortSchedule, nnUNetTrainerSegAN):
    """nnUNetTrainerSegAN in 600 steps, at nnU-Net's own rate and decay."""

    initial_lr = 1e-2
    lr_decay_exponent = nnUNetTrainerSegAN.lr_decay_exponent  # of the critics


# --- Suffixes: SegANTrainer_PaperDA, SegANTrainer_short, SegANTrainer_50epochs, SegANTrainer_PaperDA_short_seed3 ...


def __getattr__(name: str) -> type:
    """Make what nnU-Net asks for and this file does not define, from its name (docs/trainers.md)."""
    return composed_trainer(name, globals())
