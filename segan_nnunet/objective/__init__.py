from segan_nnunet.objective.beside import LossBeside, add_gradient
from segan_nnunet.objective.game import (
    Critics,
    Distances,
    MaskedCritic,
    SegmentorLoss,
    clamp_weights,
    gradient_shares,
    layer_gradients,
)
from segan_nnunet.objective.label_space import LabelSpace
from segan_nnunet.objective.multiscale_l1 import (
    concatenated_distances,
    layer_distances,
    mask_image,
    relative_distances,
    rescale_intensities,
)
from segan_nnunet.objective.soft_dice import soft_dice_distance

__all__ = [
    "Critics",
    "Distances",
    "LabelSpace",
    "LossBeside",
    "MaskedCritic",
    "SegmentorLoss",
    "add_gradient",
    "clamp_weights",
    "concatenated_distances",
    "gradient_shares",
    "layer_distances",
    "layer_gradients",
    "mask_image",
    "relative_distances",
    "rescale_intensities",
    "soft_dice_distance",
]
