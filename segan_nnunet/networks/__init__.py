from segan_nnunet.networks.critic import Critic
from segan_nnunet.networks.segmentor import Segmentor
from segan_nnunet.networks.separate import SeparateSegmentors

__all__ = ["Critic", "Segmentor", "SeparateSegmentors"]
