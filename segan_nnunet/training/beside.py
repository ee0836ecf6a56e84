"""nnU-Net's own training with critics beside its loss."""

import math
from typing import Any

import torch
from torch import Tensor

from segan_nnunet.objective import Critics, LossBeside, add_gradient, rescale_intensities
from segan_nnunet.training.segan import WithCritics


class CriticBesideTrainer(WithCritics):
    """nnU-Net's trainer, with the critics' multi-scale distance beside its loss.

    Network, optimiser, schedule, clipping, deep supervision, augmentation and loss are nnU-Net's. `train_losses` is
    nnU-Net's loss alone, so that logs can be compared. With `critic_fraction` 0 the training is nnU-Net's, bit for bit.

    S minimises loss + λ · distance, with λ = critic_fraction · ‖∇loss‖ / ‖∇distance‖. A subclass's `further_loss` is
    added to the distance. Both gradients are taken at the
    full-resolution output, and λ is computed in every step (`add_gradient`). Each step trains the critics with S fixed,
    and then S as nnU-Net does.

    Attributes:
        critic_fraction: norm of the critics' gradient at the output, divided by that of nnU-Net's loss.
        critic_fades: whether the fraction falls to 0 in a straight line over the epochs.
        critic_from: share of the epochs after which the critics begin. Until then the training is nnU-Net's.
    """

    critic_fraction = 1.0
    critic_fades = True
    critic_from = 0.0

    fraction = 0.0  # of this epoch
    played: dict[str, Any]  # the critics' entries for the log of a step

    def fraction_at(self, progress: float) -> float:
        """Return the critics' fraction after a share of the epochs."""
        if progress < self.critic_from:
            return 0.0
        return self.critic_fraction * ((1 - progress) / (1 - self.critic_from) if self.critic_fades else 1)

    def _build_loss(self) -> LossBeside:
        """Return nnU-Net's loss with the critics beside it. Allocate the tensor that holds λ."""
        self.critic_weight = torch.full((), math.nan, device=self.device)
        return LossBeside(super()._build_loss(), self.play)

    def build_critic(self) -> Critics:
        """Build C without using up random numbers of nnU-Net's training."""
        with torch.random.fork_rng():
            return super().build_critic()

    def objective(self) -> dict[str, Any]:
        """Add the settings of the critics' fraction."""
        shares = ("critic_fraction", "critic_fades", "critic_from")
        return {**super().objective(), **{name: getattr(self, name) for name in shares}}

    def fill_log(self, epochs: int) -> None:
        """Add λ to the keys of the log."""
        super().fill_log(epochs)
        values = self.logger.local_logger.my_fantastic_logging.setdefault("critic_weights", [])
        values += [math.nan] * (epochs - len(values))

    def on_train_epoch_start(self) -> None:
        """Set the fraction of this epoch."""
        super().on_train_epoch_start()
        self.fraction = self.fraction_at(self.current_epoch / self.num_epochs)

    def train_step(self, batch: dict) -> dict[str, Any]:
        """Take nnU-Net's step. The critics take theirs when nnU-Net computes its loss (`play`)."""
        self.image, self.played = batch["data"], {}
        step = {**super().train_step(batch), "cases": list(batch.get("keys", ()))}
        if not self.played:
            return step
        scale = self.grad_scaler.get_scale() if self.grad_scaler is not None else 1.0
        return {**step, **self.played, "critic_weight": self.critic_weight.item() / scale}

    def play(self, output: Tensor, target: Tensor) -> Tensor:
        """Train the critics. Return S's output with their gradient attached.

        nnU-Net's backward pass takes this gradient to S.

        Args:
            output: logits (B, R, *S).
            target: nnU-Net's target at full resolution.
        """
        if self.fraction == 0 or not torch.is_grad_enabled():
            return output
        image = self.image.to(self.device, non_blocking=True)[:, : self.num_images()]
        with torch.autocast(self.device.type, enabled=False):  # without nnU-Net's autocast; the critics use their own
            image = rescale_intensities(image, self.lowest_intensity)
            logits = output.detach().float().requires_grad_()
            predicted, truth = self.label_space.label_maps(logits, target)

            before = self.critic_phase(image, predicted, truth) if self.trains_critics() else None
            self.measure_layer_shares(image, predicted, truth)
            _, distances = self.backward_segmentor_loss(image, predicted, truth, self.critic_grad_scaler)
        self.played = self.record_of_step(before, distances)
        assert logits.grad is not None  # for mypy
        return add_gradient(output, logits.grad, self.fraction, self.critic_weight)

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Log the mean of λ over the epoch's steps."""
        super().on_train_epoch_end(train_outputs)
        weights = [output["critic_weight"] for output in train_outputs if "critic_weight" in output]
        self.logger.log("critic_weights", sum(weights) / len(weights) if weights else math.nan, self.current_epoch)
