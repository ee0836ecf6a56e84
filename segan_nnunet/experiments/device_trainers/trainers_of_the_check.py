"""Trainers of `benchmark -o` with 2,000 steps each: SegAN, its softmax twin, nnU-Net, and nnU-Net with critics."""

from segan_nnunet.training import AdversarialTrainer, CriticBesideTrainer, ShortSchedule, SoftmaxTrainer


class Longer(ShortSchedule):
    """The short schedule with 2,000 instead of 600 steps."""

    num_epochs = 40
    save_every = 10


class SegAN2000(Longer, AdversarialTrainer):
    """SegANTrainer_short with 2,000 steps."""


class Softmax2000(Longer, SoftmaxTrainer):
    """UNetSoftmaxTrainer_short with 2,000 steps."""


class Beside2000(Longer, CriticBesideTrainer):
    """nnUNetTrainerSegAN_short with 2,000 steps."""

    initial_lr = 1e-2
    lr_decay_exponent = CriticBesideTrainer.lr_decay_exponent  # of the critics


class Without2000(Beside2000):
    """Beside2000 without the critics' gradient. A test shows that this is nnU-Net's training."""

    critic_fraction = 0.0
