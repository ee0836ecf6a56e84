from segan_nnunet.training.adversarial_trainer import AdversarialTrainer
from segan_nnunet.training.beside_trainer import CriticBesideTrainer
from segan_nnunet.training.dice_trainer import AdversarialDiceTrainer
from segan_nnunet.training.plugin_trainer import PluginTrainer
from segan_nnunet.training.resumable_trainer import ResumableTrainer
from segan_nnunet.training.separate_trainer import SeparateTrainer
from segan_nnunet.training.softmax_trainer import SoftmaxTrainer
from segan_nnunet.training.variants.augmentation import PaperAugmentation
from segan_nnunet.training.variants.composition import composed_trainer
from segan_nnunet.training.variants.schedules import ShortSchedule
from segan_nnunet.training.with_critics import WithCritics

__all__ = [
    "AdversarialDiceTrainer",
    "AdversarialTrainer",
    "CriticBesideTrainer",
    "PaperAugmentation",
    "PluginTrainer",
    "ResumableTrainer",
    "SeparateTrainer",
    "ShortSchedule",
    "SoftmaxTrainer",
    "WithCritics",
    "composed_trainer",
]
