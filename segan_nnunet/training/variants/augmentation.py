"""The paper's augmentation, to put in front of a trainer: `class MyTrainer_PaperDA(PaperAugmentation, MyTrainer)`."""

from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoDA import nnUNetTrainerNoDA


class PaperAugmentation(nnUNetTrainerNoDA):
    """Random crops of the planned patch and nothing else (Section 3): no mirroring in inference either.

    The crops are random everywhere: nnU-Net's oversampling of foreground, a kind of augmentation too, is off.
    """

    oversample_foreground_percent = 0.0
