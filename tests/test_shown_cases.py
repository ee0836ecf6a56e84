"""Cases are shown upright: from front to back, the patient's right on the left, however their files are stored."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from segan_nnunet.data.volumes import Volume, VoxelGrid
from segan_nnunet.evaluation.presentation.figures.style import REGION_COLOURS, region_colours
from segan_nnunet.evaluation.presentation.shown_cases import upright

UPRIGHT = VoxelGrid((5, 4, 3), (1.0, 2.0, 3.0), (-7.0, 8.0, 9.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
VOXELS = np.arange(60).reshape(3, 4, 5)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_orientation_is_shown_as_one(order: tuple[int, int, int]) -> None:
    for signs in product((1, -1), repeat=3):
        size, spacing, axes = np.array(UPRIGHT.size), np.array(UPRIGHT.spacing), list(order)
        corner = np.zeros(3)
        corner[axes] = [(size[axis] - 1) * (sign < 0) for axis, sign in zip(axes, signs, strict=True)]
        stored = VoxelGrid(
            tuple(size[axes].tolist()),
            tuple(spacing[axes].tolist()),
            tuple((np.array(UPRIGHT.origin) + corner * spacing).tolist()),
            tuple((np.eye(3)[:, axes] * signs).ravel().tolist()),
        )
        assert upright(stored).differences(UPRIGHT) == []
        x_first = VOXELS.T.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
        shown = Volume(Path("a"), np.ascontiguousarray(x_first.T), stored).on(upright(stored))
        assert shown is not None
        np.testing.assert_array_equal(shown, VOXELS)


def test_a_tilted_grid_is_turned_to_the_nearest() -> None:
    tilted = VoxelGrid((5, 4, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.0, -0.8, 0.6, 1.0, 0.0, 0.0, 0.0, 0.6, 0.8))
    turned = np.reshape(upright(tilted).direction, (3, 3))
    assert (np.diag(turned) > 0.7).all() and upright(tilted).size == (4, 5, 3)


def test_no_region_is_left_without_a_colour() -> None:
    names = [f"region {index}" for index in range(len(REGION_COLOURS) + 2)]
    assert list(region_colours(names)) == names
