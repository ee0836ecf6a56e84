import pytest
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from segan_nnunet.errors import InputError
from segan_nnunet.networks import Critic, Segmentor
from segan_nnunet.objective import layer_distances

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}


def conv_layers(module: nn.Module) -> list[tuple[int, int, tuple[int, ...], tuple[int, ...]]]:
    return [
        (m.in_channels, m.out_channels, m.kernel_size, m.stride)
        for m in module.modules()
        if isinstance(m, nn.modules.conv._ConvNd)
    ]


def test_the_segmentor_equals_figure_1_layer_by_layer() -> None:
    segmentor = Segmentor(3, 3)
    down = [(i, o, (4, 4), (2, 2)) for i, o in ((3, 64), (64, 128), (128, 256), (256, 512))]
    # a decoder block takes the maps of the previous block and as many maps of the skip connection
    up = [(i, o, (3, 3), (1, 1)) for i, o in ((512, 256), (2 * 256, 128), (2 * 128, 64), (2 * 64, 3))]
    assert conv_layers(segmentor) == down + up
    norms = [type(m) for m in segmentor.encoder.modules() if not list(m.children())]
    assert norms[:2] == [nn.Conv2d, nn.LeakyReLU], "the first block has no batch norm"
    assert norms.count(nn.BatchNorm2d) == 3
    sizes = [tuple(x.shape[1:]) for x in segmentor.encoder(torch.zeros(1, 3, 160, 160))]
    assert sizes == [(64, 80, 80), (128, 40, 40), (256, 20, 20), (512, 10, 10)]
    assert segmentor(torch.zeros(1, 3, 160, 160)).shape == (1, 3, 160, 160)


def test_the_critic_equals_the_encoder_without_its_last_block_and_returns_its_input_first() -> None:
    critic = Critic(3)
    assert conv_layers(critic) == [(i, o, (4, 4), (2, 2)) for i, o in ((3, 64), (64, 128), (128, 256))]
    image = torch.rand(2, 3, 160, 160)
    features = critic(image)
    assert [tuple(f.shape[1:]) for f in features] == [(3, 160, 160), (64, 80, 80), (128, 40, 40), (256, 20, 20)]
    assert features[0] is image


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("size", [16, 32, 23, 40])
def test_the_segmentor_accepts_every_image_size_channel_count_and_region_count(dimension: int, size: int) -> None:
    segmentor = Segmentor(2, 5, CONVOLUTIONS[dimension], features_per_stage=(2, 3, 4, 5))
    shape = (size, 16, 20)[:dimension]
    assert segmentor(torch.rand(2, 2, *shape)).shape == (2, 5, *shape)


def test_padding_in_the_network_equals_padding_of_the_input() -> None:
    segmentor = Segmentor(1, 1, features_per_stage=(2, 3, 4, 5)).eval()
    image = torch.rand(1, 1, 20, 30)
    padded = torch.zeros(1, 1, 32, 32)
    padded[..., :20, :30] = image
    assert torch.equal(segmentor(image), segmentor(padded)[..., :20, :30])


def test_the_output_is_a_logit_of_either_sign() -> None:
    torch.manual_seed(0)
    segmentor = Segmentor(1, 1, features_per_stage=(4, 4, 4, 4))
    nn.init.normal_(segmentor.get_parameter("decoder.seg_layers.0.weight"))
    output = segmentor(torch.randn(2, 1, 32, 32))
    assert output.min() < 0 < output.max()


@pytest.mark.parametrize("dimension", [2, 3])
def test_nnunet_builds_the_segmentor_from_plans(dimension: int) -> None:
    arguments = {"conv_op": f"torch.nn.modules.conv.Conv{dimension}d", "features_per_stage": [8, 16, 32, 64]}
    network = get_network_from_plans(
        "segan_nnunet.networks.segmentor.Segmentor", arguments, ["conv_op"], 2, 3, deep_supervision=False
    )
    assert isinstance(network, Segmentor)
    second = network.get_submodule("encoder.stages.1.0")
    assert isinstance(second, nn.modules.conv._ConvNd) and second.bias is not None
    he = (2 / (1 + 0.2**2) / (second.weight[0].numel())) ** 0.5  # gain of LeakyReLU(0.2) over the square root of fan-in
    assert second.weight.std().item() == pytest.approx(he, rel=0.1), "nnU-Net applied our initialisation"
    assert (second.bias == 0).all()
    network.decoder.deep_supervision = True  # as nnU-Net does after a validation
    assert isinstance(network(torch.zeros(2, 2, *[16] * dimension)), torch.Tensor)


def test_deep_supervision_is_refused_with_a_remedy() -> None:
    with pytest.raises(InputError, match="nnUNetTrainerNoDeepSupervision"):
        Segmentor(1, 1, deep_supervision=True)


@pytest.mark.parametrize("space", [2, 3])
def test_features_and_their_gradients_keep_the_channels_last(space: int) -> None:
    """Gradients with another memory layout than their features make the whole backward pass reorder memory."""
    memory_format = torch.channels_last if space == 2 else torch.channels_last_3d
    critic = Critic(2, (4, 6, 8), CONVOLUTIONS[space])
    features = [critic(torch.rand(2, 2, *[16] * space))[1:] for _ in range(2)]
    layouts = []
    for output in (*features[0], *features[1]):
        assert output.is_contiguous(memory_format=memory_format)
        output.register_hook(lambda gradient: layouts.append(gradient.is_contiguous(memory_format=memory_format)))
    layer_distances(*features).sum().backward()
    assert layouts == [True] * 6
