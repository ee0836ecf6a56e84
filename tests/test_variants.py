"""The ablations of Section 3.1 and the released recipe, on small trainers in this process."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from segan_nnunet.catalogues import load_trainers
from segan_nnunet.errors import InputError
from segan_nnunet.networks import Critic
from segan_nnunet.objective import (
    layer_distances,
    mask_image,
    rescale_intensities,
    soft_dice_distance,
)
from segan_nnunet.objective.nested_softmax import label_cross_entropy
from segan_nnunet.training import (
    AdversarialTrainer,
    PaperAugmentation,
    PaperTrainer,
    SeparateTrainer,
    SoftmaxTrainer,
)
from tests.small_trainers import LABELS, a_batch, build, critic_per_region, gradients_of, parameters, play

PLAIN_LABELS = {"background": 0, "edema": 1, "core": 2, "enhancing": 3}


@pytest.fixture
def separate(nnunet_folders: Path) -> Any:
    trainer = build(SeparateTrainer, nnunet_folders)
    trainer.autocast_dtype = None
    return trainer


def test_s1_1c_regions_do_not_influence_each_other(separate: Any) -> None:
    batch = a_batch()
    other = {"data": batch["data"], "target": batch["target"].clone()}
    other["target"][:, 1] = ~other["target"][:, 1]  # only the truth of the second region differs
    start = {name: value.clone() for name, value in separate.network.state_dict().items()}
    critic_start = {name: value.clone() for name, value in separate.critic.state_dict().items()}
    runs = []
    for this in (batch, other):
        separate.network.load_state_dict(start)
        separate.critic.load_state_dict(critic_start)
        separate.optimizer.state.clear()
        separate.critic_optimizer.state.clear()
        gradients = gradients_of(separate, this)
        runs.append(
            [
                tuple([gradients[p] for p in player.parameters()] for player in (segmentor, critic))
                for segmentor, critic in zip(separate.network.segmentors, separate.critic.critics, strict=True)
            ]
        )
    for region in range(3):
        for player in range(2):
            pairs = zip(runs[0][region][player], runs[1][region][player], strict=True)
            same = all(torch.equal(a, b) for a, b in pairs)
            assert same == (region != 1), (region, player)


def test_s1_1c_has_one_segmentor_per_region(separate: Any, nnunet_folders: Path) -> None:
    single = build(AdversarialTrainer, nnunet_folders)
    assert len(separate.network.segmentors) == len(separate.critic.critics) == 3
    x = torch.randn(2, 2, 32, 32)
    assert separate.network(x).shape == single.network(x).shape
    head = separate.network.segmentors[0].decoder.seg_layers[0]
    assert head.weight.shape[0] == 1


def test_s3_1c_has_one_critic_of_all_masked_images(nnunet_folders: Path) -> None:
    joint = load_trainers().SegANTrainer_S3_1C
    trainer = build(joint, nnunet_folders)
    (critic,) = (module for module in trainer.critic.modules() if isinstance(module, Critic))
    first = next(module for module in critic.modules() if isinstance(module, nn.Conv2d))
    assert first.in_channels == 3 * 2  # R·C
    output = play(trainer, a_batch())
    assert output["distances"].shape == (1, 4)


def test_joint_masking_concatenates_the_masked_images_of_all_regions() -> None:
    image, maps = torch.rand(2, 2, 8, 8), torch.rand(2, 3, 8, 8)
    joint = mask_image(image, maps)
    apart = torch.cat([mask_image(image, maps[:, region : region + 1]) for region in range(3)], dim=1)
    assert torch.equal(joint, apart)


def test_the_s0_loss_is_the_relative_difference_of_the_masked_images(nnunet_folders: Path) -> None:
    class MaskedImageAlone(AdversarialTrainer):
        critic_layers = (0,)

    trainer = build(MaskedImageAlone, nnunet_folders)
    assert not list(trainer.critic.parameters())
    image, predicted = torch.rand(2, 2, 16, 16), torch.rand(2, 3, 16, 16)
    truth = (torch.rand(2, 3, 16, 16) > 0.5).float()
    masked = [[image * maps[:, region : region + 1] for region in range(3)] for maps in (predicted, truth)]
    expected = [(a - b).abs().sum() / (a + b).sum() for a, b in zip(*masked, strict=True)]
    torch.testing.assert_close(trainer.critic(image, predicted, truth), torch.stack(expected)[:, None])
    before = parameters(trainer.network)
    output = play(trainer, a_batch())  # no critic is trained, but the segmentor learns
    assert output["distances"].shape == (3, 1) and output["critic_loss"] == pytest.approx(-output["loss"])
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.network.parameters(), strict=True))


def test_the_s3_critic_compares_only_the_last_layer() -> None:
    critic = critic_per_region(1, 2, (4, 8, 16), layers=(3,), distances=layer_distances).eval()
    image, predicted, truth = torch.rand(2, 2, 16, 16), torch.rand(2, 1, 16, 16), torch.ones(2, 1, 16, 16)
    encoder = critic.critics[0].get_submodule("critic.encoder")
    expected = (encoder(image * predicted)[-1] - encoder(image * truth)[-1]).abs().mean()
    torch.testing.assert_close(critic(image, predicted, truth), expected.view(1, 1))


def test_soft_dice_equals_values_computed_by_hand() -> None:
    # p = (1, 0.5), y = (1, 0): 2·1 / (1 + 0.25 + 1) = 8/9; an agreeing empty map: 1
    predicted = torch.tensor([[[1.0, 0.5], [0.0, 0.0]]])
    truth = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert float(soft_dice_distance(predicted, truth)) == pytest.approx((1 - 8 / 9 + 0) / 2, abs=1e-5)
    assert soft_dice_distance(truth, truth) == pytest.approx(0, abs=1e-6)


def test_the_released_recipe_adds_dice_only_to_the_segmentor_loss(nnunet_folders: Path) -> None:
    trainer = build(load_trainers().SegANDiceTrainer, nnunet_folders)
    trainer.autocast_dtype = None
    assert isinstance(trainer.optimizer, torch.optim.Adam) and isinstance(trainer.critic_optimizer, torch.optim.Adam)
    for optimizer in (trainer.optimizer, trainer.critic_optimizer):
        assert optimizer.param_groups[0]["lr"] == 2e-4 and optimizer.param_groups[0]["betas"] == (0.5, 0.999)
    batch = a_batch()
    with torch.no_grad():
        predicted, truth = trainer.label_space.label_maps(trainer.network.train()(batch["data"]), batch["target"])
        dice = soft_dice_distance(predicted, truth)
    output = play(trainer, batch)
    assert output["loss"] - output["distances"].mean() == pytest.approx(float(dice), abs=1e-5)
    assert max(p.abs().max() for p in trainer.critic.parameters()) <= 0.05, (
        "batch norm is clamped too, as in the released code"
    )
    trainer.network.eval()
    trainer.critic.eval()
    with torch.no_grad():
        validation = trainer.validation_step(batch)
        maps = trainer.label_space.label_maps(trainer.network(batch["data"]), batch["target"])
        game = trainer.critic(rescale_intensities(batch["data"]), *maps).mean()
    assert validation["loss"] == pytest.approx(float(game + soft_dice_distance(*maps)), abs=1e-5)


def ignoring(labels: dict[str, Any]) -> dict[str, Any]:
    return {**labels, "ignore": 5 if labels is LABELS else 4}


def label_batch(labels: dict[str, Any], ignored: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a batch of regions or of plain labels, with ignored voxels (B, H, W) marked as nnU-Net marks them."""
    batch = a_batch()
    if isinstance(labels.get("whole tumor"), list):
        return {**batch, "target": torch.cat((batch["target"], ignored[:, None]), 1)}
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(0, 4, (4, 1, 32, 32), generator=generator)
    return {**batch, "target": values.masked_fill(ignored[:, None], 4)}


