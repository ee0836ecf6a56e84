"""`segan_nnunet VERB`: parse, call one function, print. Every verb is a function that a notebook can call.

Options look like nnU-Net's (-d, -c, -tr, -p), and like nnU-Net's take several values one after the other.
"""

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy

if TYPE_CHECKING:  # each verb imports what it needs, so that --help stays fast
    from segan_nnunet.grid import executors
    from segan_nnunet.grid.jobs import Grid

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="SegAN for nnU-Net: BRATS in, trained segmentors and a head-to-head comparison out.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

SEVERAL_VALUES = {
    "-c", "-tr", "-p", "-f", "--channels", "--patch-size", "--spacing", "--folds", "--seeds", "--predictions",
    "--regions", "--sbatch",
}  # fmt: skip

DatasetId = Annotated[int, typer.Option("-d", help="Dataset id, as in DatasetXXX_Name.")]

# how a grid is run: the same for `crossval` and `reproduce`
Executor = Annotated[str, typer.Option(help="local or slurm.")]
AtOnce = Annotated[
    int | None, typer.Option("--jobs", help="Trainings at once. [default: one per GPU, or one; slurm: no limit]")
]
Device = Annotated[str | None, typer.Option("-device", help="cpu, cuda or mps. [default: cuda if there is one]")]
Partition = Annotated[str | None, typer.Option(help="slurm: partition. [default: the cluster's]")]
Time = Annotated[str, typer.Option(help="slurm: time limit of one attempt; unfinished jobs requeue and continue.")]
Gpus = Annotated[int | None, typer.Option(help="GPUs of one training, several by DDP. [default: 1, cpu: 0]")]
Memory = Annotated[float, typer.Option(help="slurm: memory of one training, in GB.")]
Cpus = Annotated[int, typer.Option(help="slurm: processor cores of one training.")]
Sbatch = Annotated[list[str] | None, typer.Option(help="slurm: more of sbatch's options, as account=brain.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the commands, and run nothing.")]
Status = Annotated[bool, typer.Option("--status", help="Show how far the jobs are, and run nothing.")]


def expand_values(arguments: list[str]) -> list[str]:
    """Turn nnU-Net's way of giving several values, `-tr A B`, into `-tr A -tr B`."""
    expanded: list[str] = []
    option = ""
    count = 0
    for argument in arguments:
        if argument.startswith("-") and not argument.lstrip("-").isdigit():
            option, count = argument, 0
        elif option in SEVERAL_VALUES:
            if count:
                expanded.append(option)
            count += 1
        expanded.append(argument)
    return expanded


def main() -> None:
    """Run the command line; what the user can put right is printed as one message, without a traceback."""
    try:
        app(expand_values(sys.argv[1:]), prog_name="segan_nnunet")
    except InputError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"segan_nnunet: {error}", style="red", markup=False)
        sys.exit(1)


@app.command("trainer-folder")
def trainer_folder() -> None:
    """Print the folder of our trainers: export nnUNet_extTrainer="$(segan_nnunet trainer-folder)"."""
    from segan_nnunet.catalogues import catalogue_folder

    print(catalogue_folder("trainers"))


