"""Verbs on a model, before its training and after."""

from pathlib import Path
from typing import Annotated

import typer

from segan_nnunet.cli.options import DatasetId, Processes, folds_or_all, once


def trainer_folder() -> None:
    """Print the folder of our trainers: export nnUNet_extTrainer="$(segan_nnunet trainer-folder)"."""
    from segan_nnunet.catalogues import catalogue_folder

    print(catalogue_folder("trainers"))


def trainers() -> None:
    """List trainers and suffixes, also those of your folders in nnUNet_extTrainer."""
    from segan_nnunet.catalogues import list_trainers

    print(list_trainers())


def plan(
    dataset_id: DatasetId,
    configurations: Annotated[list[str] | None, typer.Option("-c", help="Configurations. [default: 2d]")] = None,
    network: Annotated[
        str, typer.Option(help="segan, Figure 1's segmentor, or nnunet, nnU-Net's own, for other widths or patches.")
    ] = "segan",
    width: Annotated[
        int | None,
        typer.Option(min=1, help="Feature maps of the network's first stage. [default: 64; nnunet: its own]"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Samples per step. [default: 64 in 2-D; nnunet: its own]")
    ] = None,
    patch_size: Annotated[
        list[int] | None, typer.Option(min=1, help="Voxels per axis. [default: 160 160 in 2-D; nnunet: its own]")
    ] = None,
    plans_name: Annotated[
        str | None,
        typer.Option("--plans-name", help="Name of the plans. [default: SegANPlans, nnUNetPlans_width16]"),
    ] = None,
    spacing: Annotated[
        list[float] | None, typer.Option("--spacing", help="Voxel size in mm, z y x. [default: the cases' median]")
    ] = None,
    processes: Processes = None,
) -> None:
    """Plan and preprocess with nnU-Net where that is missing, and write SegANPlans, or nnU-Net's at another width."""
    from segan_nnunet.models import plans

    path = plans.plan(
        dataset_id,
        once(configurations) or ["2d"],
        width,
        batch_size,
        patch_size,
        plans_name,
        processes,
        spacing,
        network,
    )
    first = (configurations or ["2d"])[0]
    trainer = "SegANTrainer" if network == "segan" else "nnUNetTrainerSegAN"
    print(f"{path}\nNext: nnUNetv2_train {dataset_id} {first} 0 -tr {trainer} -p {path.stem}")


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

    chosen = folds_or_all(folds) or [0, 1, 2, 3, 4]
    made = export_model(dataset_id, trainer, plans, configuration, chosen, output, checkpoint)
    needed = f"needs: {'; '.join(made.needs)}" if made.needs else "stock nnU-Net predicts with it"
    print(f"{made.path}: {made.model}, {needed}\n{made.predict}")
