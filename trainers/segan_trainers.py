"""The trainers of the paper, for `nnUNetv2_train ... -tr NAME`.

A trainer of your own is a class of three lines in a file like this one, in a folder of yours that is added to
nnUNet_extTrainer (README, "A trainer of your own").
"""

from segan_nnunet.training import AdversarialTrainer, ShortSchedule, SoftmaxTrainer


class SegANTrainer(AdversarialTrainer):
    """The paper's SegAN, S3-3C: one segmentor, a critic per region, RMSProp at 2e-5, weights clamped to 0.01."""


class SegANTrainer_short(ShortSchedule, SegANTrainer):
    """SegAN in 600 steps at 1e-3, for laptops, the demo and tests."""


class UNetSoftmaxTrainer(SoftmaxTrainer):
    """The paper's U-net baseline: as SegANTrainer, with the softmax loss in place of the multi-scale loss."""


class UNetSoftmaxTrainer_short(ShortSchedule, UNetSoftmaxTrainer):
    """The U-net baseline in 600 steps at 1e-3."""
