from segan_nnunet.training.adversarial_trainer import AdversarialTrainer
from segan_nnunet.training.plugin_trainer import PluginTrainer
from segan_nnunet.training.schedules import ShortSchedule
from segan_nnunet.training.softmax_trainer import SoftmaxTrainer

__all__ = ["AdversarialTrainer", "PluginTrainer", "ShortSchedule", "SoftmaxTrainer"]
