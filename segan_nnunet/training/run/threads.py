"""How many threads a training takes on the CPU."""

import torch

from segan_nnunet.data.environment import omp_threads


def respect_omp_num_threads(device: torch.device) -> None:
    """Give torch as many threads as OMP_NUM_THREADS says, where it is set and the training is on the CPU.

    nnU-Net takes as many as the machine has cores. Of two trainings at once on one machine, each then waits for the
    other's threads: SegAN's steps took four to five times as long as with a core for each.
    """
    if device.type == "cpu" and (wanted := omp_threads()):
        torch.set_num_threads(wanted)
