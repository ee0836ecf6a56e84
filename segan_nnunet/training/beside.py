"""nnU-Net's own training with critics beside its own loss."""

import math
from typing import Any

import torch
from torch import Tensor

from segan_nnunet.objective import Critics, LossBeside, add_gradient, rescale_intensities
from segan_nnunet.training.segan import WithCritics


class CriticBesideTrainer(WithCritics):
    """nnU-Net's trainer as it is, with the critics' multi-scale distance of the full-resolution output beside its loss.

    Network, optimiser, schedule, clipping, deep supervision, augmentation and loss are nnU-Net's, and `train_losses` is
    its loss alone, so that logs can be compared. At `critic_fraction` 0 it is nnU-Net's training, bit for bit.

    S minimises loss + λ · distance, with λ = critic_fraction · ‖∇loss‖ / ‖∇distance‖, both gradients taken at the
    full-resolution output and λ anew in every step (`add_gradient`). Each step is one of the critics, with S fixed, and
    then nnU-Net's own.

    Attributes:
        critic_fraction: the critics' gradient by that of nnU-Net's loss, at the output.
        critic_fades: whether that falls to 0, in a straight line, so that nnU-Net's loss has the last word.
        critic_from: share of the epochs after which the critics begin; before, it is nnU-Net's training.
    """

    critic_fraction = 1.0
    critic_fades = True
    critic_from = 0.0

    fraction = 0.0  # of this epoch
    played: dict[str, Any]  # what the critics have to say of a step

    def fraction_at(self, progress: float) -> float:
        """The critics' fraction where this share of the epochs is over."""
        if progress < self.critic_from:
            return 0.0
        return self.critic_fraction * ((1 - progress) / (1 - self.critic_from) if self.critic_fades else 1)

    def _build_loss(self) -> LossBeside:
        """Return nnU-Net's loss, with the critics beside it, and make a place for λ."""
        self.critic_weight = torch.full((), math.nan, device=self.device)
        return LossBeside(super()._build_loss(), self.play)

    def build_critic(self) -> Critics:
        """Build C without touching the random numbers of nnU-Net's training."""
        with torch.random.fork_rng():
            return super().build_critic()

    def objective(self) -> dict[str, Any]:
        """Add the critics' share."""
        shares = ("critic_fraction", "critic_fades", "critic_from")
        return {**super().objective(), **{name: getattr(self, name) for name in shares}}

    def fill_log(self, epochs: int) -> None:
        """Log λ too."""
        super().fill_log(epochs)
        values = self.logger.local_logger.my_fantastic_logging.setdefault("critic_weights", [])
        values += [math.nan] * (epochs - len(values))

    def on_train_epoch_start(self) -> None:
        """Take this epoch's fraction."""
        super().on_train_epoch_start()
        self.fraction = self.fraction_at(self.current_epoch / self.num_epochs)

    def train_step(self, batch: dict) -> dict[str, Any]:
        """nnU-Net's step; inside it, where nnU-Net asks for its loss, the critics' step."""
        self.image, self.played = batch["data"], {}
        step = {**super().train_step(batch), "cases": list(batch.get("keys", ()))}
        if not self.played:
            return step
        scale = self.grad_scaler.get_scale() if self.grad_scaler is not None else 1.0
        return {**step, **self.played, "critic_weight": self.critic_weight.item() / scale}

    def play(self, output: Tensor, target: Tensor) -> Tensor:
        """The critics' step, and S's full-resolution output, through which the critics' gradient will reach S.

        Args:
            output: logits (B, R, *S).
            target: nnU-Net's.
        """
        if self.fraction == 0 or not torch.is_grad_enabled():
            return output
        image = self.image.to(self.device, non_blocking=True)[:, : self.num_images()]
        with torch.autocast(self.device.type, enabled=False):  # nnU-Net's; the critics have their own
            image = rescale_intensities(image, self.lowest_intensity)
            logits = output.detach().float().requires_grad_()
            predicted, truth = self.label_space.label_maps(logits, target)

            before = self.critic_phase(image, predicted, truth) if self.critics_learn() else None
            self.measure_layer_shares(image, predicted, truth)
            self.critic.requires_grad_(False)
            maps = predicted.detach().requires_grad_()
            distances = self.backward_distances(+1, self.critic.critics, image, maps, truth, self.critic_grad_scaler)
            predicted.backward(maps.grad)
        self.played = self.record_of_step(before, distances)
        assert logits.grad is not None  # for mypy
        return add_gradient(output, logits.grad, self.fraction, self.critic_weight)

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Log λ, the mean over the epoch's steps."""
        super().on_train_epoch_end(train_outputs)
        weights = [output["critic_weight"] for output in train_outputs if "critic_weight" in output]
        self.logger.log("critic_weights", sum(weights) / len(weights) if weights else math.nan, self.current_epoch)
