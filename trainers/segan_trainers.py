"""The trainers of the paper, for `nnUNetv2_train ... -tr NAME` (docs/trainers.md). The game is in `training/segan.py`.

To change the distance of Eq. 3, override `distances` in a subclass. To add a term to S's loss, override `further_loss`.
Your own trainer is a class of three lines in a file like this one. Put the file into a folder of yours and add the
folder to nnUNet_extTrainer (docs/trainers.md, "Your own trainer"). There `from segan_trainers import SegANTrainer`
works.
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
    """SegAN with bounded critics, as the paper's proof requires, and with relative distances. Recommended.

    It differs from the paper in four points: relative distances, bias-corrected RMSProp, C's batch norm with a clamp of
    1 and an eps of 1e-2, and images in [0.1, 1]. `SegANTrainer_asPublished` undoes them. See docs/method.md for the
    reasons.
    """


class SegANTrainer_asPublished(SegANTrainer):
    """SegAN as the paper states it: Eq. 3's mean absolute differences, RMSProp at 2e-5, all of C clamped to 0.01."""

    distances = staticmethod(layer_distances)
    optimizer_class = torch.optim.RMSprop
    optimizer_settings = {}  # torch's defaults
    initial_lr = critic_initial_lr = 2e-5
    critic_clamp = critic_batch_norm_clamp = 0.01
    critic_batch_norm_eps = BATCH_NORM_EPS
    lowest_intensity = 0.0


class SegANDiceTrainer(AdversarialTrainer):
    """The objective of the authors' released code: soft Dice and one mean over all features; Adam, C clamped to 0.05.

    The networks here are Figure 1's. The released networks were made for another dataset (ISIC), and have more blocks
    and no biases. The released code also halves the rate and restarts Adam every 25 epochs, and this trainer does not.
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
    """The paper's U-net baseline: SegANTrainer with the softmax loss in place of the multi-scale loss."""


class UNetDiceCETrainer(PaperTrainer):
    """UNetSoftmaxTrainer with nnU-Net's loss, Dice and cross-entropy, in place of softmax."""


# --- The paper's ablations (Section 3.1), with SegANTrainer's settings


class SegANTrainer_S1_1C(SeparateTrainer):
    """S1-1C: a separate segmentor and critic for each region."""


class SegANTrainer_S3_1C(SegANTrainer):
    """S3-1C: one critic that sees the masked images of all regions, concatenated."""

    def region_groups(self) -> dict[str, list[int]]:
        """Return one group with all regions."""
        return {"all regions": list(range(self.label_space.num_maps))}


class SegANTrainer_s0(SegANTrainer):
    """S3-3C-s0: the distance at layer 0 only, between the masked images. The critics have no weights."""

    critic_layers = (0,)


class SegANTrainer_s3(SegANTrainer):
    """S3-3C-s3: the distance at the critic's last layer only."""

    critic_layers = (3,)


# --- Controls for the parts of SegAN


class SegANTrainer_frozen(SegANTrainer):
    """SegAN without its adversary: the critics keep their initial, clamped weights, so the distance is fixed."""

    critic_learns = False


class SegANTrainer_Eq3(SegANTrainer):
    """SegANTrainer with Eq. 3 as published: mean absolute differences of the features."""

    distances = staticmethod(layer_distances)


class SegANTrainer_concatenated(SegANTrainer):
    """SegANTrainer with the authors' weighting of layers: one mean over all features, concatenated and scaled."""

    distances = staticmethod(concatenated_distances)


# --- nnU-Net's own recipe, with the critics beside its loss


class nnUNetTrainerSegAN(CriticBesideTrainer):
    """nnU-Net's training with critics beside its loss. The fraction of their gradient falls from 1 to 0."""


class nnUNetTrainerSegAN_frozen(CriticBesideTrainer):
    """nnUNetTrainerSegAN whose critics keep their initial, clamped weights: a fixed distance."""

    critic_learns = False


# --- Short schedules with other settings than the suffix _short


class SegANDiceTrainer_short(ShortSchedule, SegANDiceTrainer):
    """SegANDiceTrainer in 600 steps, at its own rate: Adam needs no larger rate."""

    initial_lr = SegANDiceTrainer.initial_lr
    critic_initial_lr = SegANDiceTrainer.critic_initial_lr


class nnUNetTrainerSegAN_short(ShortSchedule, nnUNetTrainerSegAN):
    """nnUNetTrainerSegAN in 600 steps, at nnU-Net's own rate and decay."""

    initial_lr = 1e-2
    lr_decay_exponent = nnUNetTrainerSegAN.lr_decay_exponent  # of the critics


# --- Suffixes: SegANTrainer_PaperDA, SegANTrainer_short, SegANTrainer_50epochs, SegANTrainer_PaperDA_short_seed3 ...


def __getattr__(name: str) -> type:
    """Compose a trainer with suffixes that nnU-Net asks for and this file does not define (docs/trainers.md)."""
    return composed_trainer(name, globals())
