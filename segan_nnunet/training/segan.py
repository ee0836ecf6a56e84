"""SegAN's game (Sections 2.1 to 2.4). C maximises the distance between x∘S(x) and x∘y. S minimises it.

    min over θ_S, max over θ_C:   L(θ_S, θ_C) = 1/N Σ_n ℓ_mae( f_C(x_n ∘ S(x_n)), f_C(x_n ∘ y_n) )      (Eq. 2)

ℓ_mae is the mean of `distances` over the layers of C (Eq. 3): `layer_distances` as published, `relative_distances` by
default. Both are in `objective/multiscale_l1.py`, and C of Figure 1 is in `networks/critic.py`. The base classes run
the training: `recipe.py` has the optimiser and S's rate, and `run/` has checkpoints, logs and several GPUs.

B batch, C image channels, R regions, K critics, L layers of a critic, *S space.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from dynamic_network_architectures.building_blocks.helper import convert_dim_to_conv_op
from torch import Tensor, nn

from segan_nnunet.networks.critic import (
    CRITIC_BATCH_NORM_EPS,
    PAPER_CRITIC_FEATURES,
    PAPER_LAYERS,
    Critic,
    clamp_weights,
)
from segan_nnunet.objective import CriticDistance, Critics, LabelSpace, relative_distances, rescale_intensities
from segan_nnunet.objective.multiscale_l1 import LOWEST_INTENSITY
from segan_nnunet.training.recipe import PaperTrainer, PlayerOptimizer
from segan_nnunet.training.run.critics import RunGame, RunWithCritics, check_critic_fits


class WithCritics(PlayerOptimizer, RunWithCritics):
    """A trainer with critics. It builds them, and it has the two phases of a step.

    Attributes:
        critic_layers: the layers of C that are compared; 0 is the masked image itself (Section 2.2).
        critic_clamp: limit of the weights of C's convolutions, "e.g." 0.01 in the paper (Section 2.4).
        critic_batch_norm_clamp: limit of the scales and shifts of C's batch norm; 0.01 in the paper too.
        critic_batch_norm_eps: eps of C's batch norm, which then amplifies by at most eps^-1/2.
        critic_initial_lr: learning rate of C, the paper's 2e-5 (Section 2.3). It fits the clamp: at 1e-3 a weight
            crosses from limit to limit in about 20 steps.
        critic_learns: False keeps C's initial, clamped weights: a fixed multi-scale distance, without an adversary.
        lowest_intensity: C sees images in [lowest_intensity, 1]; 0 is the paper's example (footnote 1).
    """

    critic_layers: ClassVar[Sequence[int]] = PAPER_LAYERS
    critic_clamp = 0.01
    critic_batch_norm_clamp = 1.0
    critic_batch_norm_eps = CRITIC_BATCH_NORM_EPS
    critic_initial_lr = 2e-5
    critic_learns = True
    lowest_intensity = LOWEST_INTENSITY

    @staticmethod
    def distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        """Return the terms of ℓ_mae (Eq. 3), (L,), for the features of two masked images."""
        return relative_distances(features, other)

    # --- C: one critic per region (Section 3.1), each as in Figure 1

    def region_groups(self) -> dict[str, list[int]]:
        """Return the regions of each critic, by its name: one critic per region, S3-3C."""
        return {name: [region] for region, name in enumerate(self.map_names())}

    def critic_features(self) -> tuple[int, ...]:
        """Return the widths of C's blocks: those of S's first stages."""
        planned = self.configuration_manager.network_arch_init_kwargs.get("features_per_stage", PAPER_CRITIC_FEATURES)
        return tuple(planned[: len(PAPER_CRITIC_FEATURES)])

    def build_critic(self) -> Critics:
        """Build C.

        Raises:
            InputError: the patch, or the batch of such patches, is too small for C's blocks; S has fewer stages than C
                has blocks; a layer does not exist.
        """
        features, groups = self.critic_features(), self.region_groups()
        patch = self.configuration_manager.patch_size
        check_critic_fits(features, self.critic_layers, patch, self.batch_size)
        conv_op, eps = convert_dim_to_conv_op(len(patch)), self.critic_batch_norm_eps
        channels = [len(group) * self.num_images() for group in groups.values()]
        critics = (
            CriticDistance(Critic(c, features, conv_op, self.critic_layers, eps), self.distances) for c in channels
        )
        return Critics(critics, groups, self.critic_layers)

    def initialize(self) -> None:
        """Build S as planned; then build C and clamp it, so that it is in its compact set from the first step on."""
        super().initialize()
        self.label_space = LabelSpace.of(self.label_manager)
        self.critic = self.build_critic().to(self.device)
        self.clamp_critic()
        self.critic_optimizer, self.critic_lr_scheduler = self.optimizer_for(self.critic, self.critic_initial_lr)
        self.prepare_to_run()

    def clamp_critic(self) -> None:
        """Clamp θ_C to its compact set (Section 2.4)."""
        clamp_weights(self.critic, self.critic_clamp, self.critic_batch_norm_clamp)

    # --- The two phases of a step (Section 2.3)

    def critic_phase(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """C: maximise Eq. 2 over θ_C with S fixed, then clamp θ_C.

        Args:
            image: x, rescaled for C and not yet masked, (B, C, *S).
            predicted: S(x), (B, R, *S) in [0, 1].
            truth: y, (B, R, *S) of 0 and 1.

        Returns:
            The distances before the step, (K, L).
        """
        self.critic.requires_grad_(True)
        maps = predicted.detach()
        distances = self.backward_distances(-1, self.wrapped_critics, image, maps, truth, self.critic_grad_scaler)
        self.step(self.critic_optimizer, self.critic_grad_scaler)
        self.clamp_critic()
        return distances

    def segmentor_phase(self, image: Tensor, predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """S: minimise Eq. 2 over θ_S with C fixed. S's gradient comes only through C.

        Args: as `critic_phase`.

        Returns:
            S's loss, a scalar, and the distances, (K, L).
        """
        loss, distances = self.backward_segmentor_loss(image, predicted, truth, self.grad_scaler)
        self.step(self.optimizer, self.grad_scaler)
        return loss, distances

    def backward_segmentor_loss(
        self, image: Tensor, predicted: Tensor, truth: Tensor, scaler: torch.amp.GradScaler | None
    ) -> tuple[Tensor, Tensor]:
        """Backpropagate Eq. 2 and the further loss through S(x), with C fixed. Return as `segmentor_phase`."""
        self.critic.requires_grad_(False)
        maps = predicted.detach().requires_grad_()  # each critic adds its gradient here; then the sum goes through S
        distances = self.backward_distances(+1, self.critic.critics, image, maps, truth, scaler)
        further = self.further_loss(maps, truth)
        self.backward(further, scaler)
        predicted.backward(maps.grad)
        return distances.mean() + further.detach(), distances

    def backward_distances(
        self,
        sign: int,
        critics: Iterable[nn.Module],
        image: Tensor,
        maps: Tensor,
        truth: Tensor,
        scaler: torch.amp.GradScaler | None,
    ) -> Tensor:
        """Backpropagate sign · Eq. 2, averaged over the critics. Return the distances, (K, L).

        The critics run one after the other, so that the memory of one critic is enough.
        """
        distances = []
        for critic, *views in zip(critics, *map(self.critic.views, (maps, truth)), strict=True):
            with self.autocast():
                terms = critic(image, *views)
            self.backward(sign * terms.mean() / len(self.critic.critics), scaler)
            distances.append(terms.detach())
        return torch.stack(distances)

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the loss that S minimises in addition to Eq. 2, a scalar. The paper has none, so this returns 0.

        Args:
            predicted: S(x), (B, R, *S) in [0, 1], float32, 0 at ignored voxels. A logarithm needs a lower limit.
            truth: y, (B, R, *S) of 0 and 1, float32.
        """
        return predicted.new_zeros(())


class AdversarialTrainer(WithCritics, RunGame, PaperTrainer):
    """Trains S against critics, with Eq. 2 and no other loss unless a subclass adds a `further_loss`.

    A step trains C and then S (Section 2.3). S does not change between the phases, so S(x) is computed once for both.
    The parameters are the same as when it is computed twice.
    """

    def train_step(self, batch: dict) -> dict[str, Any]:
        """Play one round: the critics' phase, then the segmentor's."""
        data = batch["data"].to(self.device, non_blocking=True)
        target = batch["target"].to(self.device, non_blocking=True)
        image = rescale_intensities(data, self.lowest_intensity)
        with self.autocast():
            logits = self.network(data)
        predicted, truth = self.label_space.label_maps(logits, target)
        del logits  # memory: only S(x) is needed

        before = self.critic_phase(image, predicted, truth) if self.trains_critics() else None
        self.measure_layer_shares(image, predicted, truth)  # for the log, once per epoch
        loss, distances = self.segmentor_phase(image, predicted, truth)
        return {"loss": loss, **self.record_of_step(before, distances), "cases": list(batch.get("keys", ()))}
