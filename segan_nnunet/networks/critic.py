"""The critic C of Figure 1."""

from collections.abc import Sequence

from torch import Tensor, nn

from segan_nnunet.errors import InputError
from segan_nnunet.networks.encoder import Encoder, initialize_weights

PAPER_CRITIC_FEATURES = (64, 128, 256)
PAPER_LAYERS = (0, 1, 2, 3)
CRITIC_BATCH_NORM_EPS = 1e-2


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
