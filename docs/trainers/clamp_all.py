"""A trainer for one measurement in results.md."""

from segan_nnunet.training import AdversarialTrainer, ShortSchedule


class SegANTrainer_short_clampAll(ShortSchedule, AdversarialTrainer):
    """SegANTrainer_short with the critics' batch norm clamped like their convolutions."""

    critic_batch_norm_clamp = AdversarialTrainer.critic_clamp
