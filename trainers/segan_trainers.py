"""The trainers of the paper, for `nnUNetv2_train ... -tr NAME` (docs/trainers.md).

A trainer of your own is a class of three lines in a file like this one, in a folder of yours that is added to
nnUNet_extTrainer (docs/trainers.md, "A trainer of your own"). There `from segan_trainers import SegANTrainer` works.
"""

from segan_nnunet.objective import concatenated_distances, layer_distances
from segan_nnunet.training import (
    AdversarialDiceTrainer,
    AdversarialTrainer,
    CriticBesideTrainer,
    PluginTrainer,
    SeparateTrainer,
    ShortSchedule,
    SoftmaxTrainer,
    composed_trainer,
)

# --- The paper's method, its baseline, and its ablations (Section 3.1)


class SegANTrainer(AdversarialTrainer):
    """The paper's SegAN, S3-3C: one segmentor, a critic per region, RMSProp at 2e-5, critics clamped to 0.01."""


class UNetSoftmaxTrainer(SoftmaxTrainer):
    """The paper's U-net baseline: as SegANTrainer, with the softmax loss in place of the multi-scale loss."""


class UNetDiceCETrainer(PluginTrainer):
    """As UNetSoftmaxTrainer with nnU-Net's own loss, Dice and cross-entropy."""


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


# --- nnU-Net's own recipe, with the critics beside its loss


class nnUNetTrainerSegAN(CriticBesideTrainer):
    """nnU-Net's training with critics beside its loss, their gradient from all of the loss's own to none of it."""


class nnUNetTrainerSegAN_frozen(CriticBesideTrainer):
    """The same with critics that stay as they were drawn: a fixed multi-scale distance beside nnU-Net's loss."""

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
