"""Voxel grids: where voxels lie, and when two grids are the same."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

TOLERANCE = 1e-3  # of a spacing (relative) and of a direction cosine: headers round by less
OFFSET = 0.01  # of the smallest spacing: registration tools round origins by less
ORIGIN_DIGITS = 1e-6  # of an origin: NIfTI stores origins in single precision


@dataclass(frozen=True)
class VoxelGrid:
    """Where voxels lie, in ITK's order x, y, z.

    Attributes:
        size: voxels per axis.
        spacing: mm; 1 if the file has no spacing.
        origin: centre of the first voxel, mm.
        direction: cosines, row by row.
        has_spacing: whether the file has a spacing.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    has_spacing: bool = field(default=True, compare=False)

    @property
    def cosines(self) -> NDArray:
        """Direction cosines, a column per axis."""
        return np.reshape(self.direction, (len(self.size), len(self.size)))

    @property
    def affine(self) -> NDArray:
        """Matrix from voxel indices x, y, z, 1 to mm."""
        axes = len(self.size)
        affine = np.eye(axes + 1)
        affine[:axes, :axes] = self.cosines * self.spacing
        affine[:axes, axes] = self.origin
        return affine

    @property
    def slack_mm(self) -> float:
        """Largest distance between two origins that count as the same, in mm."""
        return OFFSET * min(self.spacing) + ORIGIN_DIGITS * max(map(abs, self.origin))

    def differences(self, other: "VoxelGrid") -> list[str]:
        """Return the names of the fields that differ by more than the rounding of headers."""
        own, theirs = self.with_spacing_of(other), other.with_spacing_of(self)
        if len(own.size) != len(theirs.size):
            return ["size", "spacing", "origin", "direction"]
        agrees = {
            "size": own.size == theirs.size,
            "spacing": np.allclose(own.spacing, theirs.spacing, rtol=TOLERANCE, atol=0),
            "origin": np.allclose(own.origin, theirs.origin, rtol=0, atol=theirs.slack_mm),
            "direction": np.allclose(own.direction, theirs.direction, rtol=0, atol=TOLERANCE),
        }
        return [name for name, same in agrees.items() if not same]

    def with_spacing_of(self, other: "VoxelGrid") -> "VoxelGrid":
        """Return the grid with the spacing of another grid if only the other grid's file has one."""
        is_unknown = not self.has_spacing and other.has_spacing
        return replace(self, spacing=other.spacing, has_spacing=True) if is_unknown else self

    def matches_nnunet_grid(self, other: "VoxelGrid") -> bool:
        """Return whether nnU-Net takes two grids for the same. Its tolerance is numpy's relative one."""
        return not self.differences(other) and np.allclose(self.spacing, other.spacing)


@dataclass(frozen=True)
class Volume:
    """An image or a segmentation.

    Attributes:
        path: its file.
        voxels: in numpy's order, the last axis is x.
        grid: where they lie.
    """

    path: Path
    voxels: NDArray
    grid: VoxelGrid

    def on(self, grid: VoxelGrid) -> NDArray | None:
        """Return the voxels in the order of a grid's axes; None if the grid has other voxel centres.

        Flipped and swapped axes are turned. Voxel centres may differ by the rounding of headers.
        """
        axes = len(grid.size)
        if len(self.grid.size) != axes:
            return None
        own, grid = self.grid.with_spacing_of(grid), grid.with_spacing_of(self.grid)
        turn = ornt_transform(io_orientation(own.affine), io_orientation(grid.affine))
        voxels = apply_orientation(self.voxels.T, turn).T
        turned = own.affine @ inv_ornt_aff(turn, own.size)
        spacing = np.linalg.norm(turned[:axes, :axes], axis=0)
        cosine_error = np.abs(turned[:axes, :axes] / spacing - grid.cosines).max()
        if voxels.shape[::-1] != grid.size or not np.allclose(spacing, grid.spacing, rtol=TOLERANCE, atol=0):
            return None
        # rounding errors of spacing and cosines add up from one corner of the volume to the other
        rounding = np.abs(spacing - grid.spacing) @ grid.size + cosine_error * np.dot(grid.size, grid.spacing)
        offset = np.abs(turned[:axes, axes] - grid.origin).max()
        if cosine_error > TOLERANCE or offset > grid.slack_mm + rounding:
            return None
        return np.ascontiguousarray(voxels)

    def on_or_as_stored(self, grid: VoxelGrid) -> NDArray:
        """Return the voxels in the order of a grid's axes, or as they are stored if only their header is wrong."""
        voxels = self.on(grid)
        return self.voxels if voxels is None else voxels
