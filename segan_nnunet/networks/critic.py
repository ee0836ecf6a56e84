"""The critic C of Figure 1."""

from collections.abc import Sequence

from torch import Tensor, nn

from segan_nnunet.networks.encoder import Encoder, initialize_weights

PAPER_CRITIC_FEATURES = (64, 128, 256)
PAPER_LAYERS = (0, 1, 2, 3)


class Critic(nn.Module):
    """f_C of Eq. 2-3: hierarchical features of a masked image.

    Three blocks like those of the segmentor's encoder (Figure 1; the text's "decoder" is a slip). The features are
    those of L = 4 layers: the masked image itself (layer 0) and the outputs of the blocks (layers 1 to 3).

    Shapes: (B, C, *S) -> [(B, C, *S), (B, f1, *S/2), (B, f2, *S/4), (B, f3, *S/8)]; an odd size is rounded down on
    the way.

    Args:
        input_channels: C, the number of channels of the masked image.
        features_per_stage: feature maps of the blocks. Figure 1 prints none; the segmentor's first three are used.
        conv_op: nn.Conv2d or nn.Conv3d.
        layers: the layers whose features are returned; s0 and s3 of Section 3.1 are (0,) and (3,). Blocks above the
            last of them are not built: a critic of layer 0 alone has no weights.
    """

    def __init__(
        self,
        input_channels: int,
        features_per_stage: Sequence[int] = PAPER_CRITIC_FEATURES,
        conv_op: type[nn.Module] = nn.Conv2d,
        layers: Sequence[int] = PAPER_LAYERS,
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.encoder = Encoder(input_channels, features_per_stage[: max(layers)], conv_op)
        self.apply(initialize_weights)

    def forward(self, masked_image: Tensor) -> list[Tensor]:
        """Return the features of the chosen layers, in their order."""
        features = [masked_image, *self.encoder(masked_image)]
        return [features[layer] for layer in self.layers]
