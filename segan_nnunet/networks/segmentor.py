"""The segmentor S of Figure 1, in the form that nnU-Net builds from plans."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim, get_matching_batchnorm
from torch import Tensor, nn

from segan_nnunet.errors import InputError
from segan_nnunet.networks.critic import Encoder, initialize_weights

PAPER_FEATURES = (64, 128, 256, 512)


class Decoder(nn.Module):
    """Blocks of resize x2, Conv 3x3, BatchNorm, ReLU, each joined with the skip of its size; then resize and Conv 3x3.

    Figure 1 does not show whether skips are added or concatenated. Here they are concatenated, as in U-net, which the
    paper follows, and in the authors' released code, which also resizes bilinearly.
    """

    deep_supervision = False  # nnU-Net sets this attribute on every decoder; this decoder has a single output

    def __init__(self, features_per_stage: Sequence[int], num_classes: int, conv_op: type[nn.Module]) -> None:
        super().__init__()
        batch_norm = get_matching_batchnorm(conv_op)
        self.resize_mode = "bilinear" if convert_conv_op_to_dim(conv_op) == 2 else "trilinear"
        stages: list[nn.Module] = []
        channels = features_per_stage[-1]
        for features in reversed(features_per_stage[:-1]):
            stages.append(
                nn.Sequential(
                    conv_op(channels, features, kernel_size=3, padding=1),
                    batch_norm(features),
                    nn.ReLU(inplace=True),
                )
            )
            channels = 2 * features  # with the skip
        self.stages = nn.ModuleList(stages)
        # nnU-Net skips keys with ".seg_layers." in pretrained weights, because the number of regions may differ
        self.seg_layers = nn.ModuleList([conv_op(channels, num_classes, kernel_size=3, padding=1)])

    def forward(self, skips: list[Tensor]) -> Tensor:
        """Map the encoder's outputs, the largest first, to logits of twice the size of the largest."""
        x = skips[-1]
        for stage, skip in zip(self.stages, reversed(skips[:-1]), strict=True):
            x = torch.cat((stage(self.resize(x)), skip), dim=1)
        return self.seg_layers[0](self.resize(x))

    def resize(self, x: Tensor) -> Tensor:
        """Double every spatial size ("image resize layer", Section 2.2)."""
        return F.interpolate(x, scale_factor=2, mode=self.resize_mode, align_corners=False)


class Segmentor(nn.Module):
    """Figure 1's fully convolutional encoder-decoder, four blocks down and four up, for 2-D and 3-D.

    Shapes: (B, input_channels, *S) -> logits (B, num_classes, *S). The network has no final nonlinearity: nnU-Net
    applies the sigmoid (regions) or softmax (labels). It accepts every image size: it pads each axis with zeros at the
    end to a multiple of 16 (2 to the number of stages), and crops the output.

    Args:
        input_channels: number of image channels.
        num_classes: number of output maps.
        conv_op: nn.Conv2d or nn.Conv3d.
        features_per_stage: feature maps of the encoder's blocks. The default is the paper's.
        deep_supervision: must be False, because the network has one output.

    Raises:
        InputError: deep_supervision is True.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        conv_op: type[nn.Module] = nn.Conv2d,
        features_per_stage: Sequence[int] = PAPER_FEATURES,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        if deep_supervision:
            raise InputError(
                "The network of SegANPlans has one output, and so no deep supervision. Train it with "
                "SegANTrainer, UNetSoftmaxTrainer or nnUNetTrainerNoDeepSupervision, or use -p nnUNetPlans."
            )
        self.encoder = Encoder(input_channels, features_per_stage, conv_op)
        self.decoder = Decoder(features_per_stage, num_classes, conv_op)
        self.size_multiple = 2 ** len(features_per_stage)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, *S) to logits (B, num_classes, *S)."""
        size = x.shape[2:]
        padding = [(-length) % self.size_multiple for length in size]
        if any(padding):
            x = F.pad(x, [p for length in reversed(padding) for p in (0, length)])
        logits = self.decoder(self.encoder(x))
        if any(padding):
            inside = (..., *(slice(length) for length in size))
            logits = logits[inside]
        return logits

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """Draw the weights of one module. nnU-Net applies this function to a new network."""
        initialize_weights(module)
