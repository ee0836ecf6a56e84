"""Choose where a grid runs. A new executor is a class with the interface of `Executor`, and an entry in `EXECUTORS`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from segan_nnunet.errors import InputError
from segan_nnunet.grid.jobs import Grid, Outcome
from segan_nnunet.grid.local import LocalExecutor
from segan_nnunet.grid.slurm import SlurmExecutor


class Executor(Protocol):
    """Runs each job of a grid with `run_job`."""

    device: str  # of each job
    num_gpus: int  # of each job; 1 also without GPUs

    def check(self) -> None:
        """Check that this machine can start jobs, before hours are spent. A dry run needs no such machine.

        Raises:
            InputError: this machine cannot start jobs.
        """

    def run(self, grid: Grid, compare_methods: Callable[[], Outcome]) -> Outcome:
        """Run the unfinished jobs, and call `compare_methods` when all have ended, also after failures.

        Args:
            grid: a checked and preprocessed grid.
            compare_methods: compares the methods. SLURM's executor pickles it.

        Returns:
            The outcome of `compare_methods`, or of the submission.
        """


EXECUTORS: dict[str, Callable[..., Executor]] = {"local": LocalExecutor, "slurm": SlurmExecutor}


def choose(
    name: str = "local",
    device: str | None = None,
    gpus: int | None = None,
    at_once: int | None = None,
    sbatch: Sequence[str] = (),
) -> Executor:
    """Return an executor by name, with the options of the command line.

    Args:
        name: in `EXECUTORS`.
        device: cpu, cuda or mps for each job; by default cuda if this machine has it, and on SLURM unless `gpus` is 0.
        gpus: GPUs of each job; by default 1, and on SLURM 0 for the cpu.
        at_once: number of jobs at a time; by default one per set of GPUs, or one; on SLURM 256.
        sbatch: SLURM's options for each job as KEY=VALUE. The option time limits one attempt, and a job takes as many
            attempts as it needs.

    Raises:
        InputError: there is no such executor, or an option is invalid.
    """
    if name not in EXECUTORS:
        raise InputError(f"there is no executor '{name}'; there are {' and '.join(EXECUTORS)}")
    return EXECUTORS[name](device, gpus, at_once, sbatch)
