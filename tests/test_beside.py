"""Critics beside nnU-Net's loss change nnU-Net's own training only as intended."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.models.export import trainer_of_network
from segan_nnunet.objective import add_gradient, rescale_intensities
from segan_nnunet.training import CriticBesideTrainer
from tests.small_trainers import (
    LABELS,
    NETWORKS,
    Short,
    Theirs,
    batch_of,
    build,
    epoch,
    nnunet_architecture,
    parameters,
    same,
    trained,
)

PLAIN = {"background": 0, "edema": 1, "core": 2, "enhancing tumor": 3}

pytestmark = pytest.mark.usefixtures("without_progress_png")


class Without(Short):
    critic_fraction = 0.0


class Late(Short):
    critic_from = 0.5


class Frozen(Short):
    critic_learns = False


class Further(Frozen):
    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        return (predicted - truth).square().mean()


def test_the_added_gradient_has_the_given_share_of_the_norm_and_keeps_its_direction() -> None:
    output, weight = torch.zeros(3, requires_grad=True), torch.zeros(())
    incoming, added = torch.tensor([3.0, 0.0, 4.0]), torch.tensor([0.0, 2.0, 0.0])  # norms 5 and 2
    add_gradient(output, added, 0.3, weight).backward(incoming)
    assert output.grad is not None
    torch.testing.assert_close(output.grad, torch.tensor([3.0, 1.5, 4.0]))  # 0.3 * 5 = 1.5
    assert weight.item() == pytest.approx(0.75)  # 1.5 / 2


@pytest.mark.parametrize("added", [[0.0, 0.0], [math.nan, math.inf], [1.0, 1.0]])
def test_a_zero_fraction_or_a_bad_gradient_adds_nothing(added: list[float]) -> None:
    """At fraction 0, or with non-finite critic gradients, the gradient equals the incoming gradient exactly."""
    output, weight = torch.zeros(2, requires_grad=True), torch.zeros(())
    incoming = torch.tensor([0.1, -0.7])
    add_gradient(output, torch.tensor(added), 0.0 if added == [1.0, 1.0] else 0.3, weight).backward(incoming)
    assert output.grad is not None and torch.equal(output.grad, incoming)


@pytest.mark.parametrize("kind", [Without, Late])
def test_training_without_critic_weight_equals_nnunet_training_bit_for_bit(
    nnunet_folders: Path, kind: type[Any]
) -> None:
    ours, theirs = trained(kind, nnunet_folders, 2), trained(Theirs, nnunet_folders, 2)
    assert same(ours.network, theirs.network)
    logs = [trainer.logger.local_logger.my_fantastic_logging for trainer in (ours, theirs)]
    for key in ("train_losses", "val_losses", "lrs", "mean_fg_dice"):
        assert logs[0][key] == logs[1][key]
    assert all(math.isnan(value) for value in logs[0]["critic_losses"] + logs[0]["critic_weights"])


def test_initialising_the_critics_keeps_nnunet_random_numbers(nnunet_folders: Path) -> None:
    random_values = []
    for kind in (Short, Theirs):
        build(kind, nnunet_folders, architecture=nnunet_architecture())
        random_values.append(torch.rand(4))
    assert torch.equal(*random_values)


def test_the_critic_fraction_decreases_to_zero(nnunet_folders: Path) -> None:
    trainer = build(CriticBesideTrainer, nnunet_folders, architecture=nnunet_architecture())
    assert [trainer.fraction_at(progress) for progress in (0, 0.25, 0.5, 1)] == [1, 0.75, 0.5, 0]
    trainer.critic_from = 0.5
    assert [trainer.fraction_at(progress) for progress in (0, 0.25, 0.5, 0.75)] == [0, 0, 1, 0.5]


def test_late_critics_start_after_their_share_of_the_epochs(nnunet_folders: Path) -> None:
    trainer = trained(Late, nnunet_folders, 3)
    losses = trainer.logger.local_logger.my_fantastic_logging["critic_losses"]
    assert [math.isnan(value) for value in losses] == [True, True, False]


@pytest.mark.parametrize("frozen", [Frozen, Further])
def test_the_step_descends_the_nnunet_loss_plus_the_weighted_distance(
    nnunet_folders: Path, frozen: type[CriticBesideTrainer]
) -> None:
    """The gradient of every parameter equals autograd's of loss + λ · distance, with the logged λ."""
    trainer = build(frozen, nnunet_folders, architecture=nnunet_architecture())
    trainer.autocast_dtype = None
    batch = batch_of(trainer)
    trainer.on_train_epoch_start()

    output = trainer.network(batch["data"])
    loss = trainer.loss.loss(output, batch["target"])
    maps = trainer.label_space.label_maps(output[0], batch["target"][0])
    distance = trainer.critic(rescale_intensities(batch["data"]), *maps).mean() + trainer.further_loss(*maps)
    players = list(trainer.network.parameters())
    of_loss = torch.autograd.grad(loss, [output[0], *players], retain_graph=True, allow_unused=True)
    of_distance = torch.autograd.grad(distance, [output[0], *players], allow_unused=True)

    gradients: list[Tensor | None] = []
    trainer.optimizer.register_step_pre_hook(lambda *_: gradients.extend(player.grad for player in players))
    step = trainer.train_step(batch)
    assert of_loss[0] is not None and of_distance[0] is not None
    expected = 0.3 * of_loss[0].norm() / of_distance[0].norm()
    assert step["critic_weight"] == pytest.approx(expected.item(), rel=1e-4)
    assert step["loss"] == pytest.approx(loss.item()), "the log has nnU-Net's loss"
    for gradient, one, other in zip(gradients, of_loss[1:], of_distance[1:], strict=True):
        if one is None:
            continue
        assert gradient is not None
        total = one if other is None else one + expected * other
        torch.testing.assert_close(gradient, total, rtol=1e-3, atol=1e-5)


