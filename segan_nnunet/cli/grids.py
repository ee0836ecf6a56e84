"""Verbs that run a grid of trainings on this machine or on a cluster."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segan_nnunet.cli.options import LARGEST_SEED, DatasetId, numbered_folds

if TYPE_CHECKING:  # each verb imports what it needs, so that --help stays fast
    from segan_nnunet.grid.executors import Executor
    from segan_nnunet.grid.jobs import Grid

# options of `crossval` and `reproduce`
ExecutorName = Annotated[str, typer.Option("--executor", help="Where to train: local or slurm.")]
AtOnce = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Trainings at a time. [default: one per GPU, or one; slurm: 256]")
]
Device = Annotated[str | None, typer.Option("-device", help="cpu, cuda or mps. [default: cuda if available]")]
Gpus = Annotated[int | None, typer.Option(min=0, help="GPUs per training; several use DDP. [default: 1, cpu: 0]")]
Sbatch = Annotated[
    list[str] | None,
    typer.Option(
        help="slurm: options of sbatch per training, such as partition=gpu account=brain. "
        "[default: time=24:00:00 cpus-per-task=8 mem=32G]"
    ),
]
Status = Annotated[bool, typer.Option("--status", help="Show the state of each job, and run nothing.")]


def crossval(
    dataset_id: DatasetId,
    trainers: Annotated[list[str], typer.Option("-tr", help="Trainers.")],
    plans: Annotated[list[str] | None, typer.Option("-p", help="Plans. [default: SegANPlans]")] = None,
    folds: Annotated[list[str] | None, typer.Option("--folds", help="Folds. [default: all folds of the split]")] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seeds", min=0, max=LARGEST_SEED, help="Seeds of each training, TRAINER_seed3. [default: one random seed]"
        ),
    ] = None,
    configuration: Annotated[str, typer.Option("-c", help="nnU-Net configuration.")] = "2d",
    executor: ExecutorName = "local",
    jobs: AtOnce = None,
    device: Device = None,
    gpus: Gpus = None,
    sbatch: Sbatch = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands, and run nothing.")] = False,
    status: Status = False,
) -> None:
    """Train all unfinished combinations of trainers, plans, folds and seeds, and compare."""
    from segan_nnunet.grid.checks import make_grid
    from segan_nnunet.grid.crossval import commands
    from segan_nnunet.grid.executors import choose
    from segan_nnunet.grid.jobs import status_table

    trainings = (dataset_id, trainers, plans or ["SegANPlans"], numbered_folds(folds), configuration)
    if status:
        print(status_table(make_grid(*trainings, seeds=seeds or ()).table()))
        return
    chosen = choose(executor, device, gpus, jobs, sbatch or ())
    grid = make_grid(*trainings, chosen.device, chosen.num_gpus, seeds or ())
    if dry_run:
        print("\n".join(commands(grid)))
    else:
        carry_out(grid, chosen)


def reproduce(
    brats2015: Annotated[Path, typer.Option("--brats2015", help="Folder of the unpacked BRATS 2015 release.")],
    dataset_id: DatasetId,
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, help="Number of folds instead of the paper's 9:1 holdout.")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Try all steps with short trainings.")] = False,
    trainers: Annotated[
        list[str] | None, typer.Option("-tr", help="Trainers. [default: the paper's, and UNetDiceCETrainer]")
    ] = None,
    executor: ExecutorName = "local",
    jobs: AtOnce = None,
    device: Device = None,
    gpus: Gpus = None,
    sbatch: Sbatch = None,
    status: Status = False,
) -> None:
    """Reproduce the paper: convert, plan, split, train SegAN, its ablations and the U-net baseline, compare."""
    from segan_nnunet.experiments import reproduce as paper
    from segan_nnunet.grid.checks import make_grid
    from segan_nnunet.grid.executors import choose
    from segan_nnunet.grid.jobs import status_table

    if status:
        print(status_table(make_grid(dataset_id, trainers or paper.paper_trainers(short), ["SegANPlans"]).table()))
        return
    chosen = choose(executor, device, gpus, jobs, sbatch or ())
    chosen.check()  # before the conversion
    carry_out(
        paper.paper_grid(brats2015, dataset_id, folds, short, chosen.device, chosen.num_gpus, trainers or ()), chosen
    )


def carry_out(grid: "Grid", executor: "Executor") -> None:
    """Run a grid and print its outcome; exit with status 1 unless all went well."""
    from segan_nnunet.grid.crossval import crossval
    from segan_nnunet.grid.local import ENDING

    for number in ENDING:  # before and after the trainings, an exception ends the workers, as Ctrl-C does
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    outcome = crossval(grid, executor)
    print(outcome.text)
    if not outcome.ok:
        raise typer.Exit(1)
