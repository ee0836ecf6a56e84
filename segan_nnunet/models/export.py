"""`export`: a trained model as a zip that nnU-Net installs, where possible without this package."""

import json
import re
import sys
import zipfile
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from segan_nnunet.catalogues import catalogue_folder, declared_classes, named_folders
from segan_nnunet.data.environment import dataset_name, folder_variable, nnunet_folder
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.planned.plans import read_plans_file
from segan_nnunet.data.planned.split_file import read_splits
from segan_nnunet.errors import InputError
from segan_nnunet.folds.checkpoint import read_checkpoint
from segan_nnunet.folds.checks import Purpose, check_fold, check_one_method
from segan_nnunet.folds.state import FINAL
from segan_nnunet.models.model_card import CARD, model_card
from segan_nnunet.outputs import output_file
from segan_nnunet.text_files import read_object
from segan_nnunet.trainer_names import ModelName
from segan_nnunet.trainer_search import find_trainer

FOR_INFERENCE = ("network_weights", "inference_allowed_mirroring_axes")
KEPT_PER_FOLD = ("progress.png", "progress_game.png")
PACKAGE = "the package segan_nnunet, installed from its source"
CATALOGUE = "segan_trainers"  # the module of our trainers
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
    unless the plans name Figure 1's segmentor. Another one goes under the trainer that builds it. The plans get a name
    of their own, so that the model does not replace one that was trained where it is installed.

    Args:
        dataset_id, trainer, plans, configuration: the trained model, of any trainer.
        folds: numbers, or all.
        output: the zip, which must not exist.
        checkpoint: which of each fold's checkpoints.

    Raises:
        InputError: the model, a fold or its checkpoint is missing or cannot be read; it is an exported model itself;
            the zip cannot be written; the split breaks a rule, or a fold was trained on cases that it is scored on.
    """
    with output_file(output, ".zip") as part:
        return write_zip(dataset_id, trainer, plans, configuration, folds, output, part, checkpoint)


def write_zip(
    dataset_id: int,
    trainer: str,
    plans: str,
    configuration: str,
    folds: Sequence[int | str],
    output: Path,
    part: Path,
    checkpoint: str,
) -> Exported:
    """Write the zip of `export_model`, which describes the arguments; `part` is its path until it is whole."""
    name = dataset_name(dataset_id)
    source = nnunet_folder("nnUNet_results") / name / str(ModelName(trainer, plans, configuration))
    if not source.is_dir():
        trained = ", ".join(sorted(path.name for path in source.parent.glob("*__*__*"))) or "none"
        raise InputError(f"there is no trained model {source}. Trained: {trained}")
    fold_folders = [source / f"fold_{fold}" for fold in folds]
    for folder in fold_folders:
        check_fold(folder, Purpose.EXPORT)
    described = {
        "plans.json": read_plans_file(source / "plans.json"),
        "dataset.json": read_dataset(source / "dataset.json"),
    }
    if preprocessed := folder_variable("nnUNet_preprocessed"):
        read_splits(preprocessed / name)  # the scores of the card are of its folds
    card = model_card(source, folds, described["dataset.json"], checkpoint)
    new_trainer, needed = trainer_of_network(trainer)
    check_one_method(fold_folders)
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # imports torch: seconds

    planned = PlansManager(deepcopy(described["plans.json"])).get_configuration(configuration)
    needs = list(dict.fromkeys([PACKAGE] * planned.network_arch_class_name.startswith("segan_nnunet") + needed))
    new_plans = plans_of_export(plans, trainer)
    described["plans.json"]["plans_name"] = new_plans
    model = str(ModelName(new_trainer, new_plans, configuration))
    chosen = " ".join(map(str, folds))
    predict = f"nnUNetv2_predict -d {name} -c {configuration} -f {chosen} -tr {new_trainer} -p {new_plans} -i IN -o OUT"
    exported = Exported(output, model, tuple(needs), predict)

    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in described.items():
            archive.writestr(f"{name}/{model}/{file}", json.dumps(content, indent=4))
        archive.writestr(f"{name}/{model}/README.txt", readme(exported, trainer))
        archive.writestr(f"{name}/{model}/{CARD}", card)
        fingerprint = source / "dataset_fingerprint.json"
        if fingerprint.is_file():  # which prediction does not read
            archive.write(fingerprint, f"{name}/{model}/{fingerprint.name}")
        described_by = {"trainer_name": new_trainer, "init_args": {"configuration": configuration}}
        for folder in fold_folders:
            write_fold(archive, folder, f"{name}/{model}/{folder.name}", checkpoint, described_by)
    return exported


def plans_of_export(plans: str, trainer: str) -> str:
    """Name an exported model's plans, which no training has: PLANS_TRAINER, without the "__" that parts folders."""
    return re.sub("_{2,}", "_", f"{plans}_{trainer}").strip("_")


