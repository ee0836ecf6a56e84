from segan_nnunet.training.balanced import BalancedErrors
from segan_nnunet.training.baselines import SoftmaxTrainer
from segan_nnunet.training.beside import CriticBesideTrainer
from segan_nnunet.training.recipe import PaperTrainer
from segan_nnunet.training.run.trainer import ResumableTrainer
from segan_nnunet.training.segan import AdversarialTrainer, WithCritics
from segan_nnunet.training.separate import SeparateTrainer
from segan_nnunet.training.suffixes import PaperAugmentation, ShortSchedule, composed_trainer

__all__ = [
    "AdversarialTrainer",
    "BalancedErrors",
    "CriticBesideTrainer",
    "PaperAugmentation",
    "PaperTrainer",
    "ResumableTrainer",
    "SeparateTrainer",
    "ShortSchedule",
    "SoftmaxTrainer",
    "WithCritics",
    "composed_trainer",
]
