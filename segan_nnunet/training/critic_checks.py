"""Whether a plan leaves a critic something to look at: said before the training, not by an error in its first step."""

import math
from collections.abc import Sequence

from segan_nnunet.errors import InputError
from segan_nnunet.networks.critic import PAPER_CRITIC_FEATURES


def check_critic_fits(features: Sequence[int], layers: Sequence[int], patch: Sequence[int], batch_size: int) -> None:
    """Check that the critic's blocks have widths, voxels and a variance.

    Args:
        features: feature maps of the critic's blocks, as far as the planned network has stages.
        layers: the critic's layers that are compared; it has as many blocks as the last one's number.
        patch: voxels per axis.
        batch_size: samples per step.

    Raises:
        InputError: the planned network has fewer stages than the critic has blocks; the patch, or the batch of such
            patches, is too small for them.
    """
    blocks = max(layers, default=0)
    size = " x ".join(map(str, patch))
    if len(features) < blocks <= len(PAPER_CRITIC_FEATURES):
        raise InputError(
            f"the planned network has {len(features)} stages, and the critic takes its widths from the first "
            f"{blocks}. Plan a deeper one (a larger patch), or give the widths in a subclass: critic_features()."
        )
    if min(patch) < 2**blocks:
        raise InputError(
            f"the planned patch {size} is too small: the critic halves every axis {blocks} times and needs "
            f"{2**blocks} voxels. Plan a larger one: segan_nnunet plan --patch-size"
        )
    if blocks > 1 and batch_size * math.prod(axis // 2**blocks for axis in patch) < 2:
        raise InputError(
            f"a batch of {batch_size} with the patch {size} leaves a single value per feature in the critic's last "
            "block, of which batch norm has no variance. Plan a larger batch or patch: segan_nnunet plan "
            "--batch-size, --patch-size"
        )
