"""The critic C of Figure 1, the encoder that the segmentor has too, and the clamp of C's weights (Section 2.4)."""

from collections.abc import Sequence

import torch
from dynamic_network_architectures.building_blocks.helper import get_matching_batchnorm
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import Tensor, nn

from segan_nnunet.errors import InputError

PAPER_CRITIC_FEATURES = (64, 128, 256)
PAPER_LAYERS = (0, 1, 2, 3)
CRITIC_BATCH_NORM_EPS = 1e-2
LEAKY_SLOPE = 0.2  # the paper gives none; this is the slope in the authors' released code
BATCH_NORM_EPS = 1e-5  # torch's default


class Encoder(nn.Module):
    """Blocks of Conv 4x4 stride 2, BatchNorm, LeakyReLU; the first block has no BatchNorm (Figure 1).

    Shapes: (B, C, *S) -> one tensor (B, features, *S / 2^stage) per stage. Every size in S must be even at every stage.

    Args:
        input_channels: C.
        features_per_stage: number of feature maps of each block.
        conv_op: nn.Conv2d or nn.Conv3d; decides the dimension of everything else.
        batch_norm_eps: added to the variances by which batch norm divides: it amplifies by at most eps^-1/2.
        bias: whether the convolutions have biases, which before batch norm are without effect.
    """

    def __init__(
        self,
        input_channels: int,
        features_per_stage: Sequence[int],
        conv_op: type[nn.Module],
        batch_norm_eps: float = BATCH_NORM_EPS,
        bias: bool = True,
    ) -> None:
        super().__init__()
        batch_norm = get_matching_batchnorm(conv_op)
        stages: list[nn.Module] = []
        for stage, features in enumerate(features_per_stage):
            layers: list[nn.Module] = [conv_op(input_channels, features, kernel_size=4, stride=2, padding=1, bias=bias)]
            if stage > 0:
                layers.append(batch_norm(features, eps=batch_norm_eps))
            layers.append(nn.LeakyReLU(LEAKY_SLOPE, inplace=True))
            stages.append(nn.Sequential(*layers))
            input_channels = features
        self.stages = nn.ModuleList(stages)
        # convolutions and resizing are fastest so (docs/performance.md); all that follows keeps it
        self.memory_format = torch.channels_last if conv_op is nn.Conv2d else torch.channels_last_3d

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the output of every stage, the largest first, with the channels last in memory."""
        x = x.contiguous(memory_format=self.memory_format)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


def initialize_weights(module: nn.Module) -> None:
    """Draw a convolution's weights as U-net and nnU-Net do (He et al., 2015); batch norm starts as the identity.

    So does the authors' released code. It also defines DCGAN's N(0, 0.02), which it does not call, and which is far too
    small for narrow layers: S then learns so slowly that the loss first drives every probability to 0, from where
    sigmoids hardly come back.
    """
    InitWeights_He(LEAKY_SLOPE)(module)


class Critic(nn.Module):
    """f_C of Eq. 2-3: hierarchical features of a masked image.

    Three blocks like those of the segmentor's encoder (Figure 1; the text's "decoder" is a slip). The features are
    those of L = 4 layers: the masked image itself (layer 0) and the outputs of the blocks (layers 1 to 3).

    Convolutions have no biases, as in the authors' released code: where both masked images are 0, layer 1 is too.

    Batch norm amplifies by at most 10 here. With torch's own eps of 1e-5 it is by up to 316, which makes any trace of a
    rare region as loud as a large one, and hides from the deeper layers how strong a predicted map is.

    Shapes: (B, C, *S) -> [(B, C, *S), (B, f1, *S/2), (B, f2, *S/4), (B, f3, *S/8)]; an odd size is rounded down on
    the way.

    Args:
        input_channels: C, the number of channels of the masked image.
        features_per_stage: feature maps of the blocks. Figure 1 prints none; the segmentor's first three are used.
        conv_op: nn.Conv2d or nn.Conv3d.
        layers: the layers whose features are returned; s0 and s3 of Section 3.1 are (0,) and (3,). Blocks above the
            last of them are not built: a critic of layer 0 alone has no weights.
        batch_norm_eps: of batch norm.

    Raises:
        InputError: a layer does not exist.
    """

    def __init__(
        self,
        input_channels: int,
        features_per_stage: Sequence[int] = PAPER_CRITIC_FEATURES,
        conv_op: type[nn.Module] = nn.Conv2d,
        layers: Sequence[int] = PAPER_LAYERS,
        batch_norm_eps: float = CRITIC_BATCH_NORM_EPS,
    ) -> None:
        super().__init__()
        if not layers or not all(0 <= layer <= len(features_per_stage) for layer in layers):
            raise InputError(
                f"there is no critic layer {', '.join(map(str, layers)) or '(none is named)'}: a critic of "
                f"{len(features_per_stage)} blocks has the layers 0 (the masked image) to {len(features_per_stage)}. "
                "critic_layers names those that are compared, critic_features() the blocks."
            )
        self.layers = tuple(layers)
        self.encoder = Encoder(input_channels, features_per_stage[: max(layers)], conv_op, batch_norm_eps, bias=False)
        self.apply(initialize_weights)

    def forward(self, masked_image: Tensor) -> list[Tensor]:
        """Return the features of the chosen layers, in their order."""
        features = [masked_image, *self.encoder(masked_image)]
        return [features[layer] for layer in self.layers]


@torch.no_grad()
def clamp_weights(module: nn.Module, limit: float, batch_norm_limit: float) -> None:
    """Put all parameters of the critics into a compact set, as after each critic step (Section 2.4).

    Theorem 1 rests on that set: only there is the critic's Lipschitz constant bounded. Convolutions take the paper's
    "e.g." 0.01. Batch norm's scales and shifts are parameters too. Left free they grow as long as the critic trains,
    and with them the loss; at 0.01, as in the authors' code, the deeper layers' features are a hundredth of the masked
    image's. At 1 the scale is what it starts from, and may only fall.

    Args:
        module: the critics.
        limit: of convolution kernels: 0.01 in the paper, 0.05 in the authors' code.
        batch_norm_limit: of batch norm's scales and shifts.
    """
    for layer in module.modules():
        is_batch_norm = isinstance(layer, nn.modules.batchnorm._BatchNorm)
        for parameter in layer.parameters(recurse=False):
            bound = batch_norm_limit if is_batch_norm else limit
            parameter.clamp_(-bound, bound)
