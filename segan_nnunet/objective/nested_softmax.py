"""The softmax loss of the paper's baseline, on nested regions.

BRATS regions nest: whole ⊃ core ⊃ enhancing. R nested regions, the outermost first, define R + 1 exclusive classes.
Class 0 is background, and a voxel of class k is in the first k regions only. The background's logit is fixed at 0, so R
class logits z_1..z_R define a softmax over all classes. Region r is the union of the classes k >= r.

B batch, R regions, *S space.
"""

from collections.abc import Collection, Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from segan_nnunet.errors import InputError

SMALLEST_GAP = 1e-6  # float32 cannot distinguish two nested logits that are closer


def nesting_order(regions: Sequence[Collection[int]], names: Sequence[str]) -> list[int]:
    """Return the indices of the regions, the outermost first.

    Args:
        regions: label values of each region.
        names: names of the regions, for the error message.

    Raises:
        InputError: two regions do not nest. The message names them.
    """
    order = sorted(range(len(regions)), key=lambda index: -len(set(regions[index])))
    for outer, inner in zip(order, order[1:], strict=False):
        if not set(regions[inner]) < set(regions[outer]):
            raise InputError(
                f"the softmax baseline needs regions that nest, but '{names[inner]}' {sorted(regions[inner])} is not "
                f"a proper part of '{names[outer]}' {sorted(regions[outer])}. Remove one of them from the dataset's "
                "labels, or train with SegANTrainer, whose regions are independent."
            )
    return order


def region_logits(class_logits: Tensor) -> Tensor:
    """Return the logits of the regions' probabilities, the outermost region first.

    P(region r) = Σ_{k>=r} exp z_k / (1 + Σ_k exp z_k); its logit is log Σ_{k>=r} exp z_k − log(1 + Σ_{k<r} exp z_k).
    They are nested by construction: the logits do not increase from one region to the next.

    Args:
        class_logits: z, (B, R, *S), any float type.

    Returns:
        (B, R, *S), float32.
    """
    logits = class_logits.float().unbind(1)  # R of (B, *S)
    # a loop over a few terms: eight times as fast as logcumsumexp, forward and backward
    inside = list(accumulate(reversed(logits), torch.logaddexp))[::-1]  # log Σ_{k>=r} exp z_k
    outside = accumulate(logits[:-1], torch.logaddexp, initial=torch.zeros_like(logits[0]))  # log (1 + Σ_{k<r} exp z_k)
    return torch.stack([i - o for i, o in zip(inside, outside, strict=True)], dim=1)


def class_log_probabilities(nested_logits: Tensor) -> Tensor:
    """Return the log probabilities of the R + 1 exclusive classes from the logits of the nested regions.

    P(class k) = σ(l_k) − σ(l_{k+1}), with σ(l_0) = 1 and σ(l_{R+1}) = 0, in a form without cancellation:
    σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)).

    Args:
        nested_logits: l, (B, R, *S), as `region_logits` returns them.

    Returns:
        (B, R + 1, *S).
    """
    inside = F.logsigmoid(nested_logits)  # log σ(l_k), k = 1 .. R
    outside = F.logsigmoid(-nested_logits)  # log (1 − σ(l_k))
    gap = (nested_logits[:, :-1] - nested_logits[:, 1:]).clamp_min(SMALLEST_GAP)
    between = inside[:, :-1] + outside[:, 1:] + torch.log(-torch.expm1(-gap))
    return torch.cat((outside[:, :1], between, inside[:, -1:]), dim=1)


def class_cross_entropy(class_logits: Tensor, masks: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the softmax cross-entropy −mean log P(true class), a float32 scalar in [0, inf), for training.

    Args:
        class_logits: z, (B, R, *S), as for `region_logits`. The background's logit is 0.
        masks: true masks of the regions, the outermost first, (B, R, *S) of 0 and 1.
        valid: (B, 1, *S), 0 at ignored voxels and 1 elsewhere. By default none is ignored.
    """
    with_background = F.pad(class_logits.float(), (0, 0) * (class_logits.ndim - 2) + (1, 0))
    return mean_over_valid(F.cross_entropy(with_background, class_of(masks), reduction="none"), valid)


def nested_cross_entropy(nested_logits: Tensor, masks: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the same cross-entropy from the regions' logits, for validation, where the network returns regions.

    If float32 cannot distinguish two regions' logits, the class between them gets a probability of at least about 1e-6.
    The loss is then too small and has no gradient, so training uses `class_cross_entropy` instead.

    Args:
        nested_logits: (B, R, *S), outermost region first.
        masks, valid: as `class_cross_entropy`.
    """
    return mean_over_valid(F.nll_loss(class_log_probabilities(nested_logits), class_of(masks), reduction="none"), valid)


def class_of(masks: Tensor) -> Tensor:
    """Return the true class of each voxel, (B, *S): the number of regions that contain it."""
    return masks.sum(1).long()


def mean_over_valid(loss: Tensor, valid: Tensor | None) -> Tensor:
    """Return the mean of a loss (B, *S) over the voxels that are not ignored."""
    if valid is None:
        return loss.mean()
    return (loss * valid[:, 0]).sum() / valid.sum().clamp_min(1)


def label_cross_entropy(logits: Tensor, target: Tensor, ignore_label: int | None = None) -> Tensor:
    """Return the softmax cross-entropy over plain labels, a float32 scalar in [0, inf).

    Args:
        logits: (B, classes, *S), background first.
        target: label values (B, 1, *S).
        ignore_label: the label value of ignored voxels, or None.
    """
    true_class = target[:, 0].long()
    if ignore_label is None:
        return F.cross_entropy(logits.float(), true_class)
    total = F.cross_entropy(logits.float(), true_class, ignore_index=ignore_label, reduction="sum")
    return total / (true_class != ignore_label).sum().clamp_min(1)
