"""Entries of the game in nnU-Net's log: one value per key and epoch. K critics, L layers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segan_nnunet.errors import InputError


def unmeasured_entries(critics: int, layers: int) -> dict[str, Any]:
    """Return the entries of an epoch that was not measured: NaN for every key."""
    return entries(torch.full((1 + critics * layers + layers,), math.nan), critics, layers)


def epoch_means(outputs: Sequence[Mapping[str, Any]], shares: Tensor) -> Tensor:
    """Return the critics' mean loss, the mean distances and the layers' shares of an epoch, (1 + K·L + L,).

    Args:
        outputs: one per step, with the arrays `critic_loss`, a scalar, and `distances`, (K, L).
        shares: each layer's share of the gradient at S(x), (L,).
    """
    steps = np.array([[output["critic_loss"], *output["distances"].ravel()] for output in outputs])
    return torch.cat([torch.from_numpy(steps.mean(0)).to(shares), shares])


def entries(means: Tensor, critics: int, layers: int) -> dict[str, Any]:
    """Return an epoch's entries of the log, by key, from the vector of `epoch_means`."""
    critic_loss, distances, shares = means.cpu().split([1, critics * layers, layers])
    by_critic = distances.view(critics, layers)
    return {
        "critic_losses": critic_loss.item(),
        "distance_per_layer": by_critic.mean(0).tolist(),
        "distance_per_region": by_critic.mean(1).tolist(),
        "gradient_share_per_layer": shares.tolist(),
    }


def check_same_layers(log: Mapping[str, Sequence[Any]], layers: Sequence[int]) -> None:
    """Check that the log of a checkpoint has as many critic layers as are compared now.

    Checkpoints of earlier versions record nothing else about their layers.

    Raises:
        InputError: the numbers of layers differ.
    """
    before = log.get("distance_per_layer")
    if before and len(before[-1]) != len(layers):
        raise InputError(
            f"the critics of the checkpoint compare {len(before[-1])} layers, and critic_layers names {len(layers)} "
            "now. Undo the change to continue this training, give the changed trainer a name of its own, or delete the "
            "fold"
        )


def layer_gradients(distances: Tensor, maps: Tensor) -> Tensor:
    """Return the gradient of each layer's distance at S(x), (L, B, R, *S).

    Args:
        distances: of one critic, (L,). Their graph is kept.
        maps: S(x), (B, R, *S).
    """
    return torch.stack([torch.autograd.grad(distance, maps, retain_graph=True)[0] for distance in distances])


def gradient_shares(gradients: Tensor) -> Tensor:
    """Return the L2 norm of each layer's gradient, divided by the sum of all layers' norms, (L,).

    Args:
        gradients: at S(x), (L, B, R, *S), summed over the critics.
    """
    norms = gradients.flatten(1).norm(dim=1, dtype=torch.float32)
    return norms / norms.sum().clamp_min(torch.finfo(torch.float32).tiny)
