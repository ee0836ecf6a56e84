from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from segan_nnunet.networks.critic import Critic, clamp_weights
from segan_nnunet.objective import (
    CriticDistance,
    Critics,
    LabelSpace,
    concatenated_distances,
    layer_distances,
    mask_image,
    relative_distances,
    rescale_intensities,
)
from segan_nnunet.objective.multiscale_l1 import absolute_sum
from segan_nnunet.training.run.game_log import gradient_shares, layer_gradients
from tests.small_trainers import critic_per_region

REGIONS = LabelSpace(has_regions=True, num_maps=3)


def test_layer_distances_by_hand() -> None:
    a = [torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0, 3.0]])]
    b = [torch.tensor([[1.0, 6.0]]), torch.tensor([[0.0, 3.0, 0.0]])]
    # layer 0: (0 + 4) / 2; layer 1: (0 + 3 + 3) / 3
    assert layer_distances(a, b).tolist() == [2.0, 2.0]


def test_relative_distances_by_hand() -> None:
    a = [torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0, 3.0]]), torch.zeros(1, 2)]
    b = [torch.tensor([[1.0, -6.0]]), torch.tensor([[0.0, 3.0, 0.0]]), torch.zeros(1, 2)]
    # layer 0: (0 + 8) / (3 + 7); layer 1: nothing in common; layer 2: all zero
    torch.testing.assert_close(relative_distances(a, b), torch.tensor([0.8, 1.0, 0.0]))


def test_relative_distance_of_a_label_map_is_the_soft_dice_distance() -> None:
    predicted = torch.rand(2, 1, 8, 8)
    truth = (torch.rand(2, 1, 8, 8) > 0.5).float()
    expected = 1 - 2 * (predicted * truth).sum() / (predicted.sum() + truth.sum())
    torch.testing.assert_close(relative_distances([predicted], [truth])[0], expected)


def test_relative_distances_do_not_depend_on_the_feature_scale() -> None:
    a, b = ([torch.randn(2, 4, 8, 8), torch.randn(2, 6, 4, 4)] for _ in range(2))
    scaled = [[features * scale for features, scale in zip(f, (1e-3, 1e3), strict=True)] for f in (a, b)]
    torch.testing.assert_close(relative_distances(scaled[0], scaled[1]), relative_distances(a, b))


def test_concatenated_distances_equal_the_single_mean_of_the_released_code() -> None:
    a, b = ([torch.randn(2, 3, 8, 8), torch.randn(2, 4, 4, 4), torch.randn(2, 5, 2, 2), torch.randn(2, 6, 1, 1)]
            for _ in range(2))  # fmt: skip
    results = [torch.cat([scale * f.flatten(1) for f, scale in zip(x, (1, 1, 2, 4), strict=True)], 1) for x in (a, b)]
    expected = (results[0] - results[1]).abs().mean()
    torch.testing.assert_close(concatenated_distances(a, b).mean(), expected)


def test_distances_of_half_precision_features_are_float32() -> None:
    half = [torch.ones(4, dtype=torch.bfloat16)]
    for distances in (layer_distances, relative_distances, concatenated_distances):
        assert distances(half, half).dtype == torch.float32


