"""Verbs on data: a release becomes a dataset, a split, and at last an upload."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segan_nnunet.cli.options import LARGEST_SEED, DatasetId, OptionalDatasetId
from segan_nnunet.errors import InputError

if TYPE_CHECKING:  # each verb imports what it needs, so that --help stays fast
    from segan_nnunet.data import conversion
    from segan_nnunet.data.releases.release import Release


def convert(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="RELEASE SOURCE", help="E.g. brats2015 FOLDER, or auto FOLDER")
    ] = None,
    dataset_id: OptionalDatasetId = None,
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
    if made.training:
        print("In so many of them there is: " + ", ".join(f"{name} {n}" for name, n in made.label_counts.items()))
        print_doubts(made, release)
    for doubt in made.doubts:
        print(f"WARNING: {doubt}")
    if made.without_cases:
        print(f"{len(made.without_cases)} folders beside the cases' hold none, the first {made.without_cases[0]}")
    if made.unmatched_files:
        print(f"{len(made.unmatched_files)} images are named like nothing of {release.title}, the first "
              f"{made.unmatched_files[0]}")  # fmt: skip
    if made.training:
        print(f"Next: segan_nnunet plan -d {dataset_id}")
    else:
        print(f"No case has a truth, a file named like {' or '.join(release.truth)}: a dataset to predict, and for "
              "`submission`; nnUNetv2_predict takes its imagesTs")  # fmt: skip


def print_doubts(made: "conversion.Conversion", release: "Release") -> None:
    """Say what in the labels may not be as the user thinks."""
    if never := [name for name, count in made.label_counts.items() if not count]:
        fits = f" Its values fit better to {', '.join(made.better)}." if made.better else ""
        print(f"WARNING: {', '.join(never)} never occurs. Is it {release.title}?{fits}")
    if made.lost:
        print(
            f"Predictions will not hold {', '.join(made.lost)}: always inside a region with another label, which is "
            "written there. The regions' scores do not need it; --labels keeps it."
        )


def simulate(
    release: Annotated[str, typer.Argument(help="E.g. brats2015; convert --list shows them.")],
    folder: Annotated[Path, typer.Argument(help="The release's folder is made in here.")],
    cases: Annotated[int, typer.Option(help="Simulated patients.")] = 20,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Of the simulation.")] = 0,
    no_truth: Annotated[bool, typer.Option("--no-truth", help="Write test cases.")] = False,
) -> None:
    """Write a simulated release in its own layout: small brains with tumours, and no patient's data."""
    from segan_nnunet.data.releases import simulation

    print(simulation.simulate_release(folder, cases, seed, release, not no_truth))


def split(
    dataset_id: DatasetId,
    folds: Annotated[int, typer.Option("-k", help="Number of folds.")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Of the shuffling.")] = 12345,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing splits.")] = False,
    scheme: Annotated[str, typer.Option(help="kfold, or holdout: the paper's 9:1 per grade.")] = "kfold",
) -> None:
    """Write splits_final.json: patients, never scans, are split, grades spread evenly."""
    from segan_nnunet.data import splits

    print(splits.write_splits(dataset_id, folds, seed, overwrite, scheme).to_string(index=False))


def submission(
    predictions: Annotated[Path, typer.Argument(help="Folder of predictions, as nnUNetv2_predict writes it.")],
    dataset_id: DatasetId,
    output: Annotated[
        Path, typer.Option("-o", help="New folder for the files, with a .zip beside it; or only the archive, FILE.zip.")
    ],
    description: Annotated[str, typer.Option(help="Goes into file names where the evaluation wants one.")] = "SegAN",
    layout: Annotated[Path | None, typer.Option("--layout", help="The table, if you converted with one.")] = None,
) -> None:
    """Turn predictions into what the online evaluation takes: original label values, names and format."""
    from segan_nnunet.data import submission as upload

    made = upload.make_submission(dataset_id, predictions, output, description, layout)
    print(f"{made.folder or made.archive}: {len(made.files)} files, for example {made.files[0].name}")
    if made.folder:
        print(made.archive)
    if made.absent:
        print(f"No prediction holds {', '.join(made.absent)}; a model of regions may not be able to (see `convert`)")
