"""Critics beside another loss: their gradient is added to the other's, at a fixed fraction of its size.

B batch, R output channels, *S space.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist


class AddedGradient(torch.autograd.Function):
    """The identity. Its backward pass adds λ·a to the incoming gradient g, with λ = fraction · ‖g‖ / ‖a‖.

    So the network minimises a sum of two losses whose gradients at its output have a fixed ratio of norms, whatever the
    units of the losses. The backward pass computes λ, so no second backward pass is needed. A loss that is scaled for
    float16 scales the added gradient too.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, added: Tensor, fraction: float, weight: Tensor) -> Tensor:  # Any: torch's own
        """Return the output. Its gradient will get the added one.

        Args:
            output: of the network, (B, R, *S).
            added: a, the gradient to be added, of the same shape; 0 where it is not finite.
            fraction: ‖λa‖ / ‖g‖; 0 leaves the gradient exactly as it comes in.
            weight: a scalar tensor that λ is written into.
        """
        ctx.save_for_backward(added)
        ctx.fraction, ctx.weight = fraction, weight
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, ...]:
        """Add λ·a."""
        (gradient,) = incoming
        (added,) = ctx.saved_tensors
        if ctx.fraction == 0:
            return gradient, None, None, None
        added = torch.nan_to_num(added.float(), 0.0, 0.0, 0.0)
        own = norm(added).clamp_min(torch.finfo(torch.float32).tiny)
        size = ctx.fraction * norm(gradient)
        ctx.weight.copy_(size / own)
        return gradient + (size * (added / own)).to(gradient.dtype), None, None, None  # in this order nothing overflows


def add_gradient(output: Tensor, added: Tensor, fraction: float, weight: Tensor) -> Tensor:
    """Return the output with `AddedGradient` attached. Args: as its forward."""
    return cast(Tensor, AddedGradient.apply(output, added, fraction, weight))


class LossBeside(nn.Module):
    """nnU-Net's loss. The critics see the full-resolution output before it.

    Args:
        loss: nnU-Net's, with deep supervision or without. Its value is returned as it is.
        play: maps that output and its target to the output that the loss gets.
    """

    def __init__(self, loss: nn.Module, play: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.loss = loss
        self.play = play

    def forward(self, output: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor]) -> Tensor:
        """Return nnU-Net's loss, a scalar."""
        if isinstance(output, Tensor):
            return self.loss(self.play(output, cast(Tensor, target)), target)
        return self.loss([self.play(output[0], target[0]), *output[1:]], target)


def norm(values: Tensor) -> Tensor:
    """Return the L2 norm in float32, in DDP over the values of all processes."""
    size = torch.linalg.vector_norm(values, dtype=torch.float32)
    if dist.is_available() and dist.is_initialized():
        size = size.square()
        dist.all_reduce(size)
        size = size.sqrt()
    return size
