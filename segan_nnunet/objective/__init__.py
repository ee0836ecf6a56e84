from segan_nnunet.objective.beside import LossBeside, add_gradient
from segan_nnunet.objective.label_space import LabelSpace
from segan_nnunet.objective.multiscale_l1 import (
    CriticDistance,
    Critics,
    Distances,
    layer_distances,
    mask_image,
    relative_distances,
    rescale_intensities,
)
from segan_nnunet.objective.released import concatenated_distances, soft_dice_distance

__all__ = [
    "Critics",
    "Distances",
    "LabelSpace",
    "LossBeside",
    "CriticDistance",
    "add_gradient",
    "concatenated_distances",
    "layer_distances",
    "mask_image",
    "relative_distances",
    "rescale_intensities",
    "soft_dice_distance",
]
