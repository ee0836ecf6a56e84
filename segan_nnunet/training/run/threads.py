"""How many threads a training takes on the CPU."""

import os

import torch


def respect_omp_num_threads(device: torch.device) -> None:
    """Give torch as many threads as OMP_NUM_THREADS says, where it is set and the training is on the CPU.

    nnU-Net takes as many as the machine has cores. Of two trainings at once on one machine, each then waits for the
    other's threads: SegAN's steps took four to five times as long as with a core for each.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if device.type == "cpu" and wanted.isdigit() and int(wanted) > 0:
        torch.set_num_threads(int(wanted))
