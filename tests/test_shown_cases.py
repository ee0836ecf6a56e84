"""Cases are shown upright, front at the top and the patient's right on the left, for every stored orientation."""

import numpy as np

from segan_nnunet.data.volumes import VoxelGrid
from segan_nnunet.evaluation.presentation.figures.style import REGION_COLOURS, region_colours
from segan_nnunet.evaluation.presentation.shown_cases import upright
from tests.hand_made import every_turn

UPRIGHT = VoxelGrid((5, 4, 3), (1.0, 2.0, 3.0), (-7.0, 8.0, 9.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
VOXELS = np.arange(60).reshape(3, 4, 5)


def test_every_orientation_is_shown_in_the_same_way() -> None:
    for stored in every_turn(VOXELS, UPRIGHT):
        assert upright(stored.grid).differences(UPRIGHT) == []
        shown = stored.on(upright(stored.grid))
        assert shown is not None
        np.testing.assert_array_equal(shown, VOXELS)


def test_a_tilted_grid_is_shown_in_the_nearest_orientation() -> None:
    tilted = VoxelGrid((5, 4, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.0, -0.8, 0.6, 1.0, 0.0, 0.0, 0.0, 0.6, 0.8))
    turned = np.reshape(upright(tilted).direction, (3, 3))
    assert (np.diag(turned) > 0.7).all() and upright(tilted).size == (4, 5, 3)


def test_every_region_has_a_colour() -> None:
    names = [f"region {index}" for index in range(len(REGION_COLOURS) + 2)]
    assert list(region_colours(names)) == names
