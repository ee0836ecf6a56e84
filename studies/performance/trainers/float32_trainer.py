"""The trainer of ../precision.sh: SegANTrainer without autocast. Suffixes such as _short_seed3 go behind its name."""

from segan_trainers import SegANTrainer


class SegANTrainer_float32(SegANTrainer):
    """SegANTrainer in float32 on every device."""

    def initialize(self) -> None:
        """Leave autocast out."""
        super().initialize()
        self.autocast_dtype = None
