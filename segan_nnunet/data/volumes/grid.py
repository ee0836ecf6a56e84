"""Where voxels lie, and when two grids are the same."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-3  # mm for spacing and origin, cosines for direction: more than headers' rounding, less than a voxel


@dataclass(frozen=True)
class VoxelGrid:
    """Where voxels lie, in ITK's order x, y, z.

    Attributes:
        size: voxels per axis.
        spacing: mm.
        origin: of the first voxel's centre, mm.
        direction: cosines, row by row.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    def differences(self, other: "VoxelGrid") -> list[str]:
        """Names of what differs by more than a header's rounding."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return [
            name
            for name, own, theirs in pairs
            if len(own) != len(theirs) or not np.allclose(own, theirs, rtol=0, atol=0 if name == "size" else TOLERANCE)
        ]

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
        own, theirs = (np.reshape(one.direction, (axes, axes)) for one in (self.grid, grid))
        turn = theirs.T @ own  # column j: own axis j, seen from the other grid
        signed = np.round(turn)
        if not (np.allclose(turn, signed, atol=TOLERANCE) and (np.abs(signed).sum(0) == 1).all()):
            return None
        order = np.abs(signed).argmax(1)  # own axis that lies along each of the other's
        flips = [axis for axis in range(axes) if signed[axis, order[axis]] < 0]
        corner = np.zeros(axes)  # own index of the voxel that becomes the first
        corner[order[flips]] = np.array(self.grid.size)[order[flips]] - 1
        turned = VoxelGrid(
            tuple(np.array(self.grid.size)[order].tolist()),
            tuple(np.array(self.grid.spacing)[order].tolist()),
            tuple((np.array(self.grid.origin) + own @ (corner * np.array(self.grid.spacing))).tolist()),
            grid.direction,
        )
        # a header's rounding of spacing and cosines adds up, from one corner of the volume to the other
        extent = np.array(grid.size) * np.array(grid.spacing)
        rounding = np.abs(np.subtract(turned.spacing, grid.spacing)) @ np.array(grid.size)
        slack = TOLERANCE + rounding + np.abs(own - theirs @ signed).max() * extent.sum()
        if set(turned.differences(grid)) - {"origin"} or np.abs(np.subtract(turned.origin, grid.origin)).max() > slack:
            return None
        x_first = self.voxels.T.transpose(order)
        return np.ascontiguousarray(np.flip(x_first, tuple(flips)).T)
