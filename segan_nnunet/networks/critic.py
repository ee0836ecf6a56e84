"""The critic C of Figure 1, the encoder of C and S, and the clamp of C's weights (Section 2.4)."""

from collections.abc import Sequence

import torch
from dynamic_network_architectures.building_blocks.helper import get_matching_batchnorm
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import Tensor, nn

from segan_nnunet.errors import InputError

PAPER_CRITIC_FEATURES = (64, 128, 256)
PAPER_LAYERS = (0, 1, 2, 3)
CRITIC_BATCH_NORM_EPS = 1e-2
LEAKY_SLOPE = 0.2  # from the authors' released code; the paper gives no slope
BATCH_NORM_EPS = 1e-5  # torch's default


class Encoder(nn.Module):
    """Blocks of Conv 4x4 stride 2, BatchNorm, LeakyReLU; the first block has no BatchNorm (Figure 1).

    Shapes: (B, C, *S) -> one tensor (B, features, *S / 2^stage) per stage. Every size in S must be even at every stage.

    Args:
        input_channels: C.
        features_per_stage: number of feature maps of each block.
        conv_op: nn.Conv2d or nn.Conv3d. It sets the dimension of all layers.
        batch_norm_eps: eps of batch norm, which then amplifies by at most eps^-1/2.
        bias: whether the convolutions have biases. Before batch norm a bias has no effect.
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
        # convolutions and resizing are fastest in this format (docs/performance.md), and later layers keep it
        self.memory_format = torch.channels_last if conv_op is nn.Conv2d else torch.channels_last_3d

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the output of every stage, the largest first, in the channels-last memory format."""
        x = x.contiguous(memory_format=self.memory_format)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


def initialize_weights(module: nn.Module) -> None:
    """Draw a convolution's weights as U-net and nnU-Net do (He et al., 2015). Batch norm starts as the identity.

    The authors' released code does the same. It also defines DCGAN's N(0, 0.02) but does not use it. That is
    far too small for narrow layers: S then learns so slowly that the loss first drives every probability to 0, where
    sigmoids saturate.
    """
    InitWeights_He(LEAKY_SLOPE)(module)


class Critic(nn.Module):
    """f_C of Eq. 2 and 3: hierarchical features of a masked image.

    The critic has three blocks like the segmentor's encoder (Figure 1; the paper's text says "decoder" by mistake). It
    returns the features of L = 4 layers: the masked image itself (layer 0) and the outputs of the blocks (1 to 3).

    Convolutions have no biases, as in the authors' released code. So layer 1 is 0 where both masked images are 0.

    Batch norm amplifies by at most 10 here. With torch's default eps of 1e-5 it amplifies by up to 316. Then a trace of
    a rare region has features as large as a large region, and the deeper layers do not see how strong a predicted map
    is.

    Shapes: (B, C, *S) -> [(B, C, *S), (B, f1, *S/2), (B, f2, *S/4), (B, f3, *S/8)]. Each block rounds an odd size down.

    Args:
        input_channels: C, the number of channels of the masked image.
        features_per_stage: feature maps of the blocks. Figure 1 gives none for C, so S's first three are the default.
        conv_op: nn.Conv2d or nn.Conv3d.
        layers: the layers whose features are returned; s0 and s3 of Section 3.1 are (0,) and (3,). Blocks above the
            last of these layers are not built: a critic of layer 0 alone has no weights.
        batch_norm_eps: eps of batch norm.

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
                f"there is no critic layer {', '.join(map(str, layers)) or '(the list is empty)'}: a critic of "
                f"{len(features_per_stage)} blocks has the layers 0 (the masked image) to {len(features_per_stage)}. "
                "Correct critic_layers, the layers that are compared, or critic_features(), the widths of the blocks."
            )
        self.layers = tuple(layers)
        self.encoder = Encoder(input_channels, features_per_stage[: max(layers)], conv_op, batch_norm_eps, bias=False)
        self.apply(initialize_weights)

    def forward(self, masked_image: Tensor) -> list[Tensor]:
        """Return the features of `layers`, in their order."""
        features = [masked_image, *self.encoder(masked_image)]
        return [features[layer] for layer in self.layers]


@torch.no_grad()
def clamp_weights(module: nn.Module, limit: float, batch_norm_limit: float) -> None:
    """Clamp all parameters of the critics to a compact set, after each critic step (Section 2.4).

    Theorem 1 needs this set, because it bounds the critic's Lipschitz constant. The paper clamps convolutions to 0.01
    ("e.g."). The scales and shifts of batch norm are parameters too. Without a limit they grow as long as the critic
    trains, and the loss grows with them. With a limit of 0.01, as in the authors' code, the deeper layers' features are
    a hundredth of the masked image's. With a limit of 1 the scales start at the limit and can only fall.

    Args:
        module: the critics.
        limit: limit of convolution kernels: 0.01 in the paper, 0.05 in the authors' code.
        batch_norm_limit: limit of batch norm's scales and shifts.
    """
    for layer in module.modules():
        is_batch_norm = isinstance(layer, nn.modules.batchnorm._BatchNorm)
        for parameter in layer.parameters(recurse=False):
            bound = batch_norm_limit if is_batch_norm else limit
            parameter.clamp_(-bound, bound)
