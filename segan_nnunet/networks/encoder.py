"""The downward path that segmentor and critic share (Figure 1 of the paper)."""

from collections.abc import Sequence

import torch
from dynamic_network_architectures.building_blocks.helper import get_matching_batchnorm
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import Tensor, nn

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
