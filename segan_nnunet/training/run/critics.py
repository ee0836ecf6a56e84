"""Run a training with critics: several GPUs, compilation, gradient scaling, logs, pictures and checkpoints.

The paper describes none of this. `training/segan.py` has the game.
"""

import copy
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from segan_nnunet.errors import InputError
from segan_nnunet.networks.critic import PAPER_CRITIC_FEATURES
from segan_nnunet.objective import Critics, LabelSpace, rescale_intensities
from segan_nnunet.training.run import game_log, objective_record
from segan_nnunet.training.run.progress import draw_or_report, plot_game
from segan_nnunet.training.run.trainer import ResumableTrainer


class RunWithCritics(ResumableTrainer):
    """Runs a training that has critics: the base class of `training/segan.py`."""

    CRITIC_SETTINGS: ClassVar[tuple[str, ...]] = (
        "critic_layers",
        "critic_clamp",
        "critic_batch_norm_clamp",
        "critic_batch_norm_eps",
        "critic_learns",
        "lowest_intensity",
    )

    critic_learns: bool
    label_space: LabelSpace
    critic: Critics
    critic_optimizer: torch.optim.Optimizer
    critic_lr_scheduler: PolyLRScheduler
    wrapped_critics: list[
        nn.Module
    ]  # the critics; in DDP wrapped, so that their gradients are averaged over all processes
    layer_shares: Tensor | None = None  # (L,), of this epoch's first step

    def prepare_to_run(self) -> None:
        """Prepare the critics, once built, for this device, for DDP and for the log."""
        self.critic_grad_scaler = None if self.grad_scaler is None else torch.amp.GradScaler("cuda")
        self.wrapped_critics = list(self.critic.critics)
        if self.is_ddp and has_weights(self.critic):
            nn.SyncBatchNorm.convert_sync_batchnorm(self.critic)
            devices = [self.local_rank] if self.device.type == "cuda" else None
            self.wrapped_critics = [DistributedDataParallel(critic, devices) for critic in self.critic.critics]
        self.compile_critics()
        self.fill_log(epochs=0)

    def compile_critics(self) -> None:
        """Compile the critics on request, but not in DDP: torch breaks the graph at synchronised batch norm."""
        if self.compile_is_requested() and self._do_i_compile() and not self.is_ddp:
            for critic in self.critic.critics:
                critic.compile()  # in place, so that the keys of the saved weights do not change

    @staticmethod
    def compile_is_requested() -> bool:
        """Return whether nnUNet_compile is true. Compiling, nnU-Net's default, made the critics slower on a GPU."""
        return os.environ.get("nnUNet_compile", "").lower() in ("true", "1", "t")  # as nnU-Net reads it

    def num_images(self) -> int:
        """Return the number of image channels. In the second stage of a cascade, other channels follow them."""
        images = self.dataset_json.get("channel_names") or self.dataset_json["modality"]  # as nnU-Net reads them
        return len(images)

    def trains_critics(self) -> bool:
        """Return whether a step trains the critics. Critics of layer 0 alone have no weights."""
        return self.critic_learns and has_weights(self.critic)

    # --- Steps

    def scaled(self, loss: Tensor, scaler: torch.amp.GradScaler | None) -> Tensor:
        """Return a loss, scaled by its player's gradient scaler so that float16 can hold its gradients."""
        return loss if scaler is None else scaler.scale(loss)

    def backward(self, loss: Tensor, scaler: torch.amp.GradScaler | None) -> None:
        """Add the gradient of a loss, scaled if the player has a gradient scaler. Skip a constant loss."""
        if loss.requires_grad:
            self.scaled(loss, scaler).backward()

    def step(self, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None) -> None:
        """Take one step of gradient descent, and free the gradients before the other player's phase."""
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad(set_to_none=True)

    # --- Log and pictures

    def record_of_step(self, before: Tensor | None, distances: Tensor) -> dict[str, Tensor]:
        """Return a step's entries for the log, as tensors: moving them to the CPU would make the step wait for the GPU.

        Args:
            before: distances in the critics' phase, (K, L), or None if the critics did not learn.
            distances: distances in the segmentor's phase, (K, L).
        """
        return {"critic_loss": -(distances if before is None else before).mean(), "distances": distances}

    def measure_layer_shares(self, image: Tensor, predicted: Tensor, truth: Tensor) -> None:
        """Measure in an epoch's first step how much of the gradient at S(x) comes from each layer.

        This uses a copy of the critics, because the extra forward pass updates the statistics of batch norm.

        Args: as `WithCritics.critic_phase`.
        """
        if self.layer_shares is not None:
            return
        critics, maps = copy.deepcopy(self.critic).requires_grad_(False), predicted.detach().requires_grad_()
        gradients = []
        for critic, *views in zip(critics.critics, *map(critics.views, (maps, truth)), strict=True):
            with self.autocast():
                distances = critic(image, *views)
            gradients.append(game_log.layer_gradients(self.scaled(distances, self.critic_grad_scaler), maps))
        self.layer_shares = game_log.gradient_shares(torch.stack(gradients).sum(0))

    @staticmethod
    def distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        """Return the terms of Eq. 3, (L,)."""
        raise NotImplementedError

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the loss that S minimises in addition to Eq. 2, a scalar."""
        raise NotImplementedError

    def fill_log(self, epochs: int) -> None:
        """Extend our keys of the log to a number of epochs. Epochs that were not measured get NaN."""
        log = self.logger.local_logger.my_fantastic_logging
        for key, value in game_log.unmeasured_entries(len(self.critic.critics), len(self.critic.layers)).items():
            values = log.setdefault(key, [])
            values += [value for _ in range(epochs - len(values))]

    def on_train_epoch_start(self) -> None:
        """Put both players into training mode and set this epoch's learning rates."""
        super().on_train_epoch_start()
        self.critic.train()
        self.critic_lr_scheduler.step(self.current_epoch)
        self.layer_shares = None

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Log the critics' losses and distances. nnU-Net logs the segmentor's loss as train_losses."""
        outputs = [
            {key: value.cpu().numpy() if isinstance(value, Tensor) else value for key, value in output.items()}
            for output in train_outputs
        ]
        super().on_train_epoch_end(outputs)
        entries = game_log.unmeasured_entries(len(self.critic.critics), len(self.critic.layers))
        if self.layer_shares is not None:  # the critics were used in this epoch
            means = game_log.epoch_means(outputs, self.layer_shares)
            if self.is_ddp:
                dist.all_reduce(means)
                means /= dist.get_world_size()
            entries = game_log.entries(means, *outputs[0]["distances"].shape)
        for key, value in entries.items():
            self.logger.log(key, value, self.current_epoch)

    def on_epoch_end(self) -> None:
        """Draw the game beside nnU-Net's progress.png."""
        super().on_epoch_end()
        if self.local_rank == 0:
            path = Path(self.output_folder) / "progress_game.png"
            log, regions = self.logger.get_checkpoint(), list(self.critic.region_groups)
            draw_or_report(lambda: plot_game(log, self.critic.layers, regions, path), path, self.print_to_log_file)

    # --- Checkpoints

    def plugin_state(self) -> dict[str, Any]:
        """Add the critics and their optimiser: without them a resumed training would start with new critics."""
        return {
            **super().plugin_state(),
            "critic_weights": self.critic.state_dict(),
            "critic_optimizer_state": self.critic_optimizer.state_dict(),
            "critic_grad_scaler_state": self.critic_grad_scaler and self.critic_grad_scaler.state_dict(),
        }

    def load_plugin_state(self, checkpoint: dict[str, Any]) -> None:
        """Restore the critics and their optimiser too."""
        game_log.check_same_layers(checkpoint["logging"], self.critic.layers)
        self.critic.load_state_dict(checkpoint["critic_weights"])
        self.critic_optimizer.load_state_dict(checkpoint["critic_optimizer_state"])
        if self.critic_grad_scaler is not None and checkpoint["critic_grad_scaler_state"] is not None:
            self.critic_grad_scaler.load_state_dict(checkpoint["critic_grad_scaler_state"])
        super().load_plugin_state(checkpoint)
        self.fill_log(self.current_epoch)

    def players(self) -> dict[str, nn.Module]:
        """Return both players."""
        return {**super().players(), "critic": self.critic}

    def objective(self) -> dict[str, Any]:
        """Add the critics' settings and optimiser, and the values of the distances and of the further loss."""
        maps, num_maps = self.probe, self.label_space.num_maps
        further = objective_record.values_of(
            lambda: self.further_loss(maps(num_maps, seed=0).sigmoid(), (maps(num_maps, seed=1) > 0).float())
        )
        return {
            **super().objective(),
            **{name: getattr(self, name) for name in self.CRITIC_SETTINGS},
            "region_groups": list(self.critic.region_groups.values()),
            "critic_optimizer": objective_record.optimizer_record(self.critic_optimizer),
            "distances": objective_record.values_of(self.distances_on_probe),
            "further_loss": further,
        }

    def distances_on_probe(self) -> Tensor:
        """Return the distances between two fixed sets of features."""
        layers = range(len(self.critic.layers))
        features, other = ([self.probe(3, seed=first + n) for n in layers] for first in (0, len(layers)))
        return self.distances(features, other)


