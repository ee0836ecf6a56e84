from segan_nnunet.networks.critic import Critic
from segan_nnunet.networks.segmentor import Segmentor

__all__ = ["Critic", "Segmentor"]