@app.command()
def convert(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="RELEASE SOURCE", help="E.g. brats2015 FOLDER, or auto FOLDER")
    ] = None,
    dataset_id: Annotated[int | None, typer.Option("-d", help="Dataset id, as in DatasetXXX_Name.")] = None,
    channels: Annotated[list[str] | None, typer.Option("--channels", help="Channels to take, in this order.")] = None,
    layout: Annotated[Path | None, typer.Option("--layout", help="A table of your own instead of RELEASE.")] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Exclusive labels instead of regions.")] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the images instead of linking them.")] = False,
    geometry_from: Annotated[
        str | None, typer.Option(help="`image`: a truth whose header alone is wrong takes its image's geometry.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out cases that break a rule.")] = False,
    list_releases: Annotated[bool, typer.Option("--list", help="Show the releases and end.")] = False,
) -> None:
    """Turn a BRATS release into a dataset in nnUNet_raw. With --layout, give only SOURCE."""
    from segan_nnunet.data import conversion
    from segan_nnunet.data.releases import tables

    if list_releases:
        for key in tables.available_releases():
            release = tables.load_release(key)
            print(f"{key:17} {release.title}: {', '.join(release.channels)}; {', '.join(release.regions)}")
        return
    given = arguments or []
    if len(given) != (1 if layout else 2) or dataset_id is None:
        raise InputError("give `RELEASE SOURCE -d ID`, or `SOURCE --layout FILE.toml -d ID`; --list shows the releases")
    if geometry_from not in (None, "image"):
        raise InputError(f"--geometry-from takes `image`, not '{geometry_from}'")
    source = Path(given[-1])
    if layout:
        release = tables.read_layout(layout)
    elif given[0] == "auto":
        release = tables.recognise(source)
        print(f"This is {release.title} ({release.key}).")
    else:
        release = tables.load_release(given[0])
    options = conversion.Options(tuple(channels or ()), copy, labels, geometry_from == "image", skip_bad)
    made = conversion.convert(release, source, dataset_id, options)
    print(f"{made.folder}: {len(made.training)} training cases, images {'copied' if made.copied else 'linked'}")
    if made.test:
        print(f"{len(made.test)} cases have no truth and went to imagesTs, the first {made.test[0]}")
    if made.empty:
        print(f"{len(made.empty)} cases have an empty truth: {', '.join(made.empty)}")
    if made.left_out:
        print(f"{len(made.left_out)} cases were left out; {conversion.LEFT_OUT_TABLE} says why")
    print(f"Next: segan_nnunet plan -d {dataset_id}")


@app.command()
def plan(
    dataset_id: DatasetId,
    configurations: Annotated[list[str] | None, typer.Option("-c", help="Configurations. [default: 2d]")] = None,
    width: Annotated[int, typer.Option(help="Feature maps of the segmentor's first block.")] = 64,
    batch_size: Annotated[int | None, typer.Option(help="Samples per step. [default: 64 in 2-D]")] = None,
    patch_size: Annotated[list[int] | None, typer.Option(help="Voxels per axis. [default: 160 160 in 2-D]")] = None,
    plans_name: Annotated[
        str | None, typer.Option("--plans-name", help="Name of the plans. [default: SegANPlans, or SegANPlans_2mm]")
    ] = None,
    spacing: Annotated[
        list[float] | None, typer.Option("--spacing", help="Voxel size in mm, z y x. [default: the cases' median]")
    ] = None,
    processes: Annotated[int | None, typer.Option("-np", help="Processes for preprocessing.")] = None,
) -> None:
    """Plan and preprocess with nnU-Net where that is missing, and write SegANPlans."""
    from segan_nnunet.models import plans

    path = plans.plan(
        dataset_id, configurations or ["2d"], width, batch_size, patch_size, plans_name, processes, spacing
    )
    print(f"{path}\nNext: nnUNetv2_train {dataset_id} 2d 0 -tr SegANTrainer -p {path.stem}")


@app.command()
def split(
    dataset_id: DatasetId,
    folds: Annotated[int, typer.Option("-k", help="Number of folds.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the shuffling.")] = 12345,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing splits.")] = False,
    scheme: Annotated[str, typer.Option(help="kfold, or holdout: the paper's 9:1 per grade.")] = "kfold",
) -> None:
    """Write splits_final.json: patients, never scans, are split, grades spread evenly."""
    from segan_nnunet.data import splits

    print(splits.write_splits(dataset_id, folds, seed, overwrite, scheme).to_string(index=False))


@app.command()
def submission(
    predictions: Annotated[Path, typer.Argument(help="Folder of predictions, as nnUNetv2_predict writes it.")],
    dataset_id: DatasetId,
    output: Annotated[Path, typer.Option("-o", help="New folder for the files to upload; a .zip is put beside it.")],
    description: Annotated[str, typer.Option(help="Goes into file names where the evaluation wants one.")] = "SegAN",
    layout: Annotated[Path | None, typer.Option("--layout", help="The table, if you converted with one.")] = None,
) -> None:
    """Turn predictions into what the online evaluation takes: original label values, names and format."""
    from segan_nnunet.data import submission as upload

    made = upload.make_submission(dataset_id, predictions, output, description, layout)
    print(f"{made.folder}: {len(made.files)} files, for example {made.files[0].name}\n{made.archive}")


