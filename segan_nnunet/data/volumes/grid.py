"""Where voxels lie, and when two grids are the same."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-3  # of a spacing, and of a direction cosine: more than the rounding of headers
OFFSET = 0.01  # of the smallest spacing: an origin this far away is the rounding of a registration tool
ORIGIN_DIGITS = 1e-6  # of an origin: NIfTI stores origins in single precision
FIELDS = ("size", "spacing", "origin", "direction")


@dataclass(frozen=True)
class VoxelGrid:
    """Where voxels lie, in ITK's order x, y, z.

    Attributes:
        size: voxels per axis.
        spacing: mm; 1 where the file does not say it.
        origin: of the first voxel's centre, mm.
        direction: cosines, row by row.
        has_spacing: whether the file says its spacing.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    has_spacing: bool = field(default=True, compare=False)

    @property
    def slack_mm(self) -> float:
        """How far apart two origins are that count as the same, in mm."""
        return OFFSET * min(self.spacing) + ORIGIN_DIGITS * max(map(abs, self.origin))

    def differences(self, other: "VoxelGrid") -> list[str]:
        """Return the names of the fields that differ by more than the rounding of headers."""
        own, theirs = self.with_spacing_of(other), other.with_spacing_of(self)
        return [name for name in FIELDS if not own.agrees(theirs, name)]

    def agrees(self, other: "VoxelGrid", name: str) -> bool:
        """Whether a field of two grids is the same but for rounding."""
        own, theirs = getattr(self, name), getattr(other, name)
        if name == "size" or len(own) != len(theirs):
            return own == theirs
        relative = TOLERANCE if name == "spacing" else 0
        absolute = {"spacing": 0.0, "origin": other.slack_mm, "direction": TOLERANCE}[name]
        return np.allclose(own, theirs, rtol=relative, atol=absolute)

    def with_spacing_of(self, other: "VoxelGrid") -> "VoxelGrid":
        """Return the grid with the spacing of another one, if only that one says its spacing."""
        unknown = not self.has_spacing and other.has_spacing
        return replace(self, spacing=other.spacing, has_spacing=True) if unknown else self

    def is_nnunet_s(self, other: "VoxelGrid") -> bool:
        """Whether nnU-Net takes the two for the same: its tolerance is numpy's, and relative."""
        return not self.differences(other) and np.allclose(self.spacing, other.spacing)


@dataclass(frozen=True)
class Volume:
    """An image or a segmentation.

    Attributes:
        path: its file.
        voxels: in numpy's order, the last axis x.
        grid: where they lie.
    """

    path: Path
    voxels: NDArray
    grid: VoxelGrid

    def on(self, grid: VoxelGrid) -> NDArray | None:
        """The voxels in another grid's order, if it has the same voxel centres under flips and swaps of axes."""
        axes = len(self.grid.size)
        if len(grid.size) != axes:
            return None
        mine, grid = self.grid.with_spacing_of(grid), grid.with_spacing_of(self.grid)
        own, theirs = (np.reshape(one.direction, (axes, axes)) for one in (mine, grid))
        turn = theirs.T @ own  # column j: own axis j, seen from the other grid
        signed = np.round(turn)
        if not (np.allclose(turn, signed, atol=TOLERANCE) and (np.abs(signed).sum(0) == 1).all()):
            return None
        order = np.abs(signed).argmax(1)  # own axis that lies along each of the other's
        flips = [axis for axis in range(axes) if signed[axis, order[axis]] < 0]
        corner = np.zeros(axes)  # own index of the voxel that becomes the first
        corner[order[flips]] = np.array(mine.size)[order[flips]] - 1
        turned = VoxelGrid(
            tuple(np.array(mine.size)[order].tolist()),
            tuple(np.array(mine.spacing)[order].tolist()),
            tuple((np.array(mine.origin) + own @ (corner * np.array(mine.spacing))).tolist()),
            grid.direction,
        )
        # a header's rounding of spacing and cosines adds up, from one corner of the volume to the other
        extent = np.array(grid.size) * np.array(grid.spacing)
        rounding = np.abs(np.subtract(turned.spacing, grid.spacing)) @ np.array(grid.size)
        slack = grid.slack_mm + rounding + np.abs(own - theirs @ signed).max() * extent.sum()
        if set(turned.differences(grid)) - {"origin"} or np.abs(np.subtract(turned.origin, grid.origin)).max() > slack:
            return None
        x_first = self.voxels.T.transpose(order)
        return np.ascontiguousarray(np.flip(x_first, tuple(flips)).T)