def test_critics_learn_and_stay_within_the_clamp(nnunet_folders: Path) -> None:
    trainer = build(Short, nnunet_folders, architecture=nnunet_architecture())
    before = parameters(trainer.critic)
    for number in range(3):
        epoch(trainer, [batch_of(trainer, number)])
    after = parameters(trainer.critic)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.abs().max() <= trainer.critic_batch_norm_clamp for p in after)
    assert trainer.logger.local_logger.my_fantastic_logging["critic_weights"][-1] > 0
    assert (Path(trainer.output_folder) / "progress_game.png").is_file()


def test_a_resumed_training_equals_the_uninterrupted_one_bit_for_bit(nnunet_folders: Path) -> None:
    whole = trained(Short, nnunet_folders, 2)
    trained(Short, nnunet_folders, 1)
    resumed = build(Short, nnunet_folders, architecture=nnunet_architecture())
    resumed.load_checkpoint(str(Path(resumed.output_folder) / "checkpoint_latest.pth"))
    epoch(resumed, [batch_of(resumed, 2), batch_of(resumed, 3)])
    assert same(whole.network, resumed.network) and same(whole.critic, resumed.critic)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("patch", [(16, 16), (16, 16, 16)], ids=["2d", "3d"])
@pytest.mark.parametrize("labels", [LABELS, PLAIN], ids=["regions", "labels"])
def test_critics_beside_the_loss_train_nnunet_networks_on_every_kind_of_target(
    nnunet_folders: Path, network: str, patch: Sequence[int], labels: dict[str, Any]
) -> None:
    trainer = build(Short, nnunet_folders, labels, architecture=nnunet_architecture(len(patch), network), patch=patch)
    before = parameters(trainer.network)
    epoch(trainer, [batch_of(trainer)])
    assert any(not torch.equal(a, b) for a, b in zip(before, parameters(trainer.network), strict=True))
    assert trainer.logger.local_logger.my_fantastic_logging["critic_weights"][-1] > 0


@pytest.mark.parametrize("labels", [LABELS, PLAIN], ids=["regions", "labels"])
def test_ignored_voxels_give_no_gradient(nnunet_folders: Path, labels: dict[str, Any]) -> None:
    """The gradient of the full-resolution output is 0 at ignored voxels."""
    trainer = build(
        Short, nnunet_folders, {**labels, "ignore": 5 if labels is LABELS else 4}, architecture=nnunet_architecture()
    )
    ignored = torch.zeros(4, 1, 32, 32, dtype=torch.bool)
    ignored[..., 8:20, 4:30] = True
    values = torch.randint(0, 4, (4, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    target = torch.cat([values > 0, values > 1, values > 2, ignored], 1)
    batch = batch_of(trainer, target=target if labels is LABELS else values.masked_fill(ignored, 4))
    outputs = []

    def keep(module: Any, args: Any, output: Any) -> None:
        output[0].retain_grad()
        outputs.append(output[0])

    trainer.network.register_forward_hook(keep)
    trainer.on_train_epoch_start()
    trainer.train_step(batch)
    gradient = outputs[0].grad.abs().sum(1, keepdim=True)
    assert (gradient[ignored] == 0).all() and (gradient[~ignored] > 0).float().mean() > 0.9


def test_an_export_needs_only_the_nnunet_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", str(catalogue_folder("trainers")))
    assert trainer_of_network("nnUNetTrainerSegAN") == ("nnUNetTrainer", [])
    assert trainer_of_network("nnUNetTrainerSegAN_50epochs_seed1") == ("nnUNetTrainer", [])
