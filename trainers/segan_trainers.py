"""The trainers of the paper, for `nnUNetv2_train ... -tr NAME` (docs/trainers.md).

A trainer of your own is a class of three lines in a file like this one, in a folder of yours that is added to
nnUNet_extTrainer (README, "A trainer of your own").
"""

from segan_nnunet.objective import concatenated_distances, layer_distances
from segan_nnunet.training import (
    AdversarialDiceTrainer,
    AdversarialTrainer,
    PaperAugmentation,
    SeparateTrainer,
    ShortSchedule,
    SoftmaxTrainer,
    other_lengths,
    seeded_trainer,
)

# --- The paper's method, its baseline, and its ablations (Section 3.1)


class SegANTrainer(AdversarialTrainer):
    """The paper's SegAN, S3-3C: one segmentor, a critic per region, RMSProp at 2e-5, critics clamped to 0.01."""


class UNetSoftmaxTrainer(SoftmaxTrainer):
    """The paper's U-net baseline: as SegANTrainer, with the softmax loss in place of the multi-scale loss."""


class SegANTrainer_S1_1C(SeparateTrainer):
    """S1-1C: a separate segmentor and critic for each region."""


class SegANTrainer_S3_1C(SegANTrainer):
    """S3-1C: one critic, which looks at the masked images of all regions at once."""

    def region_groups(self) -> dict[str, list[int]]:
        """All regions, for the one critic."""
        return {"all regions": list(range(self.label_space.num_maps))}


class SegANTrainer_s0(SegANTrainer):
    """S3-3C-s0: the distance at layer 0 alone, the masked images themselves; such a critic has nothing to learn."""

    critic_layers = (0,)


class SegANTrainer_s3(SegANTrainer):
    """S3-3C-s3: the distance at the critic's last layer alone."""

    critic_layers = (3,)


class SegANDiceTrainer(AdversarialDiceTrainer):
    """The authors' released objective: soft Dice and one mean over all features; Adam 2e-4, all clamped to 0.05."""


# --- What SegAN is made of: controls for its parts


class SegANTrainer_frozen(SegANTrainer):
    """Critics that stay as they were drawn: a fixed multi-scale distance. The difference to SegAN is the adversary."""

    critic_learns = False


class SegANTrainer_Eq3(SegANTrainer):
    """Eq. 3 as it stands: the mean absolute differences of the features, however large a layer's features are."""

    distances = staticmethod(layer_distances)


class SegANTrainer_concatenated(SegANTrainer):
    """The authors' weighting of layers: one mean over the features of all layers, concatenated and scaled."""

    distances = staticmethod(concatenated_distances)


# --- The paper's augmentation: a random crop of the planned size, without nnU-Net's oversampling of foreground


class SegANTrainer_PaperDA(PaperAugmentation, SegANTrainer):
    """SegANTrainer with the paper's augmentation."""


class UNetSoftmaxTrainer_PaperDA(PaperAugmentation, UNetSoftmaxTrainer):
    """UNetSoftmaxTrainer with the paper's augmentation."""


class SegANTrainer_S1_1C_PaperDA(PaperAugmentation, SegANTrainer_S1_1C):
    """S1-1C with the paper's augmentation."""


class SegANTrainer_S3_1C_PaperDA(PaperAugmentation, SegANTrainer_S3_1C):
    """S3-1C with the paper's augmentation."""


class SegANTrainer_s0_PaperDA(PaperAugmentation, SegANTrainer_s0):
    """S3-3C-s0 with the paper's augmentation."""


class SegANTrainer_s3_PaperDA(PaperAugmentation, SegANTrainer_s3):
    """S3-3C-s3 with the paper's augmentation."""


# --- Short schedules, for laptops, the demo and tests


class SegANTrainer_short(ShortSchedule, SegANTrainer):
    """SegAN in 600 steps at 1e-3."""


class UNetSoftmaxTrainer_short(ShortSchedule, UNetSoftmaxTrainer):
    """The U-net baseline in 600 steps at 1e-3."""


class SegANTrainer_S1_1C_short(ShortSchedule, SegANTrainer_S1_1C):
    """S1-1C in 600 steps at 1e-3."""


class SegANTrainer_S3_1C_short(ShortSchedule, SegANTrainer_S3_1C):
    """S3-1C in 600 steps at 1e-3."""


class SegANTrainer_s0_short(ShortSchedule, SegANTrainer_s0):
    """S3-3C-s0 in 600 steps at 1e-3."""


class SegANTrainer_s3_short(ShortSchedule, SegANTrainer_s3):
    """S3-3C-s3 in 600 steps at 1e-3."""


class SegANDiceTrainer_short(ShortSchedule, SegANDiceTrainer):
    """The released objective in 600 steps, at its own rate: Adam needs no larger one."""

    initial_lr = SegANDiceTrainer.initial_lr
    critic_initial_lr = SegANDiceTrainer.critic_initial_lr


class SegANTrainer_frozen_short(ShortSchedule, SegANTrainer_frozen):
    """SegAN without an adversary in 600 steps at 1e-3."""


class SegANTrainer_Eq3_short(ShortSchedule, SegANTrainer_Eq3):
    """Eq. 3 as it stands in 600 steps at 1e-3."""


class SegANTrainer_concatenated_short(ShortSchedule, SegANTrainer_concatenated):
    """The authors' weighting of layers in 600 steps at 1e-3."""


class SegANTrainer_PaperDA_short(ShortSchedule, SegANTrainer_PaperDA):
    """SegAN with the paper's augmentation in 600 steps."""


class UNetSoftmaxTrainer_PaperDA_short(ShortSchedule, UNetSoftmaxTrainer_PaperDA):
    """The U-net baseline with the paper's augmentation in 600 steps."""


class SegANTrainer_S1_1C_PaperDA_short(ShortSchedule, SegANTrainer_S1_1C_PaperDA):
    """S1-1C with the paper's augmentation in 600 steps."""


class SegANTrainer_S3_1C_PaperDA_short(ShortSchedule, SegANTrainer_S3_1C_PaperDA):
    """S3-1C with the paper's augmentation in 600 steps."""


class SegANTrainer_s0_PaperDA_short(ShortSchedule, SegANTrainer_s0_PaperDA):
    """S3-3C-s0 with the paper's augmentation in 600 steps."""


class SegANTrainer_s3_PaperDA_short(ShortSchedule, SegANTrainer_s3_PaperDA):
    """S3-3C-s3 with the paper's augmentation in 600 steps."""


# --- nnU-Net's other lengths: SegANTrainer_50epochs, SegANTrainer_250epochs, and so on

globals().update(
    other_lengths(
        SegANTrainer,
        UNetSoftmaxTrainer,
        SegANTrainer_S1_1C,
        SegANTrainer_S3_1C,
        SegANTrainer_s0,
        SegANTrainer_s3,
        SegANDiceTrainer,
        SegANTrainer_frozen,
        SegANTrainer_Eq3,
        SegANTrainer_concatenated,
        SegANTrainer_PaperDA,
        UNetSoftmaxTrainer_PaperDA,
    )
)


# --- Seeds: NAME_seed3 of any trainer, ours, nnU-Net's or yours (docs/trainers.md)


def __getattr__(name: str) -> type:
    """Make what nnU-Net asks for and this file does not define."""
    return seeded_trainer(name, globals())
