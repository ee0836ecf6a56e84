"""A trainer for one measurement in results.md: batch norm clamped too, as the authors' code does."""

from segan_nnunet.training import AdversarialTrainer, ShortSchedule


class SegANTrainer_short_clampAll(ShortSchedule, AdversarialTrainer):
    """SegANTrainer_short with the critics' batch norm clamped like their convolutions."""

    clamp_batch_norm = True
