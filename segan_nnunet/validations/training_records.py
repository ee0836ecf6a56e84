"""Read nnU-Net's records of a training: command, plans, settings, seeds, and the cost and log of each fold."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segan_nnunet.evaluation.methods.training import TrainingCost, TrainingLog
from segan_nnunet.folds.checkpoint import read_fold
from segan_nnunet.text_files import optional_object
from segan_nnunet.trainer_names import model_parts

SETTINGS = {  # names in nnU-Net's debug.json, and their text in a report
    "num_epochs": "epochs",
    "num_iterations_per_epoch": "steps per epoch",
    "initial_lr": "learning rate",
    "weight_decay": "weight decay",
    "device": "device",
    "torch_version": "torch",
}


def read_cost(fold: Path) -> TrainingCost | None:
    """Read the cost of a fold's training; None if nnU-Net did not record it."""
    try:
        log = (read_fold(fold) or {})["logging"]
        starts, ends = (np.array(log[f"epoch_{when}_timestamps"], dtype=float) for when in ("start", "end"))
        per_epoch = int(optional_object(fold / "debug.json")["num_iterations_per_epoch"])
        return TrainingCost(len(ends) * per_epoch, float((ends - starts[: len(ends)]).sum()))
    except (KeyError, TypeError, ValueError):  # no training, or that of another program
        return None


def read_training_log(fold: Path) -> TrainingLog | None:
    """Read the log in a fold's newest checkpoint; None if it lacks a curve."""
    try:
        log = (read_fold(fold) or {})["logging"]
        pseudo_dice = np.asarray(log["dice_per_class_or_region"], dtype=float)
        losses = (np.asarray(log[key], dtype=float) for key in ("train_losses", "val_losses"))
        return TrainingLog(np.atleast_2d(pseudo_dice), *losses)
    except (KeyError, TypeError, ValueError):  # no training, or that of another program
        return None


def describe_training(model_folder: Path, folds: Sequence[int]) -> dict[str, str]:
    """Describe a model's training by heading: command, plans, settings and seeds."""
    trainer, plans, configuration = model_parts(model_folder.name)
    dataset = model_folder.parent.name.removeprefix("Dataset").partition("_")[0].lstrip("0")
    commands = [f"nnUNetv2_train {dataset} {configuration} {fold} -tr {trainer} -p {plans}" for fold in folds]
    settings = {fold: describe_settings(model_folder / f"fold_{fold}") for fold in folds}
    return {
        "command": "; ".join(commands),
        **describe_plans(model_folder, configuration),
        **merge_settings(settings),
    }


def describe_plans(model_folder: Path, configuration: str) -> dict[str, str]:
    """Describe the parts of plans.json that identify the network and the batches."""
    plans = optional_object(model_folder / "plans.json")
    chosen = plans.get("configurations", {}).get(configuration, {})
    architecture = chosen.get("architecture", {})
    features = architecture.get("arch_kwargs", {}).get("features_per_stage")
    described = {
        "plans": plans.get("plans_name"),
        "network": architecture.get("network_class_name"),
        "feature maps": features and ", ".join(map(str, features)),
        "patch size": chosen.get("patch_size") and " x ".join(map(str, chosen["patch_size"])),
        "batch size": chosen.get("batch_size"),
    }
    return {name: str(value) for name, value in described.items() if value}


def describe_settings(fold: Path) -> dict[str, str]:
    """Describe the trainer's settings and seed, from nnU-Net's debug.json."""
    debug = optional_object(fold / "debug.json")
    described = {ours: str(debug[theirs]) for theirs, ours in SETTINGS.items() if theirs in debug}
    if optimizer := debug.get("optimizer"):
        described["optimiser"] = str(optimizer).partition(" (")[0]
    seeds = [f"{name} {value}" for name, value in debug.items() if "seed" in name.casefold() and value is not None]
    return {**described, "training seed": ", ".join(seeds) or "not fixed"}


def merge_settings(settings: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    """Merge the settings of folds: one value if all folds agree, else the value of each fold."""
    merged = {}
    for name in dict.fromkeys(name for of_fold in settings.values() for name in of_fold):
        values = {fold: of_fold.get(name, "unknown") for fold, of_fold in settings.items()}
        each = "; ".join(f"fold {fold}: {value}" for fold, value in values.items())
        merged[name] = each if len(set(values.values())) > 1 else next(iter(values.values()))
    return merged
