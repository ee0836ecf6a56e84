import pytest
import torch
from torch import nn

from segan_nnunet.objective import (
    CriticPerRegion,
    LabelSpace,
    SegmentorLoss,
    clamp_weights,
    layer_distances,
    mask_image,
    rescale_intensities,
)

REGIONS = LabelSpace(has_regions=True, num_maps=3)


def small_critics(num_regions: int = 3, channels: int = 2, conv_op: type[nn.Module] = nn.Conv2d) -> CriticPerRegion:
    torch.manual_seed(0)
    return CriticPerRegion(num_regions, channels, (4, 6, 8), conv_op)


def test_layer_distances_by_hand() -> None:
    a = [torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0, 3.0]])]
    b = [torch.tensor([[1.0, 6.0]]), torch.tensor([[0.0, 3.0, 0.0]])]
    # layer 0: (0 + 4) / 2; layer 1: (0 + 3 + 3) / 3
    assert layer_distances(a, b).tolist() == [2.0, 2.0]


def test_distances_are_float32_also_of_half_precision_features() -> None:
    half = [torch.ones(4, dtype=torch.bfloat16)]
    assert layer_distances(half, half).dtype == torch.float32


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
def test_masks_are_felt_where_the_image_is_background(background: float) -> None:
    # raw images are 0 outside the brain; z-scored with the background in, they are darkest there
    image = torch.full((2, 1, 16, 16), background)
    image[..., 2:4, 2:4] = 3.0
    predicted = torch.full((2, 1, 16, 16), 0.3, requires_grad=True)
    small_critics(1, 1)(rescale_intensities(image), predicted, torch.zeros(2, 1, 16, 16)).mean().backward()
    assert predicted.grad is not None
    assert (predicted.grad != 0).all()


def test_the_paper_range_would_lose_masks_at_the_darkest_voxels() -> None:
    image = rescale_intensities(torch.tensor([[[[0.0, 0.0, 1.0]]]]), lowest=0.0)
    predicted = torch.full((1, 1, 1, 3), 0.3, requires_grad=True)
    layer_distances([mask_image(image, predicted)], [torch.zeros(1, 1, 1, 3)]).sum().backward()
    assert predicted.grad is not None
    assert predicted.grad[0, 0, 0, :2].tolist() == [0.0, 0.0], "the fault that rescale_intensities avoids"


@pytest.mark.parametrize("conv_op", [nn.Conv2d, nn.Conv3d])
def test_loss_is_zero_when_prediction_equals_truth(conv_op: type[nn.Module]) -> None:
    shape = (16,) * (2 if conv_op is nn.Conv2d else 3)
    truth = (torch.rand(2, 3, *shape) > 0.5).float()
    distances = small_critics(conv_op=conv_op)(torch.rand(2, 2, *shape), truth, truth)
    assert distances.shape == (3, 4)
    assert (distances == 0).all()


def test_layer_0_is_the_mean_absolute_difference_of_the_masked_images() -> None:
    image, predicted = torch.rand(2, 2, 16, 16), torch.rand(2, 3, 16, 16)
    truth = (torch.rand(2, 3, 16, 16) > 0.5).float()
    distances = small_critics()(image, predicted, truth)
    for region in range(3):
        difference = (predicted - truth)[:, region, None] * image
        assert distances[region, 0].item() == pytest.approx(difference.abs().mean().item(), rel=1e-5)


def test_each_critic_looks_at_its_own_region_only() -> None:
    critics = small_critics()
    image, predicted = torch.rand(2, 2, 16, 16), torch.rand(2, 3, 16, 16, requires_grad=True)
    distances = critics(image, predicted, torch.zeros(2, 3, 16, 16))
    distances[1].sum().backward()
    assert predicted.grad is not None
    moved = predicted.grad.abs().sum((0, 2, 3)) > 0
    assert moved.tolist() == [False, True, False]
    for region, critic in enumerate(critics.critics):
        gradients = [p.grad for p in critic.parameters() if p.grad is not None]
        assert any(gradient.abs().sum() > 0 for gradient in gradients) == (region == 1)


def test_prediction_and_truth_do_not_share_batch_statistics() -> None:
    # the features of the truth must not depend on the prediction that is looked at beside it
    critics, image = small_critics(1, 1), torch.rand(2, 1, 16, 16)
    truth = (torch.rand(2, 1, 16, 16) > 0.5).float()
    critic = critics.critics[0].get_submodule("critic")
    features = [f.clone() for f in critic(mask_image(image, truth))]
    for predicted in (torch.zeros_like(truth), torch.ones_like(truth)):
        alone = critic(mask_image(image, predicted))
        expected = torch.stack([(a - b).abs().mean() for a, b in zip(alone, features, strict=True)])
        torch.testing.assert_close(critics(image, predicted, truth)[0], expected)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_clamp_reaches_convolutions_and_batch_norm_only_if_asked_to(batch_norm: bool) -> None:
    critics = small_critics()
    clamp_weights(critics, 0.01, batch_norm)
    for module in critics.modules():
        largest = max((p.abs().max().item() for p in module.parameters(recurse=False)), default=0.0)
        if isinstance(module, nn.BatchNorm2d) and not batch_norm:
            assert largest == 1.0, "batch norm starts as the identity"
        else:
            assert largest <= 0.01 + 1e-9


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
def test_ignored_voxels_reach_neither_player(has_regions: bool) -> None:
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
    small_critics(1, 1)(torch.rand(1, 1, 16, 16), predicted, truth).mean().backward()
    assert logits.grad is not None
    assert (logits.grad[..., :8, :] == 0).all() and (logits.grad[..., 8:, :] != 0).any()


def test_segmentor_loss_asks_for_the_image() -> None:
    critics = small_critics()
    loss = SegmentorLoss(critics.eval(), REGIONS)
    logits, target = torch.randn(1, 3, 16, 16), torch.rand(1, 3, 16, 16) > 0.5
    with pytest.raises(RuntimeError, match="looking_at"):
        loss(logits, target)
    image = torch.randn(1, 2, 16, 16)
    with loss.looking_at(image):
        value = loss(logits, target)
    expected = critics(rescale_intensities(image), torch.sigmoid(logits), target.float()).mean()
    torch.testing.assert_close(value, expected)
    assert loss.image is None
