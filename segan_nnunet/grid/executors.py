"""Where a grid runs. A new executor is a class with the interface of `Executor`, and a line in `EXECUTORS`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from segan_nnunet.errors import InputError
from segan_nnunet.grid.jobs import Grid, Outcome
from segan_nnunet.grid.local import LocalExecutor
from segan_nnunet.grid.slurm import SlurmExecutor


class Executor(Protocol):
    """Runs the jobs of a grid, each with `run_job`."""

    device: str  # of each job
    num_gpus: int  # of each job; 1 without GPUs too

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

    Args:
        name: in `EXECUTORS`.
        device: of each job: cpu, cuda or mps; by default cuda where there is one, on SLURM unless `gpus` is 0.
        gpus: of each job; by default 1, and on SLURM none for the cpu.
        at_once: jobs at a time; by default one per GPU, or one; on SLURM 256.
        sbatch: SLURM's options for each job as KEY=VALUE. Its time is the limit of one attempt, and a job takes as many
            attempts as it needs.

    Raises:
        InputError: there is none, an option has no such value, or there is no SLURM on this machine.
    """
    if name not in EXECUTORS:
        raise InputError(f"there is no executor '{name}'; there are {' and '.join(EXECUTORS)}")
    return EXECUTORS[name](device, gpus, at_once, sbatch)
