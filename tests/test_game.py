"""The two phases of the adversarial trainer, on a small trainer in this process."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from segan_nnunet.errors import InputError
from segan_nnunet.experiments.benchmark.candidates import AuthorsLoop
from segan_nnunet.objective import Critics, rescale_intensities
from segan_nnunet.training import AdversarialTrainer, ShortSchedule
from segan_nnunet.training.run.progress import plot_game
from tests.small_trainers import GameTrainer, a_batch, build, gradients_of, parameters, play


class DampedTrainer(GameTrainer):
    """Damp steps from rounding errors: biases before batch norm have a true gradient of 0."""

    optimizer_settings: ClassVar[dict[str, Any]] = {**GameTrainer.optimizer_settings, "eps": 1e-3}


@pytest.fixture
def trainer(nnunet_folders: Path) -> Any:
    return build(GameTrainer, nnunet_folders)


class AuthorsRound(AuthorsLoop):
    """The authors' round with our distance and our clamp, both written out here."""

    initial_lr = critic_initial_lr = DampedTrainer.initial_lr
    optimizer_class = torch.optim.RMSprop
    # our trainer corrects the bias to 0: in its first step the mean of squares equals the first square
    optimizer_settings: ClassVar[dict[str, Any]] = {"alpha": 0, "eps": 1e-3}
    critic_batch_norm_clamp = DampedTrainer.critic_batch_norm_clamp

    def difference(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return (one - other).abs().sum() / (one.abs().sum() + other.abs().sum())

    def clamp_critic(self) -> None:
        for module in self.critic.modules():
            limit = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.01
            for p in module.parameters(recurse=False):
                p.data.clamp_(-limit, limit)


def test_one_round_equals_one_round_of_the_authors_loop(nnunet_folders: Path) -> None:
    ours, theirs = (build(kind, nnunet_folders) for kind in (DampedTrainer, AuthorsRound))
    ours.autocast_dtype = None  # float32
    before = parameters(ours.network)
    for trainer in (ours, theirs):
        play(trainer, a_batch())
    for player in ("network", "critic"):
        for a, b in zip(*(getattr(trainer, player).parameters() for trainer in (ours, theirs)), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    assert max((a - b).abs().max() for a, b in zip(before, ours.network.parameters(), strict=True)) > 1e-4


def test_each_player_changes_only_in_its_own_phase(trainer: Any) -> None:
    batch = a_batch()
    image = rescale_intensities(batch["data"])
    predicted, truth = trainer.label_space.label_maps(trainer.network(batch["data"]), batch["target"])

    def moved(before: list[torch.Tensor], module: nn.Module) -> bool:
        return any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))

    segmentor, critic = parameters(trainer.network), parameters(trainer.critic)
    trainer.critic_phase(image, predicted.detach(), truth)
    assert moved(critic, trainer.critic) and not moved(segmentor, trainer.network)
    critic = parameters(trainer.critic)
    trainer.segmentor_phase(image, predicted, truth)
    assert moved(segmentor, trainer.network) and not moved(critic, trainer.critic)


def test_critic_climbs_and_segmentor_descends_the_same_distance(trainer: Any) -> None:
    trainer.autocast_dtype = None
    trainer.critic_clamp = trainer.critic_batch_norm_clamp = 10.0  # the clamp would undo part of the ascent
    for optimizer in (trainer.optimizer, trainer.critic_optimizer):
        optimizer.param_groups[0]["lr"] = 1e-5  # small enough for a first-order approximation
    batch = a_batch()
    image = rescale_intensities(batch["data"])
    trainer.network.train()

    def distance() -> float:
        with torch.no_grad():
            maps = trainer.label_space.label_maps(trainer.network(batch["data"]), batch["target"])
            return trainer.critic(image, *maps).mean().item()

    start = distance()
    predicted, truth = trainer.label_space.label_maps(trainer.network(batch["data"]), batch["target"])
    trainer.critic_phase(image, predicted.detach(), truth)
    climbed = distance()
    trainer.segmentor_phase(image, predicted, truth)
    assert start < climbed > distance()


def test_gradient_reaches_the_whole_segmentor(trainer: Any) -> None:
    gradients = gradients_of(trainer, a_batch())
    assert all(gradients[p].abs().sum() > 0 for p in trainer.network.decoder.seg_layers.parameters())
    assert all(p in gradients for p in trainer.network.parameters())
    assert all(p.grad is None for group in trainer.optimizer.param_groups for p in group["params"])


