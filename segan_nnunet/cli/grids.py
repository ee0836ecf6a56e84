"""Verbs that run a grid of trainings, here or on a cluster."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segan_nnunet.cli.options import LARGEST_SEED, DatasetId, numbered_folds

if TYPE_CHECKING:  # each verb imports what it needs, so that --help stays fast
    from segan_nnunet.grid import executors
    from segan_nnunet.grid.jobs import Grid


# how a grid is run: the same for `crossval` and `reproduce`
Executor = Annotated[str, typer.Option(help="local or slurm.")]
AtOnce = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Trainings at once. [default: one per GPU, or one; slurm: no limit]")
]
Device = Annotated[str | None, typer.Option("-device", help="cpu, cuda or mps. [default: cuda if there is one]")]
Partition = Annotated[str | None, typer.Option(help="slurm: partition. [default: the cluster's]")]
Time = Annotated[str, typer.Option(help="slurm: time limit of one attempt; unfinished jobs requeue and continue.")]
Gpus = Annotated[int | None, typer.Option(min=0, help="GPUs of one training, several by DDP. [default: 1, cpu: 0]")]
Memory = Annotated[float, typer.Option(min=0.1, help="slurm: memory of one training, in GB.")]
Cpus = Annotated[int, typer.Option(min=1, help="slurm: processor cores of one training.")]
Sbatch = Annotated[list[str] | None, typer.Option(help="slurm: more of sbatch's options, as account=brain.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the commands, and run nothing.")]
Status = Annotated[bool, typer.Option("--status", help="Show how far the jobs are, and run nothing.")]


def crossval(
    dataset_id: DatasetId,
    trainers: Annotated[list[str], typer.Option("-tr", help="Trainers.")],
    plans: Annotated[list[str] | None, typer.Option("-p", help="Plans. [default: SegANPlans]")] = None,
    folds: Annotated[list[str] | None, typer.Option("--folds", help="Folds. [default: all of the split]")] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seeds", min=0, max=LARGEST_SEED, help="Train each once per seed, as TRAINER_seed3. [default: once]"
        ),
    ] = None,
    configuration: Annotated[str, typer.Option("-c", help="nnU-Net configuration.")] = "2d",
    executor: Executor = "local",
    jobs: AtOnce = None,
    device: Device = None,
    partition: Partition = None,
    time: Time = "24:00:00",
    gpus: Gpus = None,
    memory: Memory = 32,
    cpus: Cpus = 8,
    sbatch: Sbatch = None,
    dry_run: DryRun = False,
    status: Status = False,
) -> None:
    """Train trainers x plans x folds x seeds, as far as they are not finished, and compare."""
    from segan_nnunet.grid import checks as grid_checks
    from segan_nnunet.grid import crossval as grids
    from segan_nnunet.grid import executors, run_state

    asked = (dataset_id, trainers, plans or ["SegANPlans"], numbered_folds(folds), configuration)
    if status:
        print(run_state.status_table(grids.states_of(grid_checks.make_grid(*asked, seeds=seeds or ()))))
        return
    chosen = executors.choose(executor, device, gpus, jobs, partition, time, memory, cpus, sbatch or ())
    grid = grid_checks.make_grid(*asked, chosen.device, chosen.num_gpus, seeds or ())
    if dry_run:
        print("\n".join(grids.commands(grid)))
    else:
        carry_out(grid, chosen)


def reproduce(
    brats2015: Annotated[Path, typer.Option("--brats2015", help="The folder into which BRATS 2015 was unpacked.")],
    dataset_id: DatasetId,
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, help="So many folds instead of the paper's holdout, 9:1 per grade.")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Short trainers, narrow network: a trial of it all.")] = False,
    trainers: Annotated[
        list[str] | None, typer.Option("-tr", help="[default: the paper's, and nnU-Net's loss]")
    ] = None,
    executor: Executor = "local",
    jobs: AtOnce = None,
    device: Device = None,
    partition: Partition = None,
    time: Time = "24:00:00",
    gpus: Gpus = None,
    memory: Memory = 32,
    cpus: Cpus = 8,
    sbatch: Sbatch = None,
    status: Status = False,
) -> None:
    """Reproduce the paper: convert, plan, split, SegAN, its ablations, the U-net baseline, compare."""
    from segan_nnunet.experiments import reproduce as paper
    from segan_nnunet.grid import crossval as grids
    from segan_nnunet.grid import executors, run_state

    if status:
        print(run_state.status_table(grids.states_of(paper.begun_grid(dataset_id, short, trainers))))
        return
    chosen = executors.choose(executor, device, gpus, jobs, partition, time, memory, cpus, sbatch or ())
    grid = paper.paper_grid(brats2015, dataset_id, folds, short, chosen.device, chosen.num_gpus, trainers)
    carry_out(grid, chosen)


def carry_out(grid: "Grid", executor: "executors.Executor") -> None:
    """Run a grid and print how it ended; exit with status 1 if not all went well."""
    from segan_nnunet.grid.local import ENDING

    for number in ENDING:  # in the phases before and after the trainings, workers are ended as Ctrl-C ends them
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    result = executor.run(grid)
    print(result)
    if not result.ok:
        raise typer.Exit(1)
