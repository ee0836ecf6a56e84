"""The arms of the study of critics beside nnU-Net's loss (protocol.md): NAME_1000, NAME_1400 and so on.

The arm Beside_late trained Beside for the last three of ten epochs, from DiceCE_1000's checkpoint after epoch seven.
"""

from segan_nnunet.training import CriticBesideTrainer, ResumableTrainer


class DiceCE(ResumableTrainer):
    """nnU-Net's own training with a checkpoint after every epoch."""


class Beside(CriticBesideTrainer):
    """Bounded critics beside nnU-Net's loss. Their gradient at the output has 0.3 of its norm in every step."""

    critic_fraction = 0.3
    critic_fades = False


class Beside_full(Beside):
    """Beside with a gradient of the same norm as nnU-Net's."""

    critic_fraction = 1.0


class Beside_decays(Beside):
    """Beside with a gradient that falls linearly from the norm of nnU-Net's gradient to 0."""

    critic_fraction = 1.0
    critic_fades = True


class Schedule:
    """Epochs of 100 steps. Inference does not mirror, which would take a fifth of the training's time."""

    num_iterations_per_epoch = 100
    num_val_iterations_per_epoch = 4
    save_every = 1
    inference_allowed_mirroring_axes: tuple[int, ...] | None

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate without mirroring."""
        self.inference_allowed_mirroring_axes = None
        super().perform_actual_validation(save_probabilities)  # type: ignore[misc]  # a trainer follows in the bases


for arm in (DiceCE, Beside, Beside_full, Beside_decays):
    for steps in (1000, 1400, 3000, 4200):
        settings = {"__module__": __name__, "num_epochs": steps // 100}
        name, frozen = f"{arm.__name__}_{steps}", f"{arm.__name__}_frozen_{steps}"
        globals()[name] = type(name, (Schedule, arm), settings)
        globals()[frozen] = type(frozen, (Schedule, arm), {**settings, "critic_learns": False})
