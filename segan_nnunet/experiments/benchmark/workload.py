"""The data and sizes that every candidate gets."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Workload:
    """Images of noise with nested regions.

    Attributes:
        patch: voxels per axis, two or three.
        batch: samples per step.
        width: feature maps of Figure 1's first block.
        channels: number of image channels.
        regions: number of nested regions.
        device: cpu or cuda.
    """

    patch: tuple[int, ...] = (160, 160)
    batch: int = 8
    width: int = 64
    channels: int = 3
    regions: int = 3
    device: str = "cpu"

    def __str__(self) -> str:
        """Return the workload as a heading for the table."""
        patch = "x".join(map(str, self.patch))
        regions = f"{self.regions} region" + "s" * (self.regions != 1)
        return f"{patch}, batch {self.batch}, width {self.width}, {self.channels} channels, {regions}, {self.device}"

    def dataset_json(self) -> dict[str, Any]:
        """Return the content of dataset.json. Region k holds all labels from k on."""
        values = list(range(1, self.regions + 1))
        return {
            "channel_names": {str(channel): f"channel {channel}" for channel in range(self.channels)},
            "labels": {"background": 0, **{f"region {value}": values[value - 1 :] for value in values}},
            "regions_class_order": values,
            "file_ending": ".nii.gz",
        }

    def make_batch(self) -> dict[str, Tensor]:
        """Return images of noise and nested masks in the form of nnU-Net's loader, for a GPU in pinned memory."""
        generator = torch.Generator().manual_seed(0)
        data = torch.randn(self.batch, self.channels, *self.patch, generator=generator)
        depth = torch.randint(0, self.regions + 1, (self.batch, 1, *self.patch), generator=generator)
        batch = {"data": data, "target": torch.cat([depth > region for region in range(self.regions)], 1)}
        return {key: value.pin_memory() for key, value in batch.items()} if self.device == "cuda" else batch
