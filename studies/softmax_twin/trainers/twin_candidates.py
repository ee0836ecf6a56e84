"""The candidates of the study (protocol.md): NAME_600, NAME_1000 and NAME_2400, by their number of steps."""

import math
from typing import Any, ClassVar

import torch

from segan_nnunet.objective import layer_distances
from segan_nnunet.training import AdversarialTrainer, ShortSchedule, SoftmaxTrainer

# --- SegAN: three settings


class SegAN(ShortSchedule, AdversarialTrainer):
    """SegANTrainer_short: relative distances, the critics at the paper's rate."""


class SegAN_critic1e4(SegAN):
    """The critics five times as fast."""

    critic_initial_lr = 1e-4


class SegAN_Eq3(SegAN):
    """Eq. 3's distances as they stand."""

    distances = staticmethod(layer_distances)


# --- The softmax U-net: three settings


class Softmax(ShortSchedule, SoftmaxTrainer):
    """UNetSoftmaxTrainer_short."""


class Softmax_lr3e3(Softmax):
    """Three times as fast."""

    initial_lr = 3e-3


class Softmax_lr3e4(Softmax):
    """Three times as slow."""

    initial_lr = 3e-4


# --- Two controls


class SegAN_before(SegAN_Eq3):
    """The critics' parameters in no compact set, at the segmentor's rate, and both players' first step ten times it."""

    critic_batch_norm_clamp = math.inf
    critic_batch_norm_eps = 1e-5
    critic_initial_lr = ShortSchedule.initial_lr
    optimizer_class = torch.optim.RMSprop
    optimizer_settings: ClassVar[dict[str, Any]] = {}


class SegAN_frozen(SegAN):
    """The critics as they were drawn: what is left of SegAN without its adversary."""

    critic_learns = False


class SegAN_Eq3_frozen(SegAN_Eq3):
    """The same for Eq. 3's distances."""

    critic_learns = False


class LongSchedule(ShortSchedule):
    """1,000 steps: epochs twice as long, validated on five times as many slices."""

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
