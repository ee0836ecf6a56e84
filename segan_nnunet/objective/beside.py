"""Add the critics' gradient to the gradient of another loss, at a fixed fraction of its norm.

B batch, R output channels, *S space.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist


class AddedGradient(torch.autograd.Function):
    """The identity. Its backward pass adds λ·a to the incoming gradient g, with λ = fraction · ‖g‖ / ‖a‖.

    So the network minimises a sum of two losses. Their gradients at its output have a fixed ratio of norms, for any
    units of the losses. The backward pass computes λ, so no second backward pass is needed. If the loss is scaled for
    float16, the added gradient is scaled too.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, added: Tensor, fraction: float, weight: Tensor) -> Tensor:  # Any: torch's own
        """Return the output. The backward pass adds λ·a to its gradient.

        Args:
            output: output of the network, (B, R, *S).
            added: a, the gradient to add, of the same shape. Values that are not finite count as 0.
            fraction: ‖λa‖ / ‖g‖. At 0 the gradient does not change at all.
            weight: scalar tensor that receives λ.
        """
        ctx.save_for_backward(added)
        ctx.fraction, ctx.weight = fraction, weight
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, ...]:
        """Return g + λ·a."""
        (gradient,) = incoming
        (added,) = ctx.saved_tensors
        if ctx.fraction == 0:
            return gradient, None, None, None
        added = torch.nan_to_num(added.float(), 0.0, 0.0, 0.0)
        added_norm = norm(added).clamp_min(torch.finfo(torch.float32).tiny)
        new_norm = ctx.fraction * norm(gradient)
        ctx.weight.copy_(new_norm / added_norm)
        scaled = new_norm * (added / added_norm)  # this order avoids overflow
        return gradient + scaled.to(gradient.dtype), None, None, None


def add_gradient(output: Tensor, added: Tensor, fraction: float, weight: Tensor) -> Tensor:
    """Return the output with `AddedGradient` attached. Args: as for `AddedGradient.forward`."""
    return cast(Tensor, AddedGradient.apply(output, added, fraction, weight))


class LossBeside(nn.Module):
    """nnU-Net's loss, with a hook that passes the full-resolution output to the critics first.

    Args:
        loss: nnU-Net's loss, with or without deep supervision. Its value does not change.
        play: maps the full-resolution output and its target to the output that the loss gets.
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
    """Return the L2 norm in float32. In DDP it covers the values of all processes."""
    size = torch.linalg.vector_norm(values, dtype=torch.float32)
    if dist.is_available() and dist.is_initialized():
        size = size.square()
        dist.all_reduce(size)
        size = size.sqrt()
    return size