class RunGame(RunWithCritics):
    """Adapts a training whose loss is the critics' distance to nnU-Net's validation, compilation and `--c`."""

    lowest_intensity: float
    validation_image: Tensor

    def _build_loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return S's loss in the form that nnU-Net's validation calls."""
        return self.validation_loss

    def validation_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return S's loss, a scalar, for logits and nnU-Net's target. `validation_step` stored the image."""
        predicted, truth = self.label_space.label_maps(output, target)
        image = rescale_intensities(self.validation_image, self.lowest_intensity)
        return self.critic(image, predicted, truth).mean() + self.further_loss(predicted, truth)

    def validation_step(self, batch: dict) -> dict[str, Any]:
        """Validate as nnU-Net does, with S's loss under the critics of this epoch.

        The critics stay in training mode: batch norm uses the statistics of the batch, as in the training loss.
        """
        self.validation_image = batch["data"].to(self.device, non_blocking=True)
        return super().validation_step(batch)

    def _do_i_compile(self) -> bool:
        """Compile S only on request: eager players were faster (docs/performance.md)."""
        return self.compile_is_requested() and super()._do_i_compile()

    def objective(self) -> dict[str, Any]:
        """Record that the loss is the critics' distance."""
        return {**super().objective(), "loss": "the critics' distance"}


