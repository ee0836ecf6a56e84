"""Where a grid runs: on this machine, or on a SLURM cluster."""

from collections.abc import Sequence
from dataclasses import dataclass

from segan_nnunet.data.environment import default_device
from segan_nnunet.errors import InputError
from segan_nnunet.grid import slurm
from segan_nnunet.grid.crossval import Outcome, crossval
from segan_nnunet.grid.jobs import Grid

EXECUTORS = ("local", "slurm")


@dataclass(frozen=True)
class LocalExecutor:
    """Runs on this machine, and compares.

    Attributes:
        device: of each job: cpu, cuda or mps.
        num_gpus: of each job.
        at_once: jobs at a time; None is one per GPU, or one.
    """

    device: str
    num_gpus: int = 1
    at_once: int | None = None

    def run(self, grid: Grid) -> Outcome:
        """Run the grid to its end."""
        return crossval(grid, self.at_once)


@dataclass(frozen=True)
class SlurmExecutor:
    """Submits the jobs and the comparison to SLURM.

    Attributes:
        device, num_gpus: of each job.
        options: what SLURM is asked for.
    """

    device: str
    num_gpus: int
    options: slurm.SlurmOptions

    def run(self, grid: Grid) -> slurm.Submission:
        """Submit the grid."""
        return slurm.crossval_on_slurm(grid, self.options)


Executor = LocalExecutor | SlurmExecutor


def choose(
    executor: str = "local",
    device: str | None = None,
    gpus: int | None = None,
    at_once: int | None = None,
    partition: str | None = None,
    time: str = "24:00:00",
    memory_gb: float = 32,
    cpus: int = 8,
    sbatch: Sequence[str] = (),
) -> Executor:
    """Return the executor that these options describe.

    Args:
        executor: `local` or `slurm`.
        device: by default cuda where there is one, else cpu; on SLURM cuda unless no GPU is asked for.
        gpus: of one training; by default 1, and none on the cpu.
        at_once: trainings at the same time.
        partition, time, memory_gb, cpus, sbatch: see `SlurmOptions`; time in any of SLURM's forms.

    Raises:
        InputError: an option has no such value, or there is no SLURM on this machine.
    """
    if executor not in EXECUTORS:
        raise InputError(f"there is no executor '{executor}'; there are {' and '.join(EXECUTORS)}")
    if at_once is not None and at_once < 1:
        raise InputError(f"--jobs {at_once} would run nothing; give 1 or more")
    if gpus is not None and gpus < 0:
        raise InputError(f"--gpus {gpus} is less than none")
    if executor == "local":
        device = device or default_device()
        return LocalExecutor(device, max(1, gpus or 1), at_once)
    device = device or ("cpu" if gpus == 0 else "cuda")
    gpus = gpus if gpus is not None else int(device == "cuda")
    options = slurm.SlurmOptions(
        partition, slurm.minutes(time), gpus, memory_gb, cpus, at_once or slurm.MOST_AT_ONCE, tuple(sbatch)
    )
    slurm.check_slurm(options)
    return SlurmExecutor(device, max(1, gpus), options)
