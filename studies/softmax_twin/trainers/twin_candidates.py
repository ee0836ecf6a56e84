"""The candidates of the study (protocol.md): NAME_600, NAME_1000 and NAME_2400, with that number of steps."""

import math
from typing import Any, ClassVar

import torch

from segan_nnunet.objective import layer_distances
from segan_nnunet.training import AdversarialTrainer, ShortSchedule, SoftmaxTrainer

# --- SegAN: three settings


class SegAN(ShortSchedule, AdversarialTrainer):
    """SegANTrainer_short: relative distances, and the paper's rate for the critics."""


class SegAN_critic1e4(SegAN):
    """SegAN with five times the rate of the critics."""

    critic_initial_lr = 1e-4


class SegAN_Eq3(SegAN):
    """SegAN with Eq. 3's distances as published."""

    distances = staticmethod(layer_distances)


# --- The softmax U-net: three settings


class Softmax(ShortSchedule, SoftmaxTrainer):
    """UNetSoftmaxTrainer_short."""


class Softmax_lr3e3(Softmax):
    """Softmax with three times the rate."""

    initial_lr = 3e-3


class Softmax_lr3e4(Softmax):
    """Softmax with a third of the rate (rounded)."""

    initial_lr = 3e-4


# --- Two controls


class SegAN_before(SegAN_Eq3):
    """SegAN_Eq3 with unbounded batch norm in the critics, the segmentor's rate, and torch's RMSprop."""

    critic_batch_norm_clamp = math.inf
    critic_batch_norm_eps = 1e-5
    critic_initial_lr = ShortSchedule.initial_lr
    optimizer_class = torch.optim.RMSprop
    optimizer_settings: ClassVar[dict[str, Any]] = {}


class SegAN_frozen(SegAN):
    """SegAN without its adversary: the critics keep their initial weights."""

    critic_learns = False


class SegAN_Eq3_frozen(SegAN_Eq3):
    """SegAN_Eq3 whose critics keep their initial weights."""

    critic_learns = False


class LongSchedule(ShortSchedule):
    """1,000 steps: epochs are twice as long and validate on five times as many slices."""

    num_epochs = 10
    num_iterations_per_epoch = 100
    num_val_iterations_per_epoch = 20


class LongestSchedule(LongSchedule):
    """2,400 steps."""

    num_epochs = 24


SCHEDULES: dict[int, tuple[type, ...]] = {600: (), 1000: (LongSchedule,), 2400: (LongestSchedule,)}
TRAINERS = (SegAN, SegAN_critic1e4, SegAN_Eq3, Softmax, Softmax_lr3e3, Softmax_lr3e4)
CONTROLS = (SegAN_before, SegAN_frozen, SegAN_Eq3_frozen)
for candidate in (*TRAINERS, *CONTROLS):
    for steps, schedule in SCHEDULES.items():
        name = f"{candidate.__name__}_{steps}"
        globals()[name] = type(name, (*schedule, candidate), {"__module__": __name__})
