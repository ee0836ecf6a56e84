from segan_nnunet.objective.game import CriticPerRegion, Critics, JointCritic, SegmentorLoss, clamp_weights
from segan_nnunet.objective.label_space import LabelSpace
from segan_nnunet.objective.multiscale_l1 import (
    layer_distances,
    mask_image,
    mask_image_jointly,
    rescale_intensities,
)
from segan_nnunet.objective.soft_dice import soft_dice_distance

__all__ = [
    "CriticPerRegion",
    "Critics",
    "JointCritic",
    "LabelSpace",
    "SegmentorLoss",
    "clamp_weights",
    "layer_distances",
    "mask_image",
    "mask_image_jointly",
    "rescale_intensities",
    "soft_dice_distance",
]
