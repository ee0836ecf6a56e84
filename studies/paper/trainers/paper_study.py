"""The study's trainers (../protocol.md), made from their names: ARM_SETTING_STEPS[_PaperDA], then the product's _seedN.

Examples: SegAN_dial50_1000_seed1, Softmax_lr1e3_1000_PaperDA_seed2. All arms share one schedule.
"""

import re
from typing import Any

import segan_trainers
from segan_nnunet.training import BalancedErrors, PaperAugmentation, ShortSchedule

TRAINERS = {  # arm: trainer of the catalogue
    "SegAN": "SegANTrainer",
    "AsPublished": "SegANTrainer_asPublished",
    "SegANDice": "SegANDiceTrainer",
    "S1_1C": "SegANTrainer_S1_1C",
    "S3_1C": "SegANTrainer_S3_1C",
    "s0": "SegANTrainer_s0",
    "s3": "SegANTrainer_s3",
    "frozen": "SegANTrainer_frozen",
    "Softmax": "UNetSoftmaxTrainer",
    "DiceCE": "UNetDiceCETrainer",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "dial100": {},  # SegANTrainer as the catalogue has it
    "dial75": {"divisor_gradient": 0.75},
    "dial50": {"divisor_gradient": 0.5},
    "dial0": {"divisor_gradient": 0.0},  # a missed and a false voxel weigh the same
    "lr3e4": {"initial_lr": 3e-4},
    "lr1e3": {"initial_lr": 1e-3},
    "lr2e3": {"initial_lr": 2e-3},
    "lr4e3": {"initial_lr": 4e-3},
    "lr8e3": {"initial_lr": 8e-3},
    "own": {},  # the trainer's own rate, in the schedule's decay
    "letter": {},  # the trainer's own rate, constant
}
KEPT = {"own": ("initial_lr",), "letter": ("initial_lr", "lr_decay_exponent")}  # of the trainer, not of the schedule
EPOCH = 100  # steps
NAME = re.compile(rf"({'|'.join(TRAINERS)})_({'|'.join(SETTINGS)})_([1-9]\d*)(_PaperDA)?")


class Schedule(ShortSchedule):
    """ShortSchedule's rate and decay in longer epochs, validated on 160 slices; no mirroring at inference."""

    num_val_iterations_per_epoch = 20
    inference_allowed_mirroring_axes: tuple[int, ...] | None

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Predict without mirroring, in every arm."""
        self.inference_allowed_mirroring_axes = None
        super().perform_actual_validation(save_probabilities)  # type: ignore[misc]  # of the trainer behind this


def __getattr__(name: str) -> type:
    """Make the trainer that nnU-Net asks for.

    Raises:
        AttributeError: the name is none of the study's.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise AttributeError(f"the study has no trainer {name}")
    arm, setting, steps, paper_da = match.groups()
    base = getattr(segan_trainers, TRAINERS[arm])
    values = SETTINGS[setting] | {key: getattr(base, key) for key in KEPT.get(setting, ())}
    epochs = max(1, int(steps) // EPOCH)
    length = {"num_epochs": epochs, "num_iterations_per_epoch": int(steps) // epochs}
    bases: list[type] = [Schedule]
    bases += [PaperAugmentation] if paper_da else []
    bases += [BalancedErrors] if "divisor_gradient" in values else []
    return type(name, (*bases, base), {"__module__": __name__, **length, **values})