def test_a_distance_of_the_user_in_half_precision_becomes_float32() -> None:
    def squared(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        return torch.stack([(a - b).square().mean() for a, b in zip(features, other, strict=True)])

    image = torch.ones(1, 1, 4, 4, dtype=torch.bfloat16)
    critic = CriticDistance(Critic(1, layers=(0,)), squared)
    distances = critic(image, torch.zeros_like(image), torch.ones_like(image))
    assert distances.dtype is torch.float32 and distances.tolist() == [1.0]


def test_an_absolute_sum_has_the_signs_as_gradient_in_the_precision_of_the_features() -> None:
    features = torch.tensor([-2.0, 0.0, 0.5], dtype=torch.bfloat16, requires_grad=True)
    total = absolute_sum(features)
    (3 * total).backward()
    assert total.dtype is torch.float32 and total.item() == 2.5
    assert features.grad is not None and features.grad.dtype is torch.bfloat16
    assert features.grad.tolist() == [-3.0, 0.0, 3.0]


def test_masking_is_pixelwise_multiplication_of_every_channel() -> None:
    image = torch.tensor([[[[2.0, 3.0]], [[5.0, 7.0]]]])  # (1, 2, 1, 2)
    mask = torch.tensor([[[[0.0, 0.5]]]])
    assert mask_image(image, mask).tolist() == [[[[0.0, 1.5]], [[0.0, 3.5]]]]


def test_rescaling_is_linear_onto_the_range_per_sample_and_channel() -> None:
    image = torch.tensor([[[[-1.0, 0.0, 3.0]], [[10.0, 10.0, 10.0]]], [[[0.0, 5.0, 10.0]], [[-2.0, -4.0, -3.0]]]])
    # (v - min) / (max - min) * 0.9 + 0.1; a constant channel is all 0.1
    expected = [[[[0.1, 0.325, 1.0]], [[0.1, 0.1, 0.1]]], [[[0.1, 0.55, 1.0]], [[1.0, 0.1, 0.55]]]]
    torch.testing.assert_close(rescale_intensities(image, lowest=0.1), torch.tensor(expected))


@pytest.mark.parametrize("background", [0.0, -0.4, 1.0])
def test_masks_influence_the_distance_where_the_image_is_background(background: float) -> None:
    # raw images are 0 outside the brain; z-scored with the background, they are darkest there
    image = torch.full((2, 1, 16, 16), background)
    image[..., 2:4, 2:4] = 3.0
    predicted = torch.full((2, 1, 16, 16), 0.3, requires_grad=True)
    truth = torch.zeros(2, 1, 16, 16)
    truth[..., 2:4, 2:4] = 1
    critic_per_region(1, 1)(rescale_intensities(image), predicted, truth).mean().backward()
    assert predicted.grad is not None
    assert (predicted.grad != 0).all()


@pytest.mark.parametrize("conv_op", [nn.Conv2d, nn.Conv3d])
def test_loss_is_zero_when_prediction_equals_truth(conv_op: type[nn.Module]) -> None:
    shape = (16,) * (2 if conv_op is nn.Conv2d else 3)
    truth = (torch.rand(2, 3, *shape) > 0.5).float()
    distances = critic_per_region(conv_op=conv_op)(torch.rand(2, 2, *shape), truth, truth)
    assert distances.shape == (3, 4)
    assert (distances == 0).all()


def test_layer_0_is_the_relative_difference_of_the_masked_images() -> None:
    image, predicted = torch.rand(2, 2, 16, 16), torch.rand(2, 3, 16, 16)
    truth = (torch.rand(2, 3, 16, 16) > 0.5).float()
    distances = critic_per_region()(image, predicted, truth)
    for region in range(3):
        difference, both = ((predicted + sign * truth)[:, region, None] * image for sign in (-1, 1))
        assert distances[region, 0].item() == pytest.approx((difference.abs().sum() / both.sum()).item(), rel=1e-5)


def test_each_critic_depends_only_on_its_own_region() -> None:
    critics = critic_per_region()
    image, predicted = torch.rand(2, 2, 16, 16), torch.rand(2, 3, 16, 16, requires_grad=True)
    distances = critics(image, predicted, (torch.rand(2, 3, 16, 16) > 0.5).float())
    distances[1].sum().backward()
    assert predicted.grad is not None
    moved = predicted.grad.abs().sum((0, 2, 3)) > 0
    assert moved.tolist() == [False, True, False]
    for region, critic in enumerate(critics.critics):
        gradients = [p.grad for p in critic.parameters() if p.grad is not None]
        assert any(gradient.abs().sum() > 0 for gradient in gradients) == (region == 1)


def test_prediction_and_truth_do_not_share_batch_statistics() -> None:
    # the features of the truth must not depend on the prediction
    critics, image = critic_per_region(1, 1), torch.rand(2, 1, 16, 16)
    truth = (torch.rand(2, 1, 16, 16) > 0.5).float()
    critic = critics.critics[0].get_submodule("critic")
    features = [f.clone() for f in critic(mask_image(image, truth))]
    for predicted in (torch.zeros_like(truth), torch.ones_like(truth)):
        alone = critic(mask_image(image, predicted))
        expected = torch.stack(
            [(a - b).abs().sum() / (a.abs() + b.abs()).sum() for a, b in zip(alone, features, strict=True)]
        )
        torch.testing.assert_close(critics(image, predicted, truth)[0], expected)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_divisor_gradient_sets_the_weight_of_missed_against_false_voxels(share: float) -> None:
    # p = (0.2, 0.6), y = (1, 0): r = (0.8 + 0.6) / (1.2 + 0.6); dr/dp = (d|p - y| - share * r * d|p|) / divisor
    predicted, truth = torch.tensor([[0.2, 0.6]], requires_grad=True), torch.tensor([[1.0, 0.0]])
    (relative,) = relative_distances([predicted], [truth], share)
    relative.backward()
    r, divisor = 1.4 / 1.8, 1.8
    assert float(relative.detach()) == pytest.approx(r)
    assert predicted.grad is not None
    missed, false = predicted.grad.flatten().tolist()
    assert missed == pytest.approx((-1 - share * r) / divisor) and false == pytest.approx((1 - share * r) / divisor)


def test_the_clamp_limits_every_parameter() -> None:
    critics = critic_per_region()
    for parameter in critics.parameters():
        nn.init.constant_(parameter, -7.0)
    clamp_weights(critics, 0.01, 1.0)
    for module in critics.modules():
        for parameter in module.parameters(recurse=False):
            bound = -1.0 if isinstance(module, nn.BatchNorm2d) else -0.01
            torch.testing.assert_close(parameter, torch.full_like(parameter, bound))


def test_the_loss_is_at_most_1_for_any_critic() -> None:
    """The critic trains alone, unclamped and at a large rate, against a fixed segmentor."""
    critics = critic_per_region(1, 2)
    image, predicted, truth = torch.rand(4, 2, 16, 16), 0.5 * torch.rand(4, 1, 16, 16), torch.zeros(4, 1, 16, 16)
    truth[..., 4:9, 4:9] = 1
    optimizer = torch.optim.RMSprop(critics.parameters(), lr=0.1)
    distances = []
    for _ in range(300):
        optimizer.zero_grad()
        distances.append(critics(image, predicted, truth))
        (-distances[-1].mean()).backward()
        optimizer.step()
    assert max(p.abs().max() for p in critics.parameters()) > 3, "the critic diverged"
    assert all((d <= 1 + 1e-6).all() for d in distances)  # up to rounding
    assert distances[-1].mean() > distances[0].mean(), "the critic reached the upper bound"


def test_layer_shares_are_shares_of_the_gradient_norms() -> None:
    maps = torch.tensor([[[[1.0, 1.0]]]], requires_grad=True)
    distances = torch.stack([(maps * torch.tensor([3.0, 4.0])).sum(), (maps * torch.tensor([0.0, 15.0])).sum()])
    gradients = layer_gradients(distances, maps)
    assert gradients.flatten(1).tolist() == [[3.0, 4.0], [0.0, 15.0]]
    assert gradient_shares(gradients).tolist() == [0.25, 0.75]  # norms 5 and 15
    assert gradient_shares(torch.zeros(2, 1, 1, 1)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("groups", [[[0], [1], [2]], [[0, 1, 2]], [[0, 2], [1]]])
def test_each_critic_gets_the_regions_of_its_group(groups: list[list[int]]) -> None:
    shown = []

    class Look(nn.Module):
        def forward(self, image: torch.Tensor, predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
            shown.append((predicted, truth))
            return torch.zeros(1)

    critics = Critics([Look() for _ in groups], {str(group): group for group in groups}, layers=(0,))
    predicted, truth = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert critics(torch.rand(2, 1, 4, 4), predicted, truth).shape == (len(groups), 1)
    for group, (p, y) in zip(groups, shown, strict=True):
        assert torch.equal(p, predicted[:, group]) and torch.equal(y, truth[:, group])


def test_an_unequal_number_of_critics_and_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="1 critics need as many groups"):
        Critics([nn.Identity()], {"a": [0], "b": [1]})


def test_region_maps_are_sigmoids_and_masks() -> None:
    logits, target = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2, dtype=torch.bool)
    predicted, truth = REGIONS.label_maps(logits, target)
    assert (predicted == 0.5).all() and (truth == 1).all()


def test_label_maps_are_softmax_of_the_foreground() -> None:
    space = LabelSpace(has_regions=False, num_maps=2)
    logits = torch.log(torch.tensor([2.0, 3.0, 5.0])).view(1, 3, 1, 1)  # probabilities 0.2, 0.3, 0.5
    predicted, truth = space.label_maps(logits, torch.tensor([[[[2]]]]))
    torch.testing.assert_close(predicted.flatten(), torch.tensor([0.3, 0.5]))
    assert truth.flatten().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("has_regions", [True, False])
def test_label_maps_and_gradients_exclude_ignored_voxels(has_regions: bool) -> None:
    space = LabelSpace(has_regions, num_maps=1, ignore_label=2)
    logits = torch.randn(1, 1 if has_regions else 2, 16, 16, requires_grad=True)
    ignored = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    ignored[..., :8, :] = True
    if has_regions:
        target = torch.cat((torch.rand(1, 1, 16, 16) > 0.5, ignored), 1)
    else:
        target = torch.where(ignored, 2, torch.randint(0, 2, (1, 1, 16, 16)))
    predicted, truth = space.label_maps(logits, target)
    assert (predicted[..., :8, :] == 0).all() and (truth[..., :8, :] == 0).all()
    critic_per_region(1, 1)(torch.rand(1, 1, 16, 16), predicted, truth).mean().backward()
    assert logits.grad is not None
    assert (logits.grad[..., :8, :] == 0).all() and (logits.grad[..., 8:, :] != 0).any()
