from segan_nnunet.objective.game import CriticPerRegion, SegmentorLoss, clamp_weights
from segan_nnunet.objective.label_space import LabelSpace
from segan_nnunet.objective.multiscale_l1 import layer_distances, mask_image, rescale_intensities

__all__ = [
    "CriticPerRegion",
    "LabelSpace",
    "SegmentorLoss",
    "clamp_weights",
    "layer_distances",
    "mask_image",
    "rescale_intensities",
]
