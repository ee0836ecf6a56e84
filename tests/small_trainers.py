"""Build small trainers on hand-made plans and run them in the process of the test."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from segan_nnunet.experiments.benchmark import candidates
from segan_nnunet.networks import Critic
from segan_nnunet.networks.critic import PAPER_LAYERS
from segan_nnunet.objective import CriticDistance, Critics, Distances, relative_distances
from segan_nnunet.training import AdversarialTrainer, CriticBesideTrainer

LABELS = {"background": 0, "whole tumor": [1, 2, 3, 4], "tumor core": [1, 3, 4], "enhancing tumor": 4}
NETWORKS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}


class GameTrainer(AdversarialTrainer):
    """Train three epochs of two steps, both players at rate 1e-3."""

    num_epochs = 3
    num_iterations_per_epoch = 2
    initial_lr = critic_initial_lr = 1e-3


class Short(CriticBesideTrainer):
    """Train four epochs with the critics at a fixed share of the gradient."""

    critic_fraction = 0.3
    critic_fades = False
    num_epochs = 4
    save_every = 1


class Theirs(nnUNetTrainer):
    """nnU-Net's own trainer with the number of epochs of `Short`."""

    def initialize(self) -> None:
        self.num_epochs = Short.num_epochs
        super().initialize()


def build(
    trainer: type[Any],
    folders: Path,
    labels: dict[str, Any] = LABELS,
    before: Callable[[Any], None] = lambda trainer: None,
    architecture: dict[str, Any] | None = None,
    patch: Sequence[int] = (32, 32),
    device: str = "cpu",
    seed: int = 0,
) -> Any:
    """Build a trainer on hand-made plans: 2 channels, patch 32x32, batch 4, and by default a segmentor of width 4."""
    preprocessed = folders / "nnUNet_preprocessed" / "Dataset001_Tiny" / "nnUNetPlans_2d"
    preprocessed.mkdir(parents=True, exist_ok=True)
    (preprocessed / "case.b2nd").touch()  # nnU-Net recognises the data format from a file name
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "batch_size": 4,
        "patch_size": list(patch),
        "batch_dice": True,
        "architecture": architecture
        or {
            "network_class_name": "segan_nnunet.networks.segmentor.Segmentor",
            "arch_kwargs": {"conv_op": "torch.nn.modules.conv.Conv2d", "features_per_stage": [4, 8, 16, 32]},
            "_kw_requires_import": ["conv_op"],
        },
    }
    plans = {
        "dataset_name": "Dataset001_Tiny",
        "plans_name": "SegANPlans",
        "configurations": {"2d": configuration},
        "continue_training": False,
    }
    order = [2, 1, *range(4, 3 + len(labels))][: len(labels.keys() - {"background", "ignore"})]
    dataset = {"channel_names": {"0": "T1c", "1": "FLAIR"}, "labels": labels, "regions_class_order": order}
    built = trainer(plans, "2d", 0, json.loads(json.dumps(dataset)), torch.device(device))
    before(built)
    torch.manual_seed(seed)
    built.initialize()
    return built


def nnunet_architecture(dimension: int = 2, network: str = "PlainConvUNet") -> dict[str, Any]:
    """Return the plans entry of an nnU-Net network with four stages of width 2 to 4."""
    planned = candidates.nnunet_architecture(dimension, (2, 4, 4, 4), convolutions=1)
    planned["network_class_name"] = planned["network_class_name"].replace("PlainConvUNet", network)
    planned["arch_kwargs"][NETWORKS[network]] = planned["arch_kwargs"].pop("n_conv_per_stage")
    return planned


def critic_per_region(
    num_regions: int = 3,
    channels: int = 2,
    features: Sequence[int] = (4, 6, 8),
    conv_op: type[nn.Module] = nn.Conv2d,
    layers: Sequence[int] = PAPER_LAYERS,
    distances: Distances = relative_distances,
) -> Critics:
    torch.manual_seed(0)
    return Critics(
        (CriticDistance(Critic(channels, features, conv_op, layers), distances) for _ in range(num_regions)),
        {f"region {region}": [region] for region in range(num_regions)},
        layers,
    )


def a_batch(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 5, (4, 32, 32), generator=generator)
    target = torch.stack([labels > 0, (labels > 0) & (labels != 2), labels == 4], 1)
    return {"data": torch.randn(4, 2, 32, 32, generator=generator), "target": target}


def batch_of(trainer: Any, seed: int = 0, target: Tensor | None = None) -> dict[str, Any]:
    """Return a batch of noise with targets for every scale of deep supervision."""
    generator = torch.Generator().manual_seed(seed)
    patch = trainer.configuration_manager.patch_size
    if target is None:
        maps = 3 if trainer.label_manager.has_regions else 1
        values = torch.randint(0, 4, (4, maps, *patch), generator=generator)
        target = values > 1 if trainer.label_manager.has_regions else values
    scales = [[round(1 / factor) for factor in scale] for scale in trainer._get_deep_supervision_scales()]
    targets = []
    for steps in scales:
        every: tuple[Any, ...] = (..., *(slice(None, None, step) for step in steps))
        targets.append(target[every])
    return {"data": torch.randn(4, 2, *patch, generator=generator), "target": targets}


def parameters(module: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(parameters(one), parameters(other), strict=True))


def play(trainer: Any, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
    trainer.network.train()
    trainer.critic.train()
    return trainer.train_step(batch)


def epoch(trainer: Any, batches: list[dict[str, Any]]) -> None:
    """Run one epoch of training and validation, with nnU-Net's hooks and the checkpoint at the end."""
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    trainer.on_train_epoch_end([trainer.train_step(batch) for batch in batches])
    with torch.no_grad():
        trainer.on_validation_epoch_start()
        trainer.on_validation_epoch_end([trainer.validation_step(batch) for batch in batches])
    trainer.on_epoch_end()


def trained(kind: type[Any], folders: Path, epochs: int = 1) -> Any:
    """Return a trainer with nnU-Net's network after some epochs of two steps."""
    trainer = build(kind, folders, architecture=nnunet_architecture())
    for number in range(epochs):
        epoch(trainer, [batch_of(trainer, 2 * number), batch_of(trainer, 2 * number + 1)])
    return trainer


def gradients_of(trainer: Any, batch: dict[str, torch.Tensor]) -> dict[torch.Tensor, torch.Tensor]:
    """Play one round; return the gradient of each parameter at its optimiser step, which the trainer does not keep."""
    gradients: dict[torch.Tensor, torch.Tensor] = {}

    def record(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        assert not gradients.keys() & set(parameters), "each parameter is stepped once"
        gradients.update({p: p.grad.clone() for p in parameters})

    hooks = [one.register_step_pre_hook(record) for one in (trainer.optimizer, trainer.critic_optimizer)]
    play(trainer, batch)
    for hook in hooks:
        hook.remove()
    return gradients