def has_weights(module: nn.Module) -> bool:
    """Return whether a module has weights."""
    return any(True for _ in module.parameters())


def check_critic_fits(features: Sequence[int], layers: Sequence[int], patch: Sequence[int], batch_size: int) -> None:
    """Check that the critic's blocks have widths, enough voxels, and more than one value per feature.

    Args:
        features: feature maps of the critic's blocks, at most one per stage of the planned network.
        layers: the critic's layers that are compared. The critic has max(layers) blocks.
        patch: voxels per axis.
        batch_size: samples per step.

    Raises:
        InputError: the planned network has fewer stages than the critic has blocks, or the patch or the batch is too
            small for the blocks.
    """
    blocks = max(layers, default=0)
    size = " x ".join(map(str, patch))
    if len(features) < blocks <= len(PAPER_CRITIC_FEATURES):
        raise InputError(
            f"the planned network has {len(features)} stages, and the critic takes its widths from the first "
            f"{blocks}. Plan a deeper network (a larger patch), or give the widths in a subclass: critic_features()."
        )
    if min(patch) < 2**blocks:
        raise InputError(
            f"the planned patch {size} is too small: the critic halves every axis {blocks} times and needs "
            f"{2**blocks} voxels. Plan a larger patch: segan_nnunet plan --patch-size"
        )
    if blocks > 1 and batch_size * math.prod(axis // 2**blocks for axis in patch) < 2:
        raise InputError(
            f"a batch of {batch_size} with the patch {size} leaves a single value per feature in the critic's last "
            "block, and batch norm needs at least two. Plan a larger batch or patch: segan_nnunet plan "
            "--batch-size, --patch-size"
        )
