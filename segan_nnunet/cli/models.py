"""Verbs on a model: list trainers, plan, export."""

from pathlib import Path
from typing import Annotated

import typer

from segan_nnunet.cli.options import DatasetId, Processes, folds_or_all, once


def trainer_folder() -> None:
    """Print the folder of our trainers: export nnUNet_extTrainer="$(segan_nnunet trainer-folder)"."""
    from segan_nnunet.catalogues import catalogue_folder

    print(catalogue_folder("trainers"))


def trainers() -> None:
    """List the trainers and suffixes, also those in your folders of nnUNet_extTrainer."""
    from segan_nnunet.catalogues import list_trainers

    print(list_trainers())


def plan(
    dataset_id: DatasetId,
    configurations: Annotated[list[str] | None, typer.Option("-c", help="Configurations. [default: 2d]")] = None,
    network: Annotated[
        str, typer.Option(help="segan (Figure 1's segmentor) or nnunet (nnU-Net's own, for other widths or patches).")
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
    """Plan and preprocess with nnU-Net if needed, and write SegANPlans, or nnU-Net's plans at another width."""
    from segan_nnunet.data.planned.split_file import SPLITS_FILE
    from segan_nnunet.models import plans

    planned = once(configurations) or ["2d"]
    settings = (width, batch_size, patch_size, plans_name, processes, spacing, network)
    path = plans.plan(dataset_id, planned, *settings)
    trainer = "SegANTrainer" if network == "segan" else "nnUNetTrainerSegAN"
    is_split = (path.parent / SPLITS_FILE).is_file()
    train = f"nnUNetv2_train {dataset_id} {planned[0]} 0 -tr {trainer} -p {path.stem}"
    print(f"{path}\nNext: {train if is_split else f'segan_nnunet split -d {dataset_id}'}")


def export(
    dataset_id: DatasetId,
    trainer: Annotated[str, typer.Option("-tr", help="Trainer.")],
    output: Annotated[Path, typer.Option("-o", help="Zip to write.")],
    plans: Annotated[str, typer.Option("-p", help="Plans.")] = "SegANPlans",
    configuration: Annotated[str, typer.Option("-c", help="Configuration.")] = "2d",
    folds: Annotated[list[str] | None, typer.Option("-f", help="Folds, or all. [default: 0 1 2 3 4]")] = None,
    checkpoint: Annotated[str, typer.Option("-chk", help="Checkpoint of each fold.")] = "checkpoint_final.pth",
) -> None:
    """Write a trained model as a zip that nnU-Net installs. A network of nnU-Net's does not need this package."""
    from segan_nnunet.models.export import export_model

    chosen = folds_or_all(folds) or [0, 1, 2, 3, 4]
    model = export_model(dataset_id, trainer, plans, configuration, chosen, output, checkpoint)
    needs = f"needs: {'; '.join(model.needs)}" if model.needs else "stock nnU-Net predicts with it"
    print(f"{model.path}: {model.model}, {needs}\n{model.predict}")
