"""The commands that show results: a comparison, the demo, the benchmark."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from segan_nnunet.cli.options import LARGEST_SEED, OptionalDatasetId, Processes, numbered_folds, once
from segan_nnunet.evaluation.scores.definitions import DEFAULT_MEASURES, Hd95, Lesions, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy


def compare(
    dataset_id: OptionalDatasetId = None,
    configurations: Annotated[list[str] | None, typer.Option("-c", help="Configurations. [default: 2d]")] = None,
    trainers: Annotated[list[str] | None, typer.Option("-tr", help="Trainers. [default: all trained]")] = None,
    plans: Annotated[list[str] | None, typer.Option("-p", help="Plans. [default: all trained]")] = None,
    folds: Annotated[list[str] | None, typer.Option("--folds", help="Folds. [default: all validated]")] = None,
    seeds: Annotated[list[int] | None, typer.Option("--seeds", min=0, help="Seeds. [default: all validated]")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="Folder for tables, figures and report.")] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option("--predictions", help="Folders of other predictions, as NAME=FOLDER."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Folder of their references. With it, only these folders are compared.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of images CASE_0000... for the pictures.")] = None,
    dataset_json: Annotated[
        Path | None, typer.Option("--dataset-json", help="Defines the label values. [default: the dataset's]")
    ] = None,
    patients: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns case, patient and, if known, grade. [default: the dataset's]"),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Method to test the others against. [default: the first]")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Margin of Dice within which to test equivalence and non-inferiority."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Definitions of the scores: segan, nnunet, or a challenge's, such as brats2023-gli. "
            "[default: those of the dataset's release]"
        ),
    ] = None,
    empty: Annotated[EmptyPolicy | None, typer.Option(hidden=True)] = None,
    lesions: Annotated[Lesions | None, typer.Option(hidden=True)] = None,
    published: Annotated[bool, typer.Option("--published", help="Append the paper's rows (other data).")] = False,
    intersection: Annotated[
        bool, typer.Option("--intersection", help="Compare only the cases that all methods have.")
    ] = False,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            help="TOML file: protocol, empty, lesions, hd95, nsd, primary, margin, all-pairs, spread, viewer-cases.",
        ),
    ] = None,
    processes: Processes = None,
) -> None:
    """Compare trainers, or any folders of predictions: Table 1, statistics, figures, report.html."""
    from segan_nnunet import comparison
    from segan_nnunet.evaluation.methods.methods_on_cases import Folders, parse_folders
    from segan_nnunet.evaluation.settings import Settings, read_settings

    command = shlex.join(["segan_nnunet", *sys.argv[1:]])
    options = read_settings(settings_file) if settings_file else {}
    nsd_mm = tuple(dict.fromkeys(options.get("nsd", DEFAULT_MEASURES.nsd_mm)))
    defaults = Settings()
    settings = Settings(
        policy=empty or EmptyPolicy(options.get("empty", EmptyPolicy.AUTO)),
        baseline=baseline,
        published=published,
        intersection=intersection,
        processes=processes,
        command=command,
        measures=Measures(
            Hd95(options.get("hd95", Hd95.AUTO)), nsd_mm, lesions or Lesions(options.get("lesions", Lesions.AUTO))
        ),
        all_pairs=options.get("all-pairs", False),
        spread=options.get("spread", False),
        viewer_cases=options.get("viewer-cases", defaults.viewer_cases),
        primary=options.get("primary", defaults.primary),
        protocol=protocol or options.get("protocol", defaults.protocol),
        margin=margin if margin is not None else options.get("margin"),
    )
    written = comparison.compare(
        dataset_id,
        once(configurations) or "2d",
        once(trainers),
        once(plans),
        numbered_folds(folds),
        output,
        Folders(parse_folders(predictions or []), reference, images, dataset_json, patients),
        settings,
        once(seeds) or (),
    )
    print(written.table)
    for path in written.files:
        print(path)


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder that keeps all files of the demo.")] = Path("segan_demo"),
    cases: Annotated[int, typer.Option(help="Number of simulated patients.")] = 20,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the simulation.")] = 0,
    device: Annotated[
        str | None, typer.Option("-device", help="cpu, cuda or mps. [default: cuda if there is one]")
    ] = None,
) -> None:
    """Run all steps on a simulated BRATS 2015 release: convert, plan, train three trainers, compare."""
    from segan_nnunet.experiments import demo as experiment

    experiment.run_demo(folder, cases, seed, device)


def benchmark(
    patch_size: Annotated[list[int] | None, typer.Option("--patch-size", min=1, help="[default: 160 160]")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per step.")] = 8,
    width: Annotated[int, typer.Option(min=1, help="Feature maps of the segmentor's first block.")] = 64,
    regions: Annotated[
        list[int] | None, typer.Option("--regions", min=1, help="Numbers of regions. [default: 3]")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Timed steps of each candidate.")] = 7,
    device: Annotated[str, typer.Option("-device", help="cpu or cuda.")] = "cpu",
    steps_only: Annotated[bool, typer.Option("--steps-only", help="Do not time loaders and inference.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            help="Folder for a check of the device: measurements at fixed sizes, and trainings on a simulated cohort. "
            "Of the other options only -device counts.",
        ),
    ] = None,
) -> None:
    """Time training steps of the authors' loop, of this package, of the softmax baseline and of nnU-Net.

    Also measure the limits of a step, the images per second of nnU-Net's loaders, and the cost of inference. With -o,
    also train on a simulated cohort: at the paper's size on a GPU, at a small size on a CPU.
    """
    if output:
        from segan_nnunet.experiments.device_check import check_device

        check_device(output, device, small=device == "cpu")
        return
    from segan_nnunet.data.environment import device_here
    from segan_nnunet.experiments import benchmark as bench

    device = device_here(device)
    for number in once(regions) or [3]:
        workload = bench.Workload(tuple(patch_size or (160, 160)), batch_size, width, regions=number, device=device)
        rows = bench.benchmark(workload, steps)
        print(bench.step_table(workload, rows), flush=True)
    if not steps_only:  # for the last number of regions
        print(bench.pipeline_lines(workload, bench.pipeline(workload), rows), flush=True)
        print(bench.inference_table(bench.inference(workload, steps)))
