"""Trade sensitivity for precision: set the weight of a missed voxel relative to a false one."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor

from segan_nnunet.errors import InputError
from segan_nnunet.objective import CriticDistance, relative_distances
from segan_nnunet.training.segan import AdversarialTrainer, WithCritics


class BalancedErrors(AdversarialTrainer):
    """A mixin that reduces the gradient that S gets through the divisor of the relative distances r.

    Put it in front of a trainer: `class Mine(BalancedErrors, SegANTrainer)`. Without it a missed voxel weighs
    (1 + r) / (1 − r) times as much as a false one. The critics' phase is unchanged.

    Attributes:
        divisor_gradient: 0 gives missed and false voxels the same weight; 1 changes nothing.
    """

    divisor_gradient = 0.0

    @contextmanager
    def balanced(self) -> Iterator[None]:
        """Reduce the gradient through the divisor of the critics' distances inside this context.

        Raises:
            InputError: the trainer's distances have no divisor.
        """
        if type(self).distances is not WithCritics.distances:
            raise InputError(
                f"{type(self).__name__} sets divisor_gradient, but its distances are not relative_distances and have "
                "no divisor. Remove BalancedErrors from its base classes"
            )
        critics = [critic for critic in self.critic.critics if isinstance(critic, CriticDistance)]
        before = [critic.distances for critic in critics]
        for critic in critics:
            critic.distances = partial(relative_distances, divisor_gradient=self.divisor_gradient)
        try:
            yield
        finally:
            for critic, distances in zip(critics, before, strict=True):
                critic.distances = distances

    def segmentor_phase(self, image: Tensor, predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Train S with the balanced distances."""
        with self.balanced():
            return super().segmentor_phase(image, predicted, truth)

    def measure_layer_shares(self, image: Tensor, predicted: Tensor, truth: Tensor) -> None:
        """Measure each layer's share of the gradient that S gets from the balanced distances."""
        with self.balanced():
            super().measure_layer_shares(image, predicted, truth)

    def objective(self) -> dict[str, Any]:
        """Add `divisor_gradient` to the record."""
        return {**super().objective(), "divisor_gradient": self.divisor_gradient}
