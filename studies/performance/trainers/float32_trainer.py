"""The trainer of ../precision.sh: SegANTrainer without autocast. Its name takes suffixes such as _short_seed3."""

from segan_trainers import SegANTrainer


class SegANTrainer_float32(SegANTrainer):
    """SegANTrainer in float32 on every device."""

    def initialize(self) -> None:
        """Switch autocast off."""
        super().initialize()
        self.autocast_dtype = None
