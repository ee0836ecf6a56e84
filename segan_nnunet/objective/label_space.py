"""Convert nnU-Net's logits and targets to the label maps that mask the image.

B batch, R label maps (regions, or foreground labels), *S space.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelSpace:
    """The layout of a dataset's outputs and targets in nnU-Net.

    With regions, nnU-Net trains one sigmoid map per region. Its targets are masks, the mask of ignored voxels last.
    Without regions, it trains a softmax over background and labels. Its targets are label values.

    Attributes:
        has_regions: whether the dataset has regions.
        num_maps: R.
        ignore_label: the label value of ignored voxels, or None.
    """

    has_regions: bool
    num_maps: int
    ignore_label: int | None = None

    @classmethod
    def of(cls, label_manager: Any) -> "LabelSpace":  # Any: nnU-Net ships no types
        """Read the label space from nnU-Net's LabelManager."""
        maps = label_manager.foreground_regions if label_manager.has_regions else label_manager.foreground_labels
        return cls(label_manager.has_regions, len(maps), label_manager.ignore_label)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return S(x): predicted label maps (B, R, *S) in [0, 1], float32, from the network's logits."""
        logits = logits.float()
        return torch.sigmoid(logits) if self.has_regions else torch.softmax(logits, dim=1)[:, 1:]

    def masks(self, target: Tensor) -> Tensor:
        """Return y: true label maps (B, R, *S), float32 of 0 and 1, from nnU-Net's target."""
        if self.has_regions:
            return target[:, : self.num_maps].float()
        values = torch.arange(1, self.num_maps + 1, device=target.device).view(1, -1, *[1] * (target.ndim - 2))
        return (target == values).float()

    def valid(self, target: Tensor) -> Tensor | None:
        """Return the mask (B, 1, *S) of the voxels that are not ignored, or None if none is ignored."""
        if self.ignore_label is None:
            return None
        return (target[:, -1:] == 0).float() if self.has_regions else (target != self.ignore_label).float()

    def label_maps(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return S(x) and y, both (B, R, *S). They are 0 at ignored voxels, so these add nothing to any gradient."""
        predicted, truth = self.probabilities(logits), self.masks(target)
        valid = self.valid(target)
        return (predicted, truth) if valid is None else (predicted * valid, truth * valid)
