"""Record the objective of a training as plain values. A checkpoint holds them, and `--c` compares them.

A function of this package or of a user is recorded by its values on a fixed probe. Another function, or another weight
inside it, has other values. Renaming or reformatting a function does not change them.

B batch, R output channels, *S space.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

PROBE_BATCH = 2
PROBE_SIZE = 8  # voxels per axis
# settings of an optimiser that may change: the learning rate, and how its steps are computed
NOT_OBJECTIVE = {"params", "lr", "initial_lr", "foreach", "fused", "capturable", "differentiable"}


def optimizer_record(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimiser's class and the settings that define the objective, such as betas and weight decay."""
    settings = {key: value for key, value in optimizer.param_groups[0].items() if key not in NOT_OBJECTIVE}
    return {"class": type(optimizer).__name__, **settings}


def values_of(function: Callable[[], Tensor]) -> list[float] | None:
    """Return the values of a function on its probe, or None if the call fails.

    The call uses up no random numbers of the training, and compiles nothing for the probe's size.
    """
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), torch.compiler.set_stance("force_eager"):
            torch.default_generator.manual_seed(0)  # torch.manual_seed would also seed the GPU
            return [float(value) for value in function().flatten()]
    except Exception:  # a user's function may raise anything; the training itself reports the error
        return None


def probe(*shape: int, dimension: int, device: torch.device, seed: int = 0) -> Tensor:
    """Return fixed standard normal values, (B, *shape, *S), the same on every device."""
    size = (PROBE_BATCH, *shape, *[PROBE_SIZE] * dimension)
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)).to(device)


def probe_target(label_manager: Any, dimension: int, device: torch.device) -> Tensor:
    """Return a fixed target in the form that nnU-Net passes to a loss.

    With regions it holds their masks, the mask of the ignored voxels last. Otherwise it holds label values.

    Args:
        label_manager: nnU-Net's LabelManager, which has no types.
        dimension: number of spatial axes.
        device: device of the loss.
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
