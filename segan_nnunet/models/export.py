"""`export`: write a trained model as a zip that nnU-Net installs, without this package where possible."""

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
from segan_nnunet.folds.state import FINAL, SUMMARY
from segan_nnunet.models.model_card import CARD, model_card
from segan_nnunet.outputs import output_file
from segan_nnunet.text_files import read_object
from segan_nnunet.trainer_names import ModelName
from segan_nnunet.trainer_search import find_trainer

FOR_INFERENCE = ("network_weights", "inference_allowed_mirroring_axes")
KEPT_PER_FOLD = ("progress.png", "progress_game.png")
PACKAGE = "the package segan_nnunet, installed from its source"
CATALOGUE = "segan_trainers"  # module of our trainers
TRAINER_FOLDER = 'export nnUNet_extTrainer="$(segan_nnunet trainer-folder)"'


@dataclass(frozen=True)
class Exported:
    """The result of `export_model`.

    Attributes:
        path: the zip.
        model: the model's folder in it, TRAINER__PLANS__CONFIGURATION.
        needs: what the model needs beside nnU-Net; empty if stock nnU-Net predicts with it.
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
    """Write a zip for nnUNetv2_install_pretrained_model_from_zip, with the parts for inference and without critics.

    If the plans alone define the network, the model goes under nnU-Net's own trainer, so that prediction needs this
    package only for Figure 1's segmentor. Any other network goes under the trainer that builds it. The plans get a
    name of their own, so that the installed model does not replace one that was trained there.

    Args:
        dataset_id, trainer, plans, configuration: the trained model, of any trainer.
        folds: numbers, or all.
        output: the zip, which must not exist.
        checkpoint: file name of each fold's checkpoint.

    Raises:
        InputError: the model, a fold or its checkpoint is missing or unreadable; the model is an exported one itself;
            the zip cannot be written; the split breaks a rule, or a fold was trained on cases that it is scored on.
    """
    with output_file(output, ".zip") as part:
        name = dataset_name(dataset_id)
        source = nnunet_folder("nnUNet_results") / name / str(ModelName(trainer, plans, configuration))
        if not source.is_dir():
            trained = ", ".join(sorted(path.name for path in source.parent.glob("*__*__*"))) or "none"
            raise InputError(f"there is no trained model {source}. Trained: {trained}. Give one of these models")
        fold_folders = [source / f"fold_{fold}" for fold in folds]
        for folder in fold_folders:
            check_fold(folder, Purpose.EXPORT)
        new_plans = plans_of_export(plans, trainer)
        exported_plans = read_plans_file(source / "plans.json") | {"plans_name": new_plans}
        dataset = read_dataset(source / "dataset.json")
        if preprocessed := folder_variable("nnUNet_preprocessed"):
            read_splits(preprocessed / name)  # the scores of the card are of its folds
        card = model_card(source, folds, dataset, checkpoint)
        new_trainer, needs = trainer_of_network(trainer)
        check_one_method(fold_folders)
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # imports torch: seconds

        network = PlansManager(deepcopy(exported_plans)).get_configuration(configuration).network_arch_class_name
        if network.startswith("segan_nnunet"):
            needs = list(dict.fromkeys([PACKAGE, *needs]))
        model = str(ModelName(new_trainer, new_plans, configuration))
        predict = (
            f"nnUNetv2_predict -d {name} -c {configuration} -f {' '.join(map(str, folds))} -tr {new_trainer} "
            f"-p {new_plans} -i IN -o OUT"
        )
        exported = Exported(output, model, tuple(needs), predict)
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}/{model}/plans.json", json.dumps(exported_plans, indent=4))
            archive.writestr(f"{name}/{model}/dataset.json", json.dumps(dataset, indent=4))
            archive.writestr(f"{name}/{model}/README.txt", readme(exported, trainer))
            archive.writestr(f"{name}/{model}/{CARD}", card)
            fingerprint = source / "dataset_fingerprint.json"
            if fingerprint.is_file():  # prediction does not need it
                archive.write(fingerprint, f"{name}/{model}/{fingerprint.name}")
            description = {"trainer_name": new_trainer, "init_args": {"configuration": configuration}}
            for folder in fold_folders:
                write_fold(archive, folder, f"{name}/{model}/{folder.name}", checkpoint, description)
    return exported


def plans_of_export(plans: str, trainer: str) -> str:
    """Return a name for exported plans that no training has: PLANS_TRAINER, without the "__" of folder names."""
    return re.sub("_{2,}", "_", f"{plans}_{trainer}").strip("_")


def write_fold(archive: zipfile.ZipFile, fold: Path, inside: str, checkpoint: str, description: dict[str, Any]) -> None:
    """Write one fold's weights, scores and pictures into the zip; `description` goes into the checkpoint."""
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
    if (fold / SUMMARY).is_file():  # only the means: the entries of cases have names and paths of this machine
        scores = {key: value for key, value in read_object(fold / SUMMARY).items() if key != "metric_per_case"}
        archive.writestr(f"{inside}/{SUMMARY}", json.dumps(scores, indent=4))


def trainer_of_network(trainer: str) -> tuple[str, list[str]]:
    """Find the trainer under which nnU-Net builds the same network, with the least needs beside nnU-Net.

    Prediction uses only the network of a trainer, so suffixes, losses and schedules do not matter.

    Returns:
        The trainer's name (nnUNetTrainer if the plans alone define the network), and what it needs.

    Raises:
        InputError: nnU-Net does not find the trainer, or cannot import a file on its way.
    """
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    trainer_class = find_trainer(trainer)
    build = trainer_class.build_network_architecture
    if build is nnUNetTrainer.build_network_architecture:
        return nnUNetTrainer.__name__, []
    builders: list[type] = [
        base for base in trainer_class.__mro__ if getattr(base, "build_network_architecture", None) is build
    ]
    for base in builders:
        if base.__module__.startswith("nnunetv2.") and vars(sys.modules[base.__module__]).get(base.__name__) is base:
            return base.__name__, []
    for base in builders:
        if base.__module__ == CATALOGUE and base.__name__ in declared_classes(catalogue_folder("trainers")):
            return base.__name__, [PACKAGE, TRAINER_FOLDER]
    declared = {name for folder in named_folders() for name in declared_classes(folder)}
    name = next((base.__name__ for base in builders if base.__name__ in declared), trainer)
    uses_package = any(base.__module__.startswith("segan_") for base in builders)
    own_file = f"the file that declares the trainer {name}, in a folder of nnUNet_extTrainer"
    return name, [PACKAGE] * uses_package + [own_file]


def readme(exported: Exported, trainer: str) -> str:
    """Return the text of the zip's README."""
    needs = "".join(f"    {need}\n" for need in exported.needs)
    return (
        f"Trained with {trainer}, exported with segan-nnunet. "
        + (f"Needed beside nnU-Net v2:\n\n{needs}\n" if needs else "It needs nnU-Net v2 only.\n\n")
        + f"    nnUNetv2_install_pretrained_model_from_zip {exported.path.name}\n    {exported.predict}\n"
    )