@app.command()
def export(
    dataset_id: DatasetId,
    trainer: Annotated[str, typer.Option("-tr", help="Trainer.")],
    output: Annotated[Path, typer.Option("-o", help="The zip to write.")],
    plans: Annotated[str, typer.Option("-p", help="Plans.")] = "SegANPlans",
    configuration: Annotated[str, typer.Option("-c", help="nnU-Net configuration.")] = "2d",
    folds: Annotated[list[str] | None, typer.Option("-f", help="Folds, or all. [default: 0 1 2 3 4]")] = None,
    checkpoint: Annotated[str, typer.Option("-chk", help="Which checkpoint.")] = "checkpoint_final.pth",
) -> None:
    """Write a trained model as a zip that nnU-Net installs; without this package where the network is nnU-Net's."""
    from segan_nnunet.models.export import export_model

    made = export_model(dataset_id, trainer, plans, configuration, folds or list("01234"), output, checkpoint)
    needed = f"needs: {'; '.join(made.needs)}" if made.needs else "stock nnU-Net predicts with it"
    print(f"{made.path}: {made.model}, {needed}\n{made.predict}")


@app.command()
def simulate(
    release: Annotated[str, typer.Argument(help="E.g. brats2015; convert --list shows them.")],
    folder: Annotated[Path, typer.Argument(help="The release's folder is made in here.")],
    cases: Annotated[int, typer.Option(help="Simulated patients.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    no_truth: Annotated[bool, typer.Option("--no-truth", help="Write test cases.")] = False,
) -> None:
    """Write a simulated release in its own layout: small brains with tumours, and no patient's data."""
    from segan_nnunet.data.releases import simulation

    print(simulation.simulate_release(folder, cases, seed, release, not no_truth))


@app.command()
def compare(
    dataset_id: Annotated[int | None, typer.Option("-d", help="Dataset id, as in DatasetXXX_Name.")] = None,
    configurations: Annotated[list[str] | None, typer.Option("-c", help="Configurations. [default: 2d]")] = None,
    trainers: Annotated[list[str] | None, typer.Option("-tr", help="Trainers. [default: all trained]")] = None,
    plans: Annotated[list[str] | None, typer.Option("-p", help="Plans. [default: all trained]")] = None,
    folds: Annotated[list[int] | None, typer.Option("--folds", help="Folds. [default: all validated]")] = None,
    seeds: Annotated[list[int] | None, typer.Option("--seeds", help="Seeds. [default: all validated]")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="Folder for tables, figures and report.")] = None,
    predictions: Annotated[
        list[str] | None, typer.Option("--predictions", help="NAME=FOLDER of other predictions, one or several.")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="Their truths; then only these folders are compared.")] = None,
    images: Annotated[Path | None, typer.Option(help="Images CASE_0000... to show under the outlines.")] = None,
    dataset_json: Annotated[
        Path | None, typer.Option("--dataset-json", help="Says what label values mean. [default: the dataset's]")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Row that the others are tested against. [default: the first]")
    ] = None,
    empty: Annotated[
        EmptyPolicy, typer.Option(help="What empty masks score: left out, or 1 and 0 as in BraTS.")
    ] = EmptyPolicy.NNUNET,
    published: Annotated[bool, typer.Option("--published", help="Append the paper's rows, on other data.")] = False,
    intersection: Annotated[
        bool, typer.Option("--intersection", help="Go on with the cases that all methods have.")
    ] = False,
    processes: Annotated[int | None, typer.Option("-np", help="Processes that measure.")] = None,
) -> None:
    """Compare trainers, or any folders of predictions: Table 1, statistics, figures, report.html."""
    from segan_nnunet.evaluation import comparison
    from segan_nnunet.evaluation.methods.gathering import Folders
    from segan_nnunet.evaluation.methods.method import parse_folders
    from segan_nnunet.evaluation.presentation.result_folder import Settings

    folders = Folders(parse_folders(predictions or []), reference, images, dataset_json)
    command = shlex.join(["segan_nnunet", *sys.argv[1:]])
    settings = Settings(empty, baseline, published, intersection, processes, command)
    made = comparison.compare(
        dataset_id, configurations or "2d", trainers, plans, folds, output, folders, settings, seeds or ()
    )
    print(made.table)
    for path in made.files:
        print(path)


