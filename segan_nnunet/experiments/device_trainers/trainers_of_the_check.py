"""Trainers of `benchmark -o`, each 2,000 steps: SegAN, its softmax twin, nnU-Net's own, and critics beside it."""

from segan_nnunet.training import AdversarialTrainer, CriticBesideTrainer, ShortSchedule, SoftmaxTrainer


class Longer(ShortSchedule):
    """The short schedule's 600 steps made 2,000."""

    num_epochs = 40
    save_every = 10


class SegAN2000(Longer, AdversarialTrainer):
    """SegANTrainer_short, longer."""


class Softmax2000(Longer, SoftmaxTrainer):
    """UNetSoftmaxTrainer_short, longer."""


class Beside2000(Longer, CriticBesideTrainer):
    """nnUNetTrainerSegAN_short, longer."""

    initial_lr = 1e-2
    lr_decay_exponent = CriticBesideTrainer.lr_decay_exponent  # of the critics


class Without2000(Beside2000):
    """The same without the critics: nnU-Net's training, as a test shows."""

    critic_fraction = 0.0