def write_fold(archive: zipfile.ZipFile, fold: Path, inside: str, checkpoint: str, description: dict[str, Any]) -> None:
    """Put one fold's weights, scores and pictures into the zip, the weights with what nnU-Net reads beside them."""
    import torch

    if not (fold / checkpoint).is_file():
        trained = sorted(path.parent.name.removeprefix("fold_") for path in fold.parent.glob(f"fold_*/{checkpoint}"))
        raise InputError(
            f"there is no {fold / checkpoint}. Trained: {' '.join(f'-f {name}' for name in trained) or 'no fold'}"
        )
    saved = read_checkpoint(fold / checkpoint)
    buffer = BytesIO()
    torch.save({key: saved[key] for key in FOR_INFERENCE if key in saved} | description, buffer)
    archive.writestr(f"{inside}/{FINAL}", buffer.getvalue())
    for file in KEPT_PER_FOLD:
        if (fold / file).is_file():
            archive.write(fold / file, f"{inside}/{file}")
    summary = fold / "validation" / "summary.json"
    if summary.is_file():  # the scores, without the names of cases and the paths of the machine that validated
        scores = {key: value for key, value in read_object(summary).items() if key != "metric_per_case"}
        archive.writestr(f"{inside}/validation/summary.json", json.dumps(scores, indent=4))


def trainer_of_network(trainer: str) -> tuple[str, list[str]]:
    """Find the trainer by whose name nnU-Net builds the same network, with the least that is needed beside nnU-Net.

    Prediction looks at nothing else of a trainer: suffixes, losses and schedules do not matter.

    Returns:
        Its name: nnUNetTrainer where the network is the planned one; and what it needs.

    Raises:
        InputError: nnU-Net does not find the trainer, or cannot import a file on its way.
    """
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    found = find_trainer(trainer)
    build = found.build_network_architecture
    if build is nnUNetTrainer.build_network_architecture:
        return nnUNetTrainer.__name__, []
    builders: list[type] = [one for one in found.__mro__ if getattr(one, "build_network_architecture", None) is build]
    for one in builders:
        if one.__module__.startswith("nnunetv2.") and vars(sys.modules[one.__module__]).get(one.__name__) is one:
            return one.__name__, []
    for one in builders:
        if one.__module__ == CATALOGUE and one.__name__ in declared_classes(catalogue_folder("trainers")):
            return one.__name__, [PACKAGE, TRAINER_FOLDER]
    declared = {name for folder in named_folders() for name in declared_classes(folder)}
    name = next((one.__name__ for one in builders if one.__name__ in declared), trainer)
    uses_package = any(one.__module__.startswith("segan_") for one in builders)
    own_file = f"the file that declares the trainer {name}, in a folder of nnUNet_extTrainer"
    return name, [PACKAGE] * uses_package + [own_file]


def readme(exported: Exported, trainer: str) -> str:
    """What the zip says about itself."""
    before = "".join(f"    {command}\n" for command in exported.needs)
    needed = f"Needed beside nnU-Net v2:\n\n{before}\n" if before else "It needs nnU-Net v2 only.\n\n"
    return (
        f"Trained with {trainer}, exported with segan-nnunet. {needed}"
        f"    nnUNetv2_install_pretrained_model_from_zip {exported.path.name}\n    {exported.predict}\n"
    )
