"""Where a grid runs. A new executor is a class with the interface of `Executor`, and a line in `EXECUTORS`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from segan_nnunet.errors import InputError
from segan_nnunet.grid.jobs import Grid, Outcome
from segan_nnunet.grid.local import LocalExecutor
from segan_nnunet.grid.slurm import SlurmExecutor


class Executor(Protocol):
    """Runs the jobs of a grid, each with `run_job`.

    Attributes:
        device: of each job: cpu, cuda or mps.
        num_gpus: of each job; 1 without GPUs too.
    """

    device: str
    num_gpus: int

    def run(self, grid: Grid, then: Callable[[], Outcome]) -> Outcome:
        """Run the jobs that are not finished, and then, however they ended, what follows.

        Args:
            grid: checked and preprocessed.
            then: compares; it can be pickled.

        Returns:
            What `then` returned, or what was submitted.
        """


EXECUTORS: dict[str, Callable[..., Executor]] = {"local": LocalExecutor, "slurm": SlurmExecutor}


def choose(
    name: str = "local",
    device: str | None = None,
    gpus: int | None = None,
    at_once: int | None = None,
    sbatch: Sequence[str] = (),
) -> Executor:
    """Return the executor of a name, with the options of the command line.

    Raises:
        InputError: there is none, an option has no such value, or there is no SLURM on this machine.
    """
    if name not in EXECUTORS:
        raise InputError(f"there is no executor '{name}'; there are {' and '.join(EXECUTORS)}")
    return EXECUTORS[name](device, gpus, at_once, sbatch)
