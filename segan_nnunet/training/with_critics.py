"""The critics' side of a training: how they are built, trained, clamped, logged and saved."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from dynamic_network_architectures.building_blocks.helper import convert_dim_to_conv_op
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from segan_nnunet.networks.critic import CRITIC_BATCH_NORM_EPS, PAPER_CRITIC_FEATURES, PAPER_LAYERS, Critic
from segan_nnunet.objective import (
    Critics,
    LabelSpace,
    MaskedCritic,
    clamp_weights,
    gradient_shares,
    layer_gradients,
    relative_distances,
)
from segan_nnunet.training.critic_checks import check_critic_fits
from segan_nnunet.training.resumable_trainer import ResumableTrainer
from segan_nnunet.training.run import game_log, objective_record
from segan_nnunet.training.run.progress import draw_or_say, plot_game


class WithCritics(ResumableTrainer):
    """A trainer that has critics beside nnU-Net's network, with the paper's optimiser; what S minimises is left open.

    The critics' parameters are in a compact set from the first step to the last (`clamp_weights`), as Theorem 1 wants,
    and with `relative_distances` the distance is at most 1 whatever they are.

    Attributes:
        critic_layers: the critic's layers that are compared, 0 the masked image itself (Section 2.2).
        critic_clamp: limit of the critics' convolutions, "e.g." 0.01 in the paper (Section 2.4).
        critic_batch_norm_clamp: limit of the scales and shifts of their batch norm; the paper names none of its own.
        critic_batch_norm_eps: of their batch norm.
        critic_initial_lr: the critics' learning rate; the paper's, for all networks (Section 2.3). It belongs to the
            clamp: a rate of a tenth of the clamp would move every weight from limit to limit within a few steps.
        critic_learns: False leaves the critics as they were drawn: a fixed multi-scale distance, without an adversary.
    """

    critic_layers: ClassVar[Sequence[int]] = PAPER_LAYERS
    critic_clamp = 0.01
    critic_batch_norm_clamp = 1.0
    critic_batch_norm_eps = CRITIC_BATCH_NORM_EPS
    critic_initial_lr = 2e-5
    critic_learns = True

    CRITIC_SETTINGS: ClassVar[tuple[str, ...]] = (
        "critic_layers",
        "critic_clamp",
        "critic_batch_norm_clamp",
        "critic_batch_norm_eps",
        "critic_learns",
    )

    critic: Critics
    critic_parts: list[nn.Module]
    layer_shares: Tensor | None = None  # (L,), of this epoch's first step

    @staticmethod
    def distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        """The terms of Eq. 3, (L,), from the features of two masked images; a variant may have `layer_distances`."""
        return relative_distances(features, other)

    def region_groups(self) -> dict[str, list[int]]:
        """The regions that each critic looks at, by the critic's name: one critic per region, S3-3C of Section 3.1."""
        return {name: [region] for region, name in enumerate(self.map_names())}

    def build_critic(self) -> Critics:
        """The critics, whose forward maps (image, S(x), y) to distances (critics, layers).

        Raises:
            InputError: the patch, or the batch of such patches, is too small for the critic's blocks; the planned
                network has fewer stages than the critic has blocks; a layer does not exist.
        """
        features, patch = self.critic_features(), self.configuration_manager.patch_size
        check_critic_fits(features, self.critic_layers, patch, self.batch_size)
        conv_op, eps = convert_dim_to_conv_op(len(patch)), self.critic_batch_norm_eps
        groups = self.region_groups()
        channels = [len(group) * self.num_images() for group in groups.values()]
        critics = (
            MaskedCritic(Critic(c, features, conv_op, self.critic_layers, eps), self.distances) for c in channels
        )
        return Critics(critics, groups, self.critic_layers)

    def num_images(self) -> int:
        """Channels of the data that are images; a cascade's second stage has the first one's answer behind them."""
        images = self.dataset_json.get("channel_names") or self.dataset_json["modality"]  # as nnU-Net reads them
        return len(images)

    def critic_features(self) -> tuple[int, ...]:
        """Feature maps of the critic's blocks: those of the planned network's first stages, which are the paper's."""
        planned = self.configuration_manager.network_arch_init_kwargs.get("features_per_stage", PAPER_CRITIC_FEATURES)
        return tuple(planned[: len(PAPER_CRITIC_FEATURES)])

    def initialize(self) -> None:
        """Build both players and their optimisers."""
        super().initialize()
        self.critic_optimizer, self.critic_lr_scheduler = self.optimizer_for(self.critic, self.critic_initial_lr)
        self.critic_grad_scaler = None if self.grad_scaler is None else torch.amp.GradScaler("cuda")
        self.critic_parts = list(self.critic.critics)
        if self.is_ddp and self.has_weights(self.critic):
            nn.SyncBatchNorm.convert_sync_batchnorm(self.critic)
            self.critic_parts = [self.distributed(part) for part in self.critic_parts]
        self.fill_log(epochs=0)

    def set_up_critics(self) -> None:
        """Build the critics, inside their compact set; for a trainer's `_build_loss`."""
        self.label_space = LabelSpace.of(self.label_manager)
        self.critic = self.build_critic().to(self.device)
        self.clamp_critic()
        # torch breaks graphs at synchronised batch norm
        if self.compile_is_asked_for() and self._do_i_compile() and not self.is_ddp:
            for part in self.critic.critics:
                part.compile()  # in place: what is saved and loaded stays the plain module

    @staticmethod
    def compile_is_asked_for() -> bool:
        """Whether nnUNet_compile says so: nnU-Net compiles without being asked, which made critics slower on a GPU."""
        return os.environ.get("nnUNet_compile", "").lower() in ("true", "1", "t")  # as nnU-Net reads it

    def clamp_critic(self) -> None:
        """Put the critics' parameters back into their compact set."""
        clamp_weights(self.critic, self.critic_clamp, self.critic_batch_norm_clamp)

    @staticmethod
    def has_weights(module: nn.Module) -> bool:
        """Whether there is anything to learn: critics of layer 0 alone have no weights."""
        return any(True for _ in module.parameters())

    def distributed(self, module: nn.Module) -> DistributedDataParallel:
        """Share a player's gradients among the processes of DDP."""
        return DistributedDataParallel(module, device_ids=[self.local_rank] if self.device.type == "cuda" else None)

    def fill_log(self, epochs: int) -> None:
        """Give our keys of the log a value for each of so many epochs, NaN where a checkpoint has none."""
        log = self.logger.local_logger.my_fantastic_logging
        for key, value in game_log.nothing(len(self.critic.critics), len(self.critic.layers)).items():
            values = log.setdefault(key, [])
            values += [value for _ in range(epochs - len(values))]

    def on_train_epoch_start(self) -> None:
        """Put both players into training, at this epoch's learning rate."""
        super().on_train_epoch_start()
        self.critic.train()
        self.critic_lr_scheduler.step(self.current_epoch)
        self.layer_shares = None

    def critic_phase(self, image: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Train C for one step with S fixed: max over θ_C of Eq. 2, then clamp. Returns the distances before it.

        Each critic is done with before the next one begins, so that the memory of one is enough for all; they share
        nothing, so that this is one step of all of them.

        Args:
            image: (B, C, *S), as `rescale_intensities` returns it.
            predicted: S(x), (B, R, *S), detached.
            truth: y, (B, R, *S).

        Returns:
            (K, L), per critic and layer.
        """
        self.critic.requires_grad_(True)
        distances = []
        for part, *maps in zip(self.critic_parts, *map(self.critic.views, (predicted, truth)), strict=True):
            with self.autocast():
                found = part(image, *maps)
            self.backward(-found.mean() / len(self.critic_parts), self.critic_grad_scaler)
            if self.has_weights(part):
                self.step(self.critic_optimizer, self.critic_grad_scaler)  # only this critic has gradients
            distances.append(found.detach())
        self.clamp_critic()
        return torch.stack(distances)

    def distances_felt(self, image: Tensor, maps: Tensor, truth: Tensor, scaler: torch.amp.GradScaler | None) -> Tensor:
        """The distances with C fixed, (K, L); the gradient of their mean is gathered in `maps.grad`, critic by critic.

        In an epoch's first step the gradients of the layers are looked at one by one, too.

        Args:
            image: (B, C, *S), as `rescale_intensities` returns it.
            maps: S(x), (B, R, *S), a leaf.
            truth: y, (B, R, *S).
            scaler: of the gradient.
        """
        self.critic.requires_grad_(False)
        measured = self.layer_shares is None
        distances, gradients = [], []
        # not the parts of DDP: those would wait for gradients of the critic, which gets none here
        for part, *views in zip(self.critic.critics, *map(self.critic.views, (maps, truth)), strict=True):
            with self.autocast():
                # forward is not compiled: what is can be gone through backwards only once
                found = part.forward(image, *views) if measured else part(image, *views)
            if measured:
                gradients.append(layer_gradients(self.scaled(found, scaler), maps))
            self.backward(found.mean() / len(self.critic_parts), scaler)
            distances.append(found.detach())
        if measured:
            self.layer_shares = gradient_shares(torch.stack(gradients).sum(0))
        return torch.stack(distances)

    def scaled(self, loss: Tensor, scaler: torch.amp.GradScaler | None) -> Tensor:
        """A loss as its player's gradient scaler wants it, so that float16 holds its gradients."""
        return loss if scaler is None else scaler.scale(loss)

    def backward(self, loss: Tensor, scaler: torch.amp.GradScaler | None) -> None:
        """Add the gradient of a loss, scaled where the player has a gradient scaler; none if it depends on nothing."""
        if loss.requires_grad:
            self.scaled(loss, scaler).backward()

    def step(self, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None) -> None:
        """One step of gradient descent; no player's gradients take memory while it is the other's turn."""
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad(set_to_none=True)

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Log the critic's side of the epoch beside nnU-Net's train_losses, which is the segmentor's."""
        outputs = [
            {key: value.cpu().numpy() if isinstance(value, Tensor) else value for key, value in output.items()}
            for output in train_outputs
        ]
        super().on_train_epoch_end(outputs)
        found = game_log.nothing(len(self.critic.critics), len(self.critic.layers))
        if self.layer_shares is not None:  # the critics have played
            means = game_log.epoch_means(outputs, self.layer_shares)
            if self.is_ddp:
                dist.all_reduce(means)
                means /= dist.get_world_size()
            found = game_log.entries(means, *outputs[0]["distances"].shape)
        for key, value in found.items():
            self.logger.log(key, value, self.current_epoch)

    def on_epoch_end(self) -> None:
        """Draw the game beside nnU-Net's progress.png."""
        super().on_epoch_end()
        if self.local_rank == 0:
            path = Path(self.output_folder) / "progress_game.png"
            log, regions = self.logger.get_checkpoint(), list(self.critic.region_groups)
            draw_or_say(lambda: plot_game(log, self.critic.layers, regions, path), path, self.print_to_log_file)

    def plugin_state(self) -> dict[str, Any]:
        """Add the critic and its optimiser: without them a resumed training would start a new game."""
        return {
            **super().plugin_state(),
            "critic_weights": self.critic.state_dict(),
            "critic_optimizer_state": self.critic_optimizer.state_dict(),
            "critic_grad_scaler_state": self.critic_grad_scaler and self.critic_grad_scaler.state_dict(),
        }

    def load_plugin_state(self, checkpoint: dict[str, Any]) -> None:
        """Restore the critic and its optimiser too; a training that branches off another without them begins them."""
        if self.begins_without("critic_weights", checkpoint):
            self.print_to_log_file(f"The critics begin here, after {checkpoint['branched_from']}.")
        else:
            game_log.check_same_layers(checkpoint["logging"], self.critic.layers)
            self.critic.load_state_dict(checkpoint["critic_weights"])
            self.critic_optimizer.load_state_dict(checkpoint["critic_optimizer_state"])
            if self.critic_grad_scaler is not None and checkpoint["critic_grad_scaler_state"] is not None:
                self.critic_grad_scaler.load_state_dict(checkpoint["critic_grad_scaler_state"])
        super().load_plugin_state(checkpoint)
        self.fill_log(self.current_epoch)

    def players(self) -> dict[str, nn.Module]:
        """Both players."""
        return {**super().players(), "critic": self.critic}

    def objective(self) -> dict[str, Any]:
        """Add what the critics compare, and how they are trained."""
        return {
            **super().objective(),
            **{name: getattr(self, name) for name in self.CRITIC_SETTINGS},
            "region_groups": list(self.critic.region_groups.values()),
            "critic_optimizer": objective_record.optimizer_record(self.critic_optimizer),
            "distances": objective_record.values_of(self.distances_on_probe),
        }

    def distances_on_probe(self) -> Tensor:
        """The distances between fixed features of two images."""
        dimension, layers = len(self.configuration_manager.patch_size), range(len(self.critic.layers))
        features, other = (
            [objective_record.probe(3, dimension=dimension, device=self.device, seed=first + n) for n in layers]
            for first in (0, len(layers))
        )
        return self.distances(features, other)
