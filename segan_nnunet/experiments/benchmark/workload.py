"""What every candidate is given to do."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Workload:
    """Images of noise, nested regions.

    Attributes:
        patch: voxels per axis, two or three.
        batch: samples per step.
        width: feature maps of Figure 1's first block.
        channels, regions: of the images, and of the truth.
        device: cpu or cuda.
    """

    patch: tuple[int, ...] = (160, 160)
    batch: int = 8
    width: int = 64
    channels: int = 3
    regions: int = 3
    device: str = "cpu"

    def __str__(self) -> str:
        """In words, for the table."""
        patch = "x".join(map(str, self.patch))
        regions = f"{self.regions} region" + "s" * (self.regions != 1)
        return f"{patch}, batch {self.batch}, width {self.width}, {self.channels} channels, {regions}, {self.device}"

    def dataset_json(self) -> dict[str, Any]:
        """The dataset as nnU-Net describes it: region k is all labels from k on."""
        values = list(range(1, self.regions + 1))
        return {
            "channel_names": {str(channel): f"channel {channel}" for channel in range(self.channels)},
            "labels": {"background": 0, **{f"region {value}": values[value - 1 :] for value in values}},
            "regions_class_order": values,
            "file_ending": ".nii.gz",
        }

    def make_batch(self) -> dict[str, Tensor]:
        """Images of noise and nested masks, as nnU-Net's loader gives them: for a GPU in pinned memory."""
        generator = torch.Generator().manual_seed(0)
        data = torch.randn(self.batch, self.channels, *self.patch, generator=generator)
        depth = torch.randint(0, self.regions + 1, (self.batch, 1, *self.patch), generator=generator)
        made = {"data": data, "target": torch.cat([depth > region for region in range(self.regions)], 1)}
        return {key: value.pin_memory() for key, value in made.items()} if self.device == "cuda" else made
