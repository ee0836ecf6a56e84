"""What defines the objective of a training, as plain values that a checkpoint holds and `--c` compares.

A function, ours or a user's, is recorded by its values on a fixed probe. Another function, or another weight inside it,
has other values. A function that was only renamed or reformatted has the same.

B batch, R output channels, *S space.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

PROBE_BATCH = 2
PROBE_SIZE = 8  # voxels per axis
# of an optimiser: the learning rate, which may be lowered to go on, and how its steps are computed
NOT_OBJECTIVE = {"params", "lr", "initial_lr", "foreach", "fused", "capturable", "differentiable"}


def optimizer_record(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the settings of an optimiser that its state depends on, such as betas and weight decay."""
    settings = {key: value for key, value in optimizer.param_groups[0].items() if key not in NOT_OBJECTIVE}
    return {"class": type(optimizer).__name__, **settings}


def values_of(function: Callable[[], Tensor]) -> list[float] | None:
    """Return the values of a function on its probe; None where it cannot be called so.

    No random number of the training is used up, and nothing is compiled for the probe's size.
    """
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), torch.compiler.set_stance("force_eager"):
            torch.default_generator.manual_seed(0)  # not torch.manual_seed, which would seed the GPU's too
            return [float(value) for value in function().flatten()]
    except Exception:  # a user's function raises anything; the training itself says whether it works
        return None


def probe(*shape: int, dimension: int, device: torch.device, seed: int = 0) -> Tensor:
    """Return fixed values of a standard normal distribution, (B, *shape, *S), the same on every device."""
    size = (PROBE_BATCH, *shape, *[PROBE_SIZE] * dimension)
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)).to(device)


def probe_target(label_manager: Any, dimension: int, device: torch.device) -> Tensor:
    """Return a fixed target as nnU-Net hands it to a loss: masks of regions, the ignored voxels' last, or labels.

    Args:
        label_manager: nnU-Net's, which ships no types.
        dimension: of space.
        device: of the loss.
    """
    labels = [*label_manager.all_labels] + ([label_manager.ignore_label] if label_manager.has_ignore_label else [])
    order = probe(1, dimension=dimension, device=torch.device("cpu"), seed=1).flatten().argsort()
    drawn = torch.tensor(labels)[order % len(labels)].view(PROBE_BATCH, 1, *[PROBE_SIZE] * dimension)
    if not label_manager.has_regions:
        return drawn.to(device)
    regions: list[Sequence[int]] = [
        region if isinstance(region, (tuple, list)) else (region,) for region in label_manager.foreground_regions
    ]
    regions += [(label_manager.ignore_label,)] if label_manager.has_ignore_label else []
    masks = [torch.isin(drawn, torch.tensor([int(value) for value in region])) for region in regions]
    return torch.cat(masks, 1).to(device)
