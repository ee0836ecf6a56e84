"""Trainers that take seconds, for the tests of grids. The tests add this folder to nnUNet_extTrainer."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from unittest import mock

from nnunetv2.training.logging.nnunet_logger import LocalLogger

from segan_nnunet.training import AdversarialTrainer
from segan_nnunet.training.run import critics

# grid jobs are real commands; they are fast without pictures and with workers that do not import torch again
forking = multiprocessing.get_context("fork")
mock.patch.object(LocalLogger, "plot_progress_png", lambda self, folder: None).start()
mock.patch.object(critics, "plot_game", lambda *_: None).start()
mock.patch.object(multiprocessing, "get_context", lambda method=None: forking).start()


class GridQuick(AdversarialTrainer):
    """Train four epochs of two steps."""

    initial_lr = 1e-3
    num_epochs = 4
    num_iterations_per_epoch = 2
    num_val_iterations_per_epoch = 1


class GridKilled(GridQuick):
    """Kill the process in its third epoch, as a system without free memory does. Only the first attempt is killed."""

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        once = Path(self.output_folder) / "was_killed"
        if self.current_epoch == 2 and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class GridBroken(GridQuick):
    """Fail in the first epoch."""

    def on_epoch_start(self) -> None:
        super().on_epoch_start()
        raise RuntimeError("it was built to break")


class GridHeld(GridQuick):
    """Wait in the third epoch until the training is interrupted. The next attempt ends normally."""

    def on_epoch_start(self) -> None:
        super().on_epoch_start()
        while self.current_epoch == 2 and len(list(Path(self.output_folder).glob("training_log_*.txt"))) == 1:
            time.sleep(0.2)