class Blind(nn.Module):
    """A critic that gives the same features for all label maps."""

    def forward(self, image: torch.Tensor, predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return 0 * predicted.sum()[None]


def test_a_blind_critic_gives_the_segmentor_no_gradient(nnunet_folders: Path) -> None:
    class WithBlindCritic(GameTrainer):
        def build_critic(self) -> Critics:
            return Critics([Blind()], {"all regions": [0, 1, 2]}, layers=(0,))

    trainer = build(WithBlindCritic, nnunet_folders)
    gradients = gradients_of(trainer, a_batch())
    assert all((gradients[p] == 0).all() for p in trainer.network.parameters())


class NoValueIsRead(TorchDispatchMode):
    """Fail when Python reads a tensor's value, because a step would then wait for the GPU.

    Adam may: it counts its steps in tensors that are on the CPU always.
    """

    in_optimizer = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        reads = func is torch.ops.aten._local_scalar_dense.default
        assert not reads or self.in_optimizer, "a tensor's value was read"
        return func(*args, **(kwargs or {}))

    def allow_reads_of(self, optimizer: torch.optim.Optimizer) -> None:
        optimizer.register_step_pre_hook(lambda *_: setattr(self, "in_optimizer", True))
        optimizer.register_step_post_hook(lambda *_: setattr(self, "in_optimizer", False))


def test_a_step_never_waits_for_the_device(trainer: Any) -> None:
    with NoValueIsRead() as watch:
        watch.allow_reads_of(trainer.optimizer)
        watch.allow_reads_of(trainer.critic_optimizer)
        play(trainer, a_batch())
        with pytest.raises(AssertionError, match="was read"):
            torch.ones(1).item()


def test_critic_weights_stay_inside_the_clamp(trainer: Any) -> None:
    trainer.critic_optimizer.param_groups[0]["lr"] = 0.5  # far outside the clamp
    for seed in range(4):
        for kind, limit, number in ((nn.Conv2d, 0.01, 3 * 3), (nn.BatchNorm2d, 1.0, 3 * 2 * 2)):
            weights = [p for m in trainer.critic.modules() if isinstance(m, kind) for p in m.parameters()]
            assert len(weights) == number  # regions, blocks with batch norm, weights and shifts of batch norm
            assert max(p.abs().max().item() for p in weights) <= limit, f"after {seed} rounds"
        play(trainer, a_batch(seed))


def test_the_first_steps_are_not_larger_than_the_rate(nnunet_folders: Path) -> None:
    """Adam without its first moment takes the steps of RMSProp times (1 − 0.99^t)^½. The first step equals the rate."""
    trainer = build(GameTrainer, nnunet_folders)
    ours, theirs = (nn.Parameter(torch.ones(3)) for _ in range(2))
    ours_by = trainer.optimizer_class([ours], lr=1e-3, **trainer.optimizer_settings)
    theirs_by = torch.optim.RMSprop([theirs], lr=1e-3, eps=0)
    for t in range(1, 5):
        before = ours.detach().clone(), theirs.detach().clone()
        ours.grad = theirs.grad = torch.tensor([1.0, -3.0, 20.0]) * t
        ours_by.step()
        theirs_by.step()
        steps = ours.detach() - before[0], theirs.detach() - before[1]
        torch.testing.assert_close(steps[0], steps[1] * (1 - 0.99**t) ** 0.5, rtol=1e-3, atol=1e-7)
        if t == 1:
            torch.testing.assert_close(steps[0].abs(), torch.full((3,), 1e-3), rtol=1e-3, atol=0)


def test_frozen_critics_keep_their_initial_weights(nnunet_folders: Path) -> None:
    class Frozen(GameTrainer):
        critic_learns = False

    trainer = build(Frozen, nnunet_folders)
    critic, segmentor = parameters(trainer.critic), parameters(trainer.network)
    output = play(trainer, a_batch())
    assert all(torch.equal(a, b) for a, b in zip(critic, trainer.critic.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(segmentor, trainer.network.parameters(), strict=True))
    assert float(output["critic_loss"]) == -float(output["loss"])


def test_the_layer_shares_are_logged_once_per_epoch(trainer: Any) -> None:
    for epoch in range(2):
        trainer.current_epoch = epoch
        trainer.on_train_epoch_start()
        trainer.on_train_epoch_end([play(trainer, a_batch(seed)) for seed in range(2)])
    logged = trainer.logger.get_checkpoint()["gradient_share_per_layer"]
    assert len(logged) == 2 and logged[0] != logged[1]
    for shares in logged:
        assert len(shares) == 4 and sum(shares) == pytest.approx(1, rel=1e-5) and min(shares) > 0


def test_measuring_the_shares_changes_no_weights(trainer: Any, nnunet_folders: Path) -> None:
    other = build(GameTrainer, nnunet_folders)
    other.layer_shares = torch.zeros(4)  # as after the first step of an epoch
    for player in (trainer, other):
        player.autocast_dtype = None
        play(player, a_batch())
    for ours, theirs in ((trainer.network, other.network), (trainer.critic, other.critic)):
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b)


class Halves(nn.Module):
    """A user's critic without weights: the distance between the two halves of a masked image."""

    def forward(self, image: torch.Tensor, predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        difference = (image * (predicted.mean(1, True) - truth.mean(1, True))).abs()
        return torch.stack([half.mean() for half in difference.chunk(2, dim=2)])


def test_a_user_critic_is_trained_logged_and_drawn(nnunet_folders: Path) -> None:
    class Mine(GameTrainer):
        def build_critic(self) -> Critics:
            return Critics([Halves(), Halves()], {"tumour": [0], "inside": [1, 2]}, layers=(0, 1))

    trainer = build(Mine, nnunet_folders)
    for epoch in range(2):
        trainer.current_epoch = epoch
        trainer.on_train_epoch_start()
        trainer.on_train_epoch_end([play(trainer, a_batch(seed)) for seed in range(2)])
        log = trainer.logger.get_checkpoint()
        assert len(log["distance_per_region"][epoch]) == len(log["distance_per_layer"][epoch]) == 2
    path = nnunet_folders / "progress_game.png"
    plot_game(log, trainer.critic.layers, list(trainer.critic.region_groups), path)
    assert path.stat().st_size > 10_000


def test_impossible_critics_are_refused_before_the_training(nnunet_folders: Path) -> None:
    class NoSuchLayer(GameTrainer):
        critic_layers = (0, 5)

    with pytest.raises(InputError, match="no critic layer 0, 5.*layers 0 .* to 3"):
        build(NoSuchLayer, nnunet_folders)
    trainer = build(GameTrainer, nnunet_folders)
    arguments = trainer.configuration_manager.configuration["architecture"]["arch_kwargs"]
    arguments["features_per_stage"] = [4, 8]
    with pytest.raises(InputError, match="2 stages.*first 3.*critic_features"):
        trainer.build_critic()
    arguments["features_per_stage"] = [4, 8, 16]
    trainer.configuration_manager.configuration["patch_size"] = [8, 8]
    trainer.batch_size = 1
    with pytest.raises(InputError, match="batch of 1 with the patch 8 x 8.*--batch-size"):
        trainer.build_critic()
    trainer.batch_size = 2
    trainer.build_critic()


def test_the_epoch_log_has_the_losses_of_both_players(trainer: Any) -> None:
    outputs = [play(trainer, a_batch(seed)) for seed in range(2)]
    for output in outputs:
        assert output["distances"].shape == (3, 4)  # regions, layers
        assert float(output["loss"]) == pytest.approx(float(output["distances"].mean()))
        assert output["critic_loss"] < 0 < output["loss"]
    trainer.on_train_epoch_end(outputs)
    log = trainer.logger.get_checkpoint()
    assert log["critic_losses"][0] == pytest.approx(float(sum(o["critic_loss"] for o in outputs)) / 2, rel=1e-5)
    assert sum(log["distance_per_layer"][0]) / 4 == pytest.approx(float(log["train_losses"][0]), rel=1e-5)


def test_the_rate_is_constant_for_the_paper_and_decays_in_the_short_schedule(nnunet_folders: Path) -> None:
    class Short(ShortSchedule, AdversarialTrainer):
        pass

    def rates(trainer: Any) -> list[tuple[float, float]]:
        result = []
        for epoch in range(3):
            trainer.current_epoch = epoch
            trainer.on_train_epoch_start()
            players = (trainer.optimizer, trainer.critic_optimizer)
            result.append(tuple(player.param_groups[0]["lr"] for player in players))
        return result

    assert rates(build(AdversarialTrainer, nnunet_folders)) == [(2e-5, 2e-5)] * 3
    decay = [(1 - epoch / ShortSchedule.num_epochs) ** 0.9 for epoch in range(3)]
    # the critics keep the rate that fits their clamp
    assert rates(build(Short, nnunet_folders)) == [pytest.approx((1e-3 * d, 2e-5 * d)) for d in decay]