@app.command()
def crossval(
    dataset_id: DatasetId,
    trainers: Annotated[list[str], typer.Option("-tr", help="Trainers.")],
    plans: Annotated[list[str] | None, typer.Option("-p", help="Plans. [default: SegANPlans]")] = None,
    folds: Annotated[list[int] | None, typer.Option("--folds", help="Folds. [default: all of the split]")] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seeds", help="Train each once per seed, as TRAINER_seed3. [default: once]")
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

    asked = (dataset_id, trainers, plans or ["SegANPlans"], folds, configuration)
    if status:
        print(run_state.status_table(grids.states_of(grid_checks.make_grid(*asked, seeds=seeds or ()))))
        return
    chosen = executors.choose(executor, device, gpus, jobs, partition, time, memory, cpus, sbatch or ())
    grid = grid_checks.make_grid(*asked, chosen.device, chosen.num_gpus, seeds or ())
    if dry_run:
        print("\n".join(grids.commands(grid)))
    else:
        carry_out(grid, chosen)


@app.command()
def reproduce(
    brats2015: Annotated[Path, typer.Option("--brats2015", help="The folder into which BRATS 2015 was unpacked.")],
    dataset_id: DatasetId,
    folds: Annotated[
        int | None, typer.Option("--folds", help="So many folds instead of the paper's holdout, 9:1 per grade.")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Short trainers, narrow network: a trial of it all.")] = False,
    trainers: Annotated[list[str] | None, typer.Option("-tr", help="Trainers. [default: the paper's six]")] = None,
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
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # ends the trainings, as Ctrl-C does
    result = executor.run(grid)
    print(result)
    if not result.ok:
        raise typer.Exit(1)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Everything is kept here for inspection.")] = Path("segan_demo"),
    cases: Annotated[int, typer.Option(help="Simulated patients.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps. [default: cuda if there is one]")] = None,
) -> None:
    """Run the whole job on a simulated BRATS 2015 release: convert, plan, train both trainers, compare."""
    from segan_nnunet.experiments import demo as experiment

    experiment.run_demo(folder, cases, seed, device)


@app.command()
def benchmark(
    patch_size: Annotated[list[int] | None, typer.Option("--patch-size", help="[default: 160 160]")] = None,
    batch_size: Annotated[int, typer.Option(help="Samples per step.")] = 8,
    width: Annotated[int, typer.Option(help="Feature maps of the segmentor's first block.")] = 64,
    channels: Annotated[int, typer.Option(help="Of the images.")] = 3,
    regions: Annotated[list[int] | None, typer.Option("--regions", help="Numbers of regions. [default: 3]")] = None,
    steps: Annotated[int, typer.Option(help="Timed steps of each candidate.")] = 7,
    device: Annotated[str, typer.Option("-device", help="cpu or cuda.")] = "cpu",
    steps_only: Annotated[bool, typer.Option("--steps-only", help="Leave out loaders and inference.")] = False,
) -> None:
    """Time training steps: the authors' loop, ours, the softmax baseline's, nnU-Net's; beside what bounds them.

    Then how many images per second nnU-Net's loaders make, and what inference costs.
    """
    from segan_nnunet.experiments import benchmark as bench

    for number in regions or [3]:
        workload = bench.Workload(tuple(patch_size or (160, 160)), batch_size, width, channels, number, device)
        rows = bench.benchmark(workload, steps)
        print(bench.step_table(workload, rows), flush=True)
    if not steps_only:  # of the last number of regions
        print(bench.pipeline_lines(workload, bench.pipeline(workload), rows), flush=True)
        print(bench.inference_table(bench.inference(workload, steps)))
