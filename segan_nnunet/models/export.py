"""`export`: a trained model as a zip that nnU-Net installs, where possible without this package."""

import json
import zipfile
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.errors import InputError
from segan_nnunet.fold_checkpoint import check_one_method, read_checkpoint
from segan_nnunet.models.model_card import CARD, model_card
from segan_nnunet.models.plans import read_plans
from segan_nnunet.text_files import read_object
from segan_nnunet.trainer_names import ModelName
from segan_nnunet.trainer_search import find_trainer

STOCK_TRAINER = "nnUNetTrainer"
FOR_INFERENCE = ("network_weights", "inference_allowed_mirroring_axes")
KEPT_PER_FOLD = ("progress.png", "progress_game.png")
PACKAGE = "the package segan_nnunet, installed from its source"
TRAINER_FOLDER = 'export nnUNet_extTrainer="$(segan_nnunet trainer-folder)"'


@dataclass(frozen=True)
class Exported:
    """What `export_model` made.

    Attributes:
        path: of the zip.
        model: the model's folder in it, TRAINER__PLANS__CONFIGURATION.
        needs: commands that must be run before nnU-Net can predict with it; none for stock nnU-Net.
        predict: the command that predicts with it.
    """

    path: Path
    model: str
    needs: tuple[str, ...]
    predict: str


def export_model(
    dataset_id: int,
    trainer: str,
    plans: str,
    configuration: str,
    folds: Sequence[int | str],
    output: Path,
    checkpoint: str = "checkpoint_final.pth",
) -> Exported:
    """Write a zip for nnUNetv2_install_pretrained_model_from_zip, with what inference reads and no critic.

    A network that comes from the plans alone goes under nnU-Net's own trainer, so that this package is not needed
    unless the plans name Figure 1's segmentor. A trainer that builds another network keeps its name.

    Args:
        dataset_id, trainer, plans, configuration: the trained model.
        folds: numbers, or all.
        output: the zip, which must not exist.
        checkpoint: which of each fold's checkpoints.

    Raises:
        InputError: the model, a fold or its checkpoint is missing or not of this package; the zip exists.
    """
    name = dataset_name(dataset_id)
    source = nnunet_folder("nnUNet_results") / name / str(ModelName(trainer, plans, configuration))
    if output.exists():
        raise InputError(f"{output} exists; name another file")
    if not source.is_dir():
        trained = ", ".join(sorted(path.name for path in source.parent.glob("*__*__*"))) or "none"
        raise InputError(f"there is no trained model {source}. Trained: {trained}")
    described = {"plans.json": read_plans(source / "plans.json"), "dataset.json": read_dataset(source / "dataset.json")}
    card = model_card(source, folds, described["dataset.json"], checkpoint)
    own_network = builds_its_own_network(trainer)
    check_one_method([source / f"fold_{fold}" for fold in folds])
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # imports torch: seconds

    planned = PlansManager(deepcopy(described["plans.json"])).get_configuration(configuration)
    architecture = planned.network_arch_class_name
    needs = [PACKAGE] if own_network or architecture.startswith("segan_nnunet") else []
    needs += [TRAINER_FOLDER] if own_network else []
    new_trainer = trainer if own_network else STOCK_TRAINER
    # another name for the plans, so that it does not land on a model that stock nnU-Net trained with them
    new_plans = plans if own_network else f"{plans}_{trainer}"
    described["plans.json"]["plans_name"] = new_plans
    model = str(ModelName(new_trainer, new_plans, configuration))
    chosen = " ".join(map(str, folds))
    predict = f"nnUNetv2_predict -d {name} -c {configuration} -f {chosen} -tr {new_trainer} -p {new_plans} -i IN -o OUT"
    exported = Exported(output, model, tuple(needs), predict)

    part = output.with_name(f".{output.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in described.items():
                archive.writestr(f"{name}/{model}/{file}", json.dumps(content, indent=4))
            archive.writestr(f"{name}/{model}/README.txt", readme(exported, trainer))
            archive.writestr(f"{name}/{model}/{CARD}", card)
            archive.write(source / "dataset_fingerprint.json", f"{name}/{model}/dataset_fingerprint.json")
            for fold in folds:
                write_fold(archive, source / f"fold_{fold}", f"{name}/{model}/fold_{fold}", checkpoint, new_trainer)
        part.rename(output)
    finally:
        part.unlink(missing_ok=True)
    return exported


def write_fold(archive: zipfile.ZipFile, fold: Path, inside: str, checkpoint: str, trainer: str) -> None:
    """Put one fold's weights, scores and pictures into the zip."""
    import torch

    if not (fold / checkpoint).is_file():
        trained = sorted(path.parent.name.removeprefix("fold_") for path in fold.parent.glob(f"fold_*/{checkpoint}"))
        raise InputError(
            f"there is no {fold / checkpoint}. Trained: {' '.join(f'-f {name}' for name in trained) or 'no fold'}"
        )
    saved = read_checkpoint(fold / checkpoint)
    reduced: dict[str, Any] = {key: saved[key] for key in FOR_INFERENCE}
    reduced["trainer_name"] = trainer
    reduced["init_args"] = {"configuration": saved["init_args"]["configuration"]}
    buffer = BytesIO()
    torch.save(reduced, buffer)
    archive.writestr(f"{inside}/checkpoint_final.pth", buffer.getvalue())
    for file in KEPT_PER_FOLD:
        if (fold / file).is_file():
            archive.write(fold / file, f"{inside}/{file}")
    summary = fold / "validation" / "summary.json"
    if summary.is_file():  # the scores, without the names of cases and the paths of the machine that validated
        scores = {key: value for key, value in read_object(summary).items() if key != "metric_per_case"}
        archive.writestr(f"{inside}/validation/summary.json", json.dumps(scores, indent=4))


def builds_its_own_network(trainer: str) -> bool:
    """Whether a trainer's network is other than the planned one.

    Raises:
        InputError: nnU-Net does not find the trainer, or cannot import a file on its way.
    """
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    found = find_trainer(trainer)
    return found.build_network_architecture is not nnUNetTrainer.build_network_architecture


def readme(exported: Exported, trainer: str) -> str:
    """What the zip says about itself."""
    before = "".join(f"    {command}\n" for command in exported.needs)
    needed = f"Needed beside nnU-Net v2:\n\n{before}\n" if before else "It needs nnU-Net v2 only.\n\n"
    return (
        f"Trained with {trainer} of segan-nnunet. {needed}"
        f"    nnUNetv2_install_pretrained_model_from_zip {exported.path.name}\n    {exported.predict}\n"
    )