@pytest.mark.parametrize("labels", [LABELS, PLAIN_LABELS], ids=["regions", "labels"])
@pytest.mark.parametrize(
    "kind", [AdversarialTrainer, SeparateTrainer, load_trainers().SegANDiceTrainer, SoftmaxTrainer]
)
def test_ignored_voxels_change_nothing_in_either_player(
    nnunet_folders: Path, kind: type[PaperTrainer], labels: dict[str, Any]
) -> None:
    """The output of S at ignored voxels must not matter: its gradient is 0 there and only there."""
    trainer: Any = build(kind, nnunet_folders, ignoring(labels))
    trainer.autocast_dtype = None
    ignored = torch.zeros(4, 32, 32, dtype=torch.bool)
    ignored[:, 8:20, 4:30] = True
    batch = label_batch(labels, ignored)
    trainer.on_train_epoch_start()
    if isinstance(trainer, SoftmaxTrainer):
        trainer.network.set_order(trainer.region_order())
    outputs = []

    def keep(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    trainer.network.register_forward_hook(keep)
    trainer.train_step(batch)
    (output,) = outputs
    assert output.grad is not None
    gradient = output.grad.abs().sum(1)
    assert (gradient[ignored] == 0).all() and (gradient[~ignored] > 0).float().mean() > 0.9
    if isinstance(trainer, AdversarialTrainer):
        masks, other = (
            trainer.label_space.label_maps(output.detach() + shift * ignored[:, None], batch["target"])
            for shift in (0, 9)
        )
        assert all(torch.equal(a, b) for a, b in zip(masks, other, strict=True)), "the critics get the same input"


def test_cross_entropy_of_plain_labels_equals_values_computed_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0, 5.0], [0.0, 1.0, 5.0]]])  # (1, 2 classes, 3 voxels)
    target = torch.tensor([[[0, 1, 2]]])
    expected = torch.tensor([0.5, torch.e / (1 + torch.e)]).log().mean().neg()
    torch.testing.assert_close(label_cross_entropy(logits, target, ignore_label=2), expected)
    torch.testing.assert_close(label_cross_entropy(logits[..., :2], target[..., :2]), expected)
    assert label_cross_entropy(logits, torch.full_like(target, 2), 2) == 0, "a batch of only ignored voxels"


