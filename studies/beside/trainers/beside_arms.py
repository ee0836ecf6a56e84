"""The arms of the study of critics beside nnU-Net's loss (protocol.md): NAME_1000, NAME_1400 and so on.

The arm Beside_late was Beside in the last three of ten epochs, from the checkpoint of DiceCE_1000 after the seventh.
"""

from segan_nnunet.training import CriticBesideTrainer, ResumableTrainer


class DiceCE(ResumableTrainer):
    """nnU-Net's own training, with checkpoints after every epoch."""


class Beside(CriticBesideTrainer):
    """Bounded critics beside nnU-Net's loss, their gradient 0.3 of its at the output, in every step."""

    critic_fraction = 0.3
    critic_fades = False


class Beside_full(Beside):
    """Their gradient as large as nnU-Net's."""

    critic_fraction = 1.0


class Beside_decays(Beside):
    """Their gradient falls from nnU-Net's size to nothing, in a straight line."""

    critic_fraction = 1.0
    critic_fades = True


class Schedule:
    """Epochs of 100 steps, and no mirroring at inference, which would take as long as a fifth of the training."""

    num_iterations_per_epoch = 100
    num_val_iterations_per_epoch = 4
    save_every = 1
    inference_allowed_mirroring_axes: tuple[int, ...] | None

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Without mirroring."""
        self.inference_allowed_mirroring_axes = None
        super().perform_actual_validation(save_probabilities)  # type: ignore[misc]  # of the trainer behind this


for arm in (DiceCE, Beside, Beside_full, Beside_decays):
    for steps in (1000, 1400, 3000, 4200):
        settings = {"__module__": __name__, "num_epochs": steps // 100}
        name, frozen = f"{arm.__name__}_{steps}", f"{arm.__name__}_frozen_{steps}"
        globals()[name] = type(name, (Schedule, arm), settings)
        globals()[frozen] = type(frozen, (Schedule, arm), {**settings, "critic_learns": False})
