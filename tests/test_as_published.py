"""SegANTrainer_asPublished follows the statements of the paper. Expected values are computed by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch

from segan_nnunet.catalogues import load_trainers
from segan_nnunet.errors import InputError
from segan_nnunet.training import BalancedErrors
from tests.small_trainers import a_batch, build, gradients_of, play


@pytest.fixture
def published(nnunet_folders: Path) -> Any:
    trainer = build(load_trainers().SegANTrainer_asPublished, nnunet_folders)
    trainer.autocast_dtype = None
    return trainer


def test_the_critic_gets_intensities_from_0_to_1_and_compares_mean_absolute_differences(published: Any) -> None:
    batch = a_batch()
    data = batch["data"]
    extent = data.amax((2, 3), keepdim=True) - data.amin((2, 3), keepdim=True)
    image = (data - data.amin((2, 3), keepdim=True)) / extent
    predicted, truth = published.label_space.label_maps(published.network.train()(data), batch["target"])
    expected = []
    for region, critic in enumerate(published.critic.train().critics):
        masked = [image * maps[:, region : region + 1] for maps in (predicted, truth)]
        features = [[one, *critic.get_submodule("critic.encoder")(one)] for one in masked]  # layers 0 to 3
        expected.append(torch.stack([(a - b).abs().mean() for a, b in zip(*features, strict=True)]))
    published.critic_learns = False  # the distances of the step are then those of the unchanged critics
    torch.testing.assert_close(play(published, batch)["distances"], torch.stack(expected).detach())


def test_training_clamps_every_parameter_of_the_critic(published: Any) -> None:
    assert max(p.abs().max() for p in published.critic.parameters()) <= 0.01, "the clamp holds from the start"
    for parameter in published.critic.parameters():
        torch.nn.init.constant_(parameter, -7.0)
    play(published, a_batch())
    for name, parameter in published.critic.named_parameters():
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, -0.01), msg=name)


def test_the_first_step_of_rmsprop_is_ten_times_the_rate_for_both_players(published: Any) -> None:
    # v = 0.01 g², so the step is 2e-5 · g / (0.1 |g| + 1e-8): 2e-4 · sign(g) where |g| is far above 1e-7
    published.critic_clamp = published.critic_batch_norm_clamp = 1.0  # no effect
    before = {p: p.detach().clone() for player in (published.network, published.critic) for p in player.parameters()}
    gradients = gradients_of(published, a_batch())
    for player in (published.network, published.critic):
        steps = [before[p] - p.detach() for p in player.parameters() if p in gradients]
        of_player = [gradients[p] for p in player.parameters() if p in gradients]
        step, gradient = (torch.cat([value.flatten() for value in values]) for values in (steps, of_player))
        clear = gradient.abs() > 1e-4
        assert clear.any()
        torch.testing.assert_close(step[clear], 2e-4 * gradient[clear].sign(), rtol=2e-3, atol=1e-7)


def test_balanced_errors_refuse_distances_without_a_divisor(nnunet_folders: Path) -> None:
    balanced = type("Mine", (BalancedErrors, load_trainers().SegANTrainer_asPublished), {})
    with pytest.raises(InputError, match="Mine sets divisor_gradient, but its distances are not relative_distances"):
        play(build(balanced, nnunet_folders), a_batch())


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_balanced_errors_change_only_the_segmentor_phase(nnunet_folders: Path) -> None:
    catalogue = load_trainers()
    kinds = [type("Mine", (BalancedErrors, catalogue.SegANTrainer), {"divisor_gradient": dial}) for dial in (1.0, 0.0)]
    plain, same, balanced = (build(kind, nnunet_folders) for kind in (catalogue.SegANTrainer, *kinds))
    for trainer in (plain, same, balanced):
        trainer.autocast_dtype = None
        play(trainer, a_batch())
    assert all(torch.equal(a, b) for a, b in zip(plain.network.parameters(), same.network.parameters(), strict=True))
    assert any(
        not torch.equal(a, b) for a, b in zip(plain.network.parameters(), balanced.network.parameters(), strict=True)
    )
    assert all(torch.equal(a, b) for a, b in zip(plain.critic.parameters(), balanced.critic.parameters(), strict=True))
    assert balanced.critic.critics[0].distances is plain.critic.critics[0].distances, (
        "the trainer restores the distances"
    )
    assert balanced.objective()["divisor_gradient"] == 0
