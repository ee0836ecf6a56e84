"""A segmentor per label map (S1-1C of Section 3.1), as the one network that nnU-Net trains and predicts with."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SeparateSegmentors(nn.Module):
    """Networks of one output each, side by side.

    They share nothing, so that no region's gradient reaches another region's segmentor. (With plain labels the softmax
    over all outputs, which nnU-Net applies, couples them again.)

    Shapes: (B, C, *S) -> logits (B, number of segmentors, *S).

    Args:
        segmentors: one network per output map, each (B, C, *S) -> (B, 1, *S).
    """

    def __init__(self, segmentors: Sequence[nn.Module]) -> None:
        super().__init__()
        self.segmentors = nn.ModuleList(segmentors)

    def planned_networks(self) -> list[nn.Module]:
        """The networks that nnU-Net planned, which pretrained weights are for."""
        return list(self.segmentors)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, *S) to the logits of all label maps."""
        return torch.cat([segmentor(x) for segmentor in self.segmentors], dim=1)
