"""Verbs on data: convert or simulate a release, split a dataset, prepare an upload."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segan_nnunet.cli.options import LARGEST_SEED, DatasetId, OptionalDatasetId
from segan_nnunet.errors import InputError

if TYPE_CHECKING:  # each verb imports its own modules, so that --help stays fast
    from segan_nnunet.data import conversion
    from segan_nnunet.data.releases.release import Release


def convert(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="RELEASE SOURCE", help="Such as brats2015 FOLDER, or auto FOLDER.")
    ] = None,
    dataset_id: OptionalDatasetId = None,
    channels: Annotated[list[str] | None, typer.Option("--channels", help="Channels to take, in this order.")] = None,
    layout: Annotated[Path | None, typer.Option("--layout", help="Your own table instead of RELEASE.")] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Exclusive labels instead of regions.")] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the images instead of linking them.")] = False,
    geometry_from: Annotated[
        str | None, typer.Option(help="`image`: replace a truth's wrong header geometry by that of its image.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out cases that break a rule.")] = False,
    list_releases: Annotated[bool, typer.Option("--list", help="List the releases.")] = False,
) -> None:
    """Turn a BRATS release into a dataset in nnUNet_raw. With --layout, give only SOURCE."""
    from segan_nnunet.data import conversion
    from segan_nnunet.data.releases import tables

    if list_releases:
        for key in tables.available_releases():
            release = tables.load_release(key)
            print(f"{key:17} {release.title}: {', '.join(release.channels)}; {', '.join(release.regions)}")
        return
    arguments = arguments or []
    if len(arguments) != (1 if layout else 2) or dataset_id is None:
        raise InputError("give `RELEASE SOURCE -d ID`, or `SOURCE --layout FILE.toml -d ID`; --list shows the releases")
    if geometry_from not in (None, "image"):
        raise InputError(f"--geometry-from takes `image`, not '{geometry_from}'")
    source = Path(arguments[-1])
    if layout:
        release = tables.read_layout(layout)
    elif arguments[0] == "auto":
        release = tables.recognise(source)
        print(f"This is {release.title} ({release.key}).")
    else:
        release = tables.load_release(arguments[0])
    options = conversion.Options(tuple(channels or ()), copy, labels, geometry_from == "image", skip_bad)
    dataset = conversion.convert(release, source, dataset_id, options)
    training, test, folders_without_cases = dataset.training, dataset.test, dataset.without_cases
    print(f"{dataset.folder}: {len(training)} training cases, images {'copied' if dataset.copied else 'linked'}")
    if test:
        print(f"{len(test)} cases have no truth and went to imagesTs, the first {test[0]}")
    if dataset.empty:
        print(f"{len(dataset.empty)} cases have an empty truth: {', '.join(dataset.empty)}")
    if dataset.left_out:
        print(f"{len(dataset.left_out)} cases were left out; {conversion.LEFT_OUT_TABLE} lists the reasons")
    if training:
        print("Cases per label: " + ", ".join(f"{name} {number}" for name, number in dataset.label_counts.items()))
        print_label_doubts(dataset, release)
    for doubt in dataset.doubts:
        print(f"WARNING: {doubt}")
    if folders_without_cases:
        number, first = len(folders_without_cases), folders_without_cases[0]
        print(f"{number} folders next to the case folders contain no case. The first is {first}")
    if unmatched := dataset.unmatched_files:
        print(f"{len(unmatched)} images match no file name of {release.title}. The first is {unmatched[0]}")
    if training:
        print(f"Next: segan_nnunet plan -d {dataset_id}")
    else:
        print(f"No case has a truth, a file named like {' or '.join(release.truth)}. Predict imagesTs with "
              "nnUNetv2_predict, and turn the predictions into an upload with `submission`")  # fmt: skip


def print_label_doubts(dataset: "conversion.Conversion", release: "Release") -> None:
    """Warn of labels that never occur, and of labels that predictions cannot hold."""
    if never := [name for name, count in dataset.label_counts.items() if not count]:
        fits = f" Its values fit better to {', '.join(dataset.better)}." if dataset.better else ""
        print(f"WARNING: {', '.join(never)} never occurs. Is it {release.title}?{fits}")
    if dataset.lost:
        lost = ", ".join(dataset.lost)
        print(
            f"Predictions of this dataset cannot contain {lost}: nnU-Net writes one label per region, and another one "
            f"for the regions around {lost}. The scores of regions do not change. To predict {lost}, convert with "
            "--labels."
        )


def simulate(
    release: Annotated[str, typer.Argument(help="Such as brats2015; convert --list shows all.")],
    folder: Annotated[Path, typer.Argument(help="Folder in which to make the release's folder.")],
    cases: Annotated[int, typer.Option(help="Number of simulated patients.")] = 20,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the simulation.")] = 0,
    no_truth: Annotated[bool, typer.Option("--no-truth", help="Write test cases, without truth.")] = False,
) -> None:
    """Write a simulated release in its own layout: small brains with tumours, without any patient's data."""
    from segan_nnunet.data.releases import simulation

    print(simulation.simulate_release(folder, cases, seed, release, not no_truth))


def split(
    dataset_id: DatasetId,
    folds: Annotated[int, typer.Option("-k", help="Number of folds.")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the shuffling.")] = 12345,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing split.")] = False,
    scheme: Annotated[str, typer.Option(help="kfold, or holdout (the paper's 9:1 per grade).")] = "kfold",
) -> None:
    """Write splits_final.json: split patients, not scans, with grades spread evenly."""
    from segan_nnunet.data import splits

    print(splits.write_splits(dataset_id, folds, seed, overwrite, scheme).to_string(index=False))


def submission(
    predictions: Annotated[Path, typer.Argument(help="Folder of predictions, as nnUNetv2_predict writes it.")],
    dataset_id: DatasetId,
    output: Annotated[
        Path,
        typer.Option("-o", help="New folder for the files and a .zip beside it; or FILE.zip for the archive alone."),
    ],
    description: Annotated[str, typer.Option(help="Part of the file names, if the evaluation wants one.")] = "SegAN",
    layout: Annotated[Path | None, typer.Option("--layout", help="Your own table, if you converted with one.")] = None,
) -> None:
    """Turn predictions into an upload for the online evaluation: original label values, names and format."""
    from segan_nnunet.data import submission as upload

    result = upload.make_submission(dataset_id, predictions, output, description, layout)
    print(f"{result.folder or result.archive}: {len(result.files)} files, for example {result.files[0].name}")
    if result.folder:
        print(result.archive)
    if result.absent:
        print(f"No prediction holds {', '.join(result.absent)}; a model of regions may not be able to (see `convert`)")
