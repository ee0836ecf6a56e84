import pytest
import torch
import torch.nn.functional as F

from segan_nnunet.errors import InputError
from segan_nnunet.objective.nested_softmax import (
    class_cross_entropy,
    class_log_probabilities,
    nested_cross_entropy,
    nesting_order,
    region_logits,
)

WHOLE, CORE, ENHANCING = (1, 2, 3, 4), (1, 3, 4), (4,)


@pytest.fixture
def class_logits() -> torch.Tensor:
    torch.manual_seed(0)
    return 3 * torch.randn(2, 3, 5, 7, dtype=torch.float64).float()


def softmax_with_background(class_logits: torch.Tensor) -> torch.Tensor:
    return torch.softmax(F.pad(class_logits, (0, 0, 0, 0, 1, 0)), dim=1)  # the logit of the background is 0


def test_sigmoid_of_the_logits_is_the_summed_class_probability(class_logits: torch.Tensor) -> None:
    classes = softmax_with_background(class_logits)
    summed = torch.stack([classes[:, region:].sum(1) for region in (1, 2, 3)], 1)
    torch.testing.assert_close(torch.sigmoid(region_logits(class_logits)), summed)


def test_regions_are_nested_by_construction(class_logits: torch.Tensor) -> None:
    for scale in (1, 30):
        logits = region_logits(scale * class_logits)
        assert (logits[:, :-1] >= logits[:, 1:]).all()


def test_class_probabilities_sum_to_1_and_are_the_softmax(class_logits: torch.Tensor) -> None:
    classes = class_log_probabilities(region_logits(class_logits)).exp()
    torch.testing.assert_close(classes.sum(1), torch.ones(2, 5, 7))
    torch.testing.assert_close(classes, softmax_with_background(class_logits), atol=2e-6, rtol=1e-4)


def test_equal_class_logits_give_the_probabilities_computed_by_hand() -> None:
    # four equally probable classes give regions of 3/4, 2/4, 1/4
    regions = torch.sigmoid(region_logits(torch.zeros(1, 3, 1, 1))).flatten()
    torch.testing.assert_close(regions, torch.tensor([0.75, 0.5, 0.25]))
    masks = torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1, 1)
    loss = nested_cross_entropy(region_logits(torch.zeros(1, 3, 1, 1)), masks)
    assert loss.item() == pytest.approx(torch.log(torch.tensor(4.0)).item(), rel=1e-5)


def test_loss_and_gradient_equal_those_of_cross_entropy(class_logits: torch.Tensor) -> None:
    true_class = torch.randint(0, 4, (2, 5, 7))
    masks = torch.stack([true_class >= region for region in (1, 2, 3)], 1).float()
    ours, theirs = class_logits.clone().requires_grad_(), class_logits.clone().requires_grad_()
    loss = nested_cross_entropy(region_logits(ours), masks)
    expected = F.cross_entropy(F.pad(theirs, (0, 0, 0, 0, 1, 0)), true_class)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)
    loss.backward()
    expected.backward()
    # one per cent if the true class is nearly excluded: float32 logits of its two regions then hardly differ
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-2, atol=1e-5)


def test_extreme_logits_give_a_finite_loss() -> None:
    logits = torch.tensor([80.0, -80.0, 80.0]).view(1, 3, 1, 1).requires_grad_()
    nested_cross_entropy(region_logits(logits), torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1, 1)).backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_an_excluded_true_class_has_the_gradient_of_cross_entropy() -> None:
    # background, core and enhancing at e^0, e^40, e^40, and the true class, edema, at e^-40
    logits = torch.tensor([-40.0, 40.0, 40.0]).view(1, 3, 1, 1).requires_grad_()
    class_cross_entropy(logits, torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.flatten(), torch.tensor([-1.0, 0.5, 0.5]))


def test_training_and_validation_loss_are_equal(class_logits: torch.Tensor) -> None:
    masks = torch.stack([torch.rand(2, 5, 7) > threshold for threshold in (0.2, 0.5, 0.8)], 1).float().cumprod(1)
    valid = (torch.rand(2, 1, 5, 7) > 0.3).float()
    for counted in (None, valid):
        nested = nested_cross_entropy(region_logits(class_logits), masks, counted)
        torch.testing.assert_close(class_cross_entropy(class_logits, masks, counted), nested, rtol=1e-4, atol=0)


def test_the_loss_excludes_ignored_voxels(class_logits: torch.Tensor) -> None:
    masks, valid = torch.zeros(2, 3, 5, 7), torch.zeros(2, 1, 5, 7)
    valid[..., 0] = 1
    logits = region_logits(class_logits)
    expected = nested_cross_entropy(logits[..., :1], masks[..., :1])
    torch.testing.assert_close(nested_cross_entropy(logits, masks, valid), expected)


def test_the_region_order_follows_inclusion_not_the_dataset() -> None:
    assert nesting_order([ENHANCING, WHOLE, CORE], ["et", "wt", "tc"]) == [1, 2, 0]


def test_an_error_names_regions_that_do_not_nest() -> None:
    with pytest.raises(InputError, match=r"'cavity' \[5\].*'tumor core' \[1, 3, 4\]"):
        nesting_order([WHOLE, CORE, (5,)], ["whole tumor", "tumor core", "cavity"])
