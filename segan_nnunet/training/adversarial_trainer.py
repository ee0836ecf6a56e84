"""How nnU-Net's loop plays the game of Eq. 2."""

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
    SegmentorLoss,
    clamp_weights,
    gradient_shares,
    layer_gradients,
    relative_distances,
    rescale_intensities,
)
from segan_nnunet.training.critic_checks import check_critic_fits
from segan_nnunet.training.plugin_trainer import PluginTrainer
from segan_nnunet.training.run import game_log
from segan_nnunet.training.run.progress import plot_game


class AdversarialTrainer(PluginTrainer):
    """Trains the planned network as segmentor against critics, with the multi-scale L1 loss alone (Sections 2.1, 2.3).

    Each step is one of the critics (maximise, then clamp) and then one of the segmentor (minimise, with gradients
    that come only through the critics). The segmentor does not change between the two, so its output is computed once
    and serves both: the parameters become those of the authors' loop, which computes it twice.

    The critics' parameters are in a compact set from the first step to the last (`clamp_weights`), as Theorem 1 wants,
    and with `relative_distances` the loss is at most 1 whatever they are.

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
        channels = [len(group) * self.num_input_channels for group in groups.values()]
        critics = (
            MaskedCritic(Critic(c, features, conv_op, self.critic_layers, eps), self.distances) for c in channels
        )
        return Critics(critics, groups, self.critic_layers)

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

    def _build_loss(self) -> SegmentorLoss:
        """The critic is the loss: nnU-Net asks for it here, after the network."""
        self.label_space = LabelSpace.of(self.label_manager)
        self.critic = self.build_critic().to(self.device)
        self.clamp_critic()
        if self._do_i_compile():
            for part in self.critic.critics:
                part.compile()  # in place: what is saved and loaded stays the plain module
        return SegmentorLoss(self.critic, self.label_space, self.further_loss)

    def clamp_critic(self) -> None:
        """Put the critics' parameters back into their compact set."""
        clamp_weights(self.critic, self.critic_clamp, self.critic_batch_norm_clamp)

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """What S minimises beside the distance of Eq. 2, a scalar: nothing in the paper.

        Args:
            predicted: S(x), (B, R, *S).
            truth: y, (B, R, *S).
        """
        return predicted.new_zeros(())

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

    def segmentor_phase(self, image: Tensor, predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Train S for one step with C fixed: min over θ_S of Eq. 2. Returns its loss, and the distances.

        The gradient of S(x) is gathered from critic to critic, and then goes once through S. In an epoch's first step
        the gradients of the layers are looked at one by one, too.

        Args: as `critic_phase`, but for S(x), through which S is reached.
        """
        self.critic.requires_grad_(False)
        measured = self.layer_shares is None
        maps = predicted.detach().requires_grad_()
        distances, gradients = [], []
        # not the parts of DDP: those would wait for gradients of the critic, which gets none here
        for part, *views in zip(self.critic.critics, *map(self.critic.views, (maps, truth)), strict=True):
            with self.autocast():
                # forward is not compiled: what is can be gone through backwards only once
                found = part.forward(image, *views) if measured else part(image, *views)
            if measured:
                gradients.append(layer_gradients(self.scaled(found, self.grad_scaler), maps))
            self.backward(found.mean() / len(self.critic_parts), self.grad_scaler)
            distances.append(found.detach())
        if measured:
            self.layer_shares = gradient_shares(torch.stack(gradients).sum(0))
        further = self.further_loss(maps, truth)
        self.backward(further, self.grad_scaler)
        predicted.backward(maps.grad)
        self.step(self.optimizer, self.grad_scaler)
        all_distances = torch.stack(distances)
        return all_distances.mean() + further.detach(), all_distances

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
        assert self.layer_shares is not None  # for mypy: the epoch had a step
        means = game_log.epoch_means(outputs, self.layer_shares)
        if self.is_ddp:
            dist.all_reduce(means)
            means /= dist.get_world_size()
        for key, value in game_log.entries(means, *outputs[0]["distances"].shape).items():
            self.logger.log(key, value, self.current_epoch)

    def on_validation_epoch_start(self) -> None:
        """Put both players into evaluation."""
        super().on_validation_epoch_start()
        self.critic.eval()

    def validation_step(self, batch: dict) -> dict[str, Any]:
        """Validate as nnU-Net does; the loss is the segmentor's, under the critics of this epoch."""
        with self.autocast(), self.loss.looking_at(batch["data"].to(self.device, non_blocking=True)):
            return super().validation_step(batch)

    def on_epoch_end(self) -> None:
        """Draw the game beside nnU-Net's progress.png."""
        super().on_epoch_end()
        if self.local_rank == 0:
            path = Path(self.output_folder) / "progress_game.png"
            plot_game(self.logger.get_checkpoint(), self.critic.layers, list(self.critic.region_groups), path)

    def plugin_state(self) -> dict[str, Any]:
        """Add the critic and its optimiser: without them a resumed training would start a new game."""
        return {
            **super().plugin_state(),
            "critic_weights": self.critic.state_dict(),
            "critic_optimizer_state": self.critic_optimizer.state_dict(),
            "critic_grad_scaler_state": self.critic_grad_scaler and self.critic_grad_scaler.state_dict(),
        }

    def load_plugin_state(self, checkpoint: dict[str, Any]) -> None:
        """Restore the critic and its optimiser too."""
        self.critic.load_state_dict(checkpoint["critic_weights"])
        self.critic_optimizer.load_state_dict(checkpoint["critic_optimizer_state"])
        if self.critic_grad_scaler is not None and checkpoint["critic_grad_scaler_state"] is not None:
            self.critic_grad_scaler.load_state_dict(checkpoint["critic_grad_scaler_state"])
        super().load_plugin_state(checkpoint)
        self.fill_log(self.current_epoch)

    def player_weights(self, checkpoint: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The weights of both players in a checkpoint."""
        return {**super().player_weights(checkpoint), "critic": checkpoint["critic_weights"]}
