"""How nnU-Net's loop plays the game of Eq. 2."""

from typing import Any

from torch import Tensor

from segan_nnunet.objective import SegmentorLoss, rescale_intensities
from segan_nnunet.training.plugin_trainer import PluginTrainer
from segan_nnunet.training.run import objective_record
from segan_nnunet.training.with_critics import WithCritics


class AdversarialTrainer(WithCritics, PluginTrainer):
    """Trains the planned network as segmentor against critics, with the multi-scale L1 loss alone (Sections 2.1, 2.3).

    Each step is one of the critics (maximise, then clamp) and then one of the segmentor (minimise, with gradients
    that come only through the critics). The segmentor does not change between the two, so its output is computed once
    and serves both: the parameters become those of the authors' loop, which computes it twice.
    """

    def _do_i_compile(self) -> bool:
        """Compile both players only where that is asked for: eager ones were faster (docs/performance.md)."""
        return self.compile_is_asked_for() and super()._do_i_compile()

    def _build_loss(self) -> SegmentorLoss:
        """The critic is the loss: nnU-Net asks for it here, after the network."""
        self.set_up_critics()
        return SegmentorLoss(self.critic, self.label_space, self.further_loss)

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """What S minimises beside the distance of Eq. 2, a scalar: nothing in the paper.

        Args:
            predicted: S(x), (B, R, *S).
            truth: y, (B, R, *S).
        """
        return predicted.new_zeros(())

    def objective(self) -> dict[str, Any]:
        """The loss is the critics' distance, and the term beside it."""
        further = objective_record.values_of(self.further_loss_on_probe)
        return {**super().objective(), "loss": "the critics' distance", "further_loss": further}

    def further_loss_on_probe(self) -> Tensor:
        """The further loss of fixed label maps."""
        dimension, num_maps = len(self.configuration_manager.patch_size), self.label_space.num_maps
        maps = [objective_record.probe(num_maps, dimension=dimension, device=self.device, seed=seed) for seed in (0, 1)]
        return self.further_loss(maps[0].sigmoid(), (maps[1] > 0).float())

    def train_step(self, batch: dict) -> dict[str, Any]:
        """One round of the game: the critic's phase, then the segmentor's."""
        data = batch["data"].to(self.device, non_blocking=True)
        target = batch["target"].to(self.device, non_blocking=True)
        image = rescale_intensities(data)
        with self.autocast():
            predicted = self.network(data)  # logits: one name, so that they are not kept beside the probabilities
        predicted, truth = self.label_space.label_maps(predicted, target)

        critic_distances = self.critic_phase(image, predicted.detach(), truth) if self.critic_learns else None
        loss, distances = self.segmentor_phase(image, predicted, truth)
        # tensors: moving them to the CPU here would make every step wait for the GPU
        return {
            "loss": loss,
            "critic_loss": -(distances if critic_distances is None else critic_distances).mean(),
            "distances": distances,
            "cases": list(batch.get("keys", ())),
        }

    def segmentor_phase(self, image: Tensor, predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Train S for one step with C fixed: min over θ_S of Eq. 2. Returns its loss, and the distances.

        The gradient of S(x) is gathered from critic to critic, and then goes once through S.

        Args: as `critic_phase`, but for S(x), through which S is reached.
        """
        maps = predicted.detach().requires_grad_()
        distances = self.distances_felt(image, maps, truth, self.grad_scaler)
        further = self.further_loss(maps, truth)
        self.backward(further, self.grad_scaler)
        predicted.backward(maps.grad)
        self.step(self.optimizer, self.grad_scaler)
        return distances.mean() + further.detach(), distances

    def validation_step(self, batch: dict) -> dict[str, Any]:
        """Validate as nnU-Net does; the loss is the segmentor's, under the critics of this epoch.

        The critics stay in training: they compare by the statistics of the batch, as in the training's loss.
        """
        with self.loss.looking_at(batch["data"].to(self.device, non_blocking=True)):
            return super().validation_step(batch)
