"""Small trainers on hand-made plans, played in the test's own process."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segan_nnunet.networks import Critic
from segan_nnunet.networks.critic import PAPER_LAYERS
from segan_nnunet.objective import Critics, Distances, MaskedCritic, relative_distances
from segan_nnunet.training import AdversarialTrainer

LABELS = {"background": 0, "whole tumor": [1, 2, 3, 4], "tumor core": [1, 3, 4], "enhancing tumor": 4}


class GameTrainer(AdversarialTrainer):
    """Three epochs of two steps, both players at 1e-3."""

    num_epochs = 3
    num_iterations_per_epoch = 2
    initial_lr = critic_initial_lr = 1e-3


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
    """A trainer on hand-made plans: 2 channels, patch 32x32, batch 4, a segmentor of width 4 unless one is given."""
    preprocessed = folders / "nnUNet_preprocessed" / "Dataset001_Tiny" / "nnUNetPlans_2d"
    preprocessed.mkdir(parents=True, exist_ok=True)
    (preprocessed / "case.b2nd").touch()  # nnU-Net tells the format of its data from a file's name
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
        (MaskedCritic(Critic(channels, features, conv_op, layers), distances) for _ in range(num_regions)),
        {f"region {region}": [region] for region in range(num_regions)},
        layers,
    )


def a_batch(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 5, (4, 32, 32), generator=generator)
    target = torch.stack([labels > 0, (labels > 0) & (labels != 2), labels == 4], 1)
    return {"data": torch.randn(4, 2, 32, 32, generator=generator), "target": target}


def parameters(module: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def play(trainer: Any, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
    trainer.network.train()
    trainer.critic.train()
    return trainer.train_step(batch)


def gradients_of(trainer: Any, batch: dict[str, torch.Tensor]) -> dict[torch.Tensor, torch.Tensor]:
    """Play a round; the gradient with which each parameter is stepped in it, of which a trainer keeps none."""
    found: dict[torch.Tensor, torch.Tensor] = {}

    def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        assert not found.keys() & set(parameters), "each parameter is stepped once"
        found.update({p: p.grad.clone() for p in parameters})

    hooks = [one.register_step_pre_hook(look) for one in (trainer.optimizer, trainer.critic_optimizer)]
    play(trainer, batch)
    for hook in hooks:
        hook.remove()
    return found
