"""The trainer SegANTrainer_short_clampAll of the README of this study."""

from segan_nnunet.objective import layer_distances
from segan_nnunet.training import AdversarialTrainer, ShortSchedule


class SegANTrainer_short_clampAll(ShortSchedule, AdversarialTrainer):
    """SegANTrainer_short with Eq. 3's mean distances and the critics' batch norm clamped like their convolutions."""

    critic_batch_norm_clamp = AdversarialTrainer.critic_clamp
    distances = staticmethod(layer_distances)