def test_the_softmax_baseline_on_plain_labels_uses_the_planned_network(nnunet_folders: Path) -> None:
    trainer = build(SoftmaxTrainer, nnunet_folders, PLAIN_LABELS)
    trainer.network.set_order(trainer.region_order())
    x = torch.randn(1, 2, 32, 32)
    trainer.network.eval()
    assert torch.equal(trainer.network(x), trainer.network.network(x)) and trainer.network(x).shape[1] == 4
    rebuilt = SoftmaxTrainer.build_network_architecture(
        trainer.plans_manager, trainer.configuration_manager, 2, 4, enable_deep_supervision=False
    ).eval()
    rebuilt.load_state_dict(trainer.network.state_dict())  # as in nnUNetv2_predict, which does not know the labels
    assert torch.equal(rebuilt(x), trainer.network(x))


def test_a_game_on_depth_constant_volumes_equals_the_2d_game() -> None:
    """Kernels with half the 2-D weight in the inner two of four slices compute the same as 2-D kernels."""
    flat = critic_per_region(2, 3, (4, 8, 16), nn.Conv2d).train()
    deep = critic_per_region(2, 3, (4, 8, 16), nn.Conv3d).train()
    for name, weight in deep.state_dict().items():
        planar = flat.state_dict()[name]
        if weight.ndim == 5:
            weight.zero_()
            weight[:, :, 1:3] = planar[:, :, None] / 2
        else:
            weight.copy_(planar)
    image, truth = torch.rand(2, 3, 16, 16), (torch.rand(2, 2, 16, 16) > 0.5).float()
    predicted = torch.rand(2, 2, 16, 16, requires_grad=True)
    volume = predicted.detach()[:, :, None].repeat(1, 1, 8, 1, 1).requires_grad_()
    distances_2d = flat(image, predicted, truth)
    distances_3d = deep(image[:, :, None].expand(-1, -1, 8, -1, -1), volume, truth[:, :, None].expand_as(volume))
    torch.testing.assert_close(distances_3d, distances_2d, atol=1e-5, rtol=1e-4)
    distances_2d.mean().backward()
    distances_3d.mean().backward()
    assert predicted.grad is not None and volume.grad is not None
    torch.testing.assert_close(volume.grad.sum(2), predicted.grad, atol=1e-6, rtol=1e-3)


def test_float16_scales_the_gradients_of_each_player_separately(nnunet_folders: Path) -> None:
    trainer = build(AdversarialTrainer, nnunet_folders)
    trainer.autocast_dtype = torch.float16
    trainer.grad_scaler, trainer.critic_grad_scaler = (torch.amp.GradScaler("cpu", init_scale=2.0**s) for s in (10, 12))
    before = parameters(trainer.network), parameters(trainer.critic)
    play(trainer, a_batch())
    scales = trainer.grad_scaler.get_scale(), trainer.critic_grad_scaler.get_scale()
    assert scales == (2.0**10, 2.0**12), "neither scaler overflowed, and there are two"
    for values, module in zip(before, (trainer.network, trainer.critic), strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(values, module.parameters(), strict=True))


def test_the_paper_augmentation_only_crops_at_random(nnunet_folders: Path) -> None:
    class Paper(PaperAugmentation, AdversarialTrainer):
        pass

    trainer = build(Paper, nnunet_folders)
    _, dummy_2d, initial_patch, mirror_axes = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    assert not dummy_2d and list(initial_patch) == [32, 32] and mirror_axes is None
    assert trainer.inference_allowed_mirroring_axes is None and trainer.oversample_foreground_percent == 0
    transforms = trainer.get_training_transforms([32, 32], None, None, None, False, regions=[(1, 2), (2,)])
    image, labels = torch.randn(2, 32, 32), torch.randint(0, 3, (1, 32, 32))
    done = transforms(image=image.clone(), segmentation=labels.clone())
    assert torch.equal(done["image"], image)
    assert torch.equal(done["segmentation"].bool(), torch.cat((labels > 0, labels == 2)))


def test_the_trainer_refuses_the_second_stage_of_a_cascade_and_tiny_patches(nnunet_folders: Path) -> None:
    trainer = build(AdversarialTrainer, nnunet_folders)
    plans = {**copy.deepcopy(trainer.plans_manager.plans), "continue_training": False}
    plans["configurations"]["2d"]["previous_stage"] = "3d_lowres"
    with pytest.raises(InputError, match="second stage of a cascade.*Train 3d_fullres"):
        AdversarialTrainer(plans, "2d", 0, trainer.dataset_json, torch.device("cpu"))
    trainer.configuration_manager.configuration["patch_size"] = [4, 32]
    with pytest.raises(InputError, match="patch 4 x 32 is too small.*needs 8 voxels.*--patch-size"):
        trainer.build_critic()


def test_a_critic_returns_the_requested_layers() -> None:
    masked = torch.rand(1, 2, 16, 16)
    features = Critic(2, (4, 8, 16), nn.Conv2d, layers=(0, 2)).eval()(masked)
    assert features[0] is masked and features[1].shape == (1, 8, 4, 4)
    assert layer_distances(features, features).tolist() == [0, 0]
