"""What nnU-Net recorded of a model's training: command, plans, settings, seeds; cost and course of each fold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segan_nnunet.evaluation.methods.training import TrainingCost, TrainingLog
from segan_nnunet.folds.checkpoint import read_fold
from segan_nnunet.text_files import optional_object
from segan_nnunet.trainer_names import model_parts

SETTINGS = {  # nnU-Net's names in debug.json, and ours
    "num_epochs": "epochs",
    "num_iterations_per_epoch": "steps per epoch",
    "initial_lr": "learning rate",
    "weight_decay": "weight decay",
    "device": "device",
    "torch_version": "torch",
}


def read_cost(fold: Path) -> TrainingCost | None:
    """Read the cost of a fold's training; None where nnU-Net did not write it."""
    try:
        log = (read_fold(fold) or {})["logging"]
        starts, ends = (np.array(log[f"epoch_{when}_timestamps"], dtype=float) for when in ("start", "end"))
        per_epoch = int(optional_object(fold / "debug.json")["num_iterations_per_epoch"])
        return TrainingCost(len(ends) * per_epoch, float((ends - starts[: len(ends)]).sum()))
    except (KeyError, TypeError, ValueError):  # a foreign training, or none
        return None


def read_training_log(fold: Path) -> TrainingLog | None:
    """Read the log in a fold's newest checkpoint; None where there is no such log."""
    try:
        log = (read_fold(fold) or {})["logging"]
        pseudo_dice = np.asarray(log["dice_per_class_or_region"], dtype=float)
        losses = (np.asarray(log[key], dtype=float) for key in ("train_losses", "val_losses"))
        return TrainingLog(np.atleast_2d(pseudo_dice), *losses)
    except (KeyError, TypeError, ValueError):  # a foreign one; a picture may lack a curve
        return None


def describe_training(model_folder: Path, folds: Sequence[int]) -> dict[str, str]:
    """Describe how a model's predictions were made: command, plans, settings and seeds, by heading."""
    trainer, plans, configuration = model_parts(model_folder.name)
    dataset = model_folder.parent.name.removeprefix("Dataset").partition("_")[0].lstrip("0")
    commands = [f"nnUNetv2_train {dataset} {configuration} {fold} -tr {trainer} -p {plans}" for fold in folds]
    settings = [describe_settings(model_folder / f"fold_{fold}") for fold in folds]
    return {
        "command": "; ".join(commands),
        **describe_plans(model_folder, configuration),
        **merge_settings(settings, folds),
    }


def describe_plans(model_folder: Path, configuration: str) -> dict[str, str]:
    """Describe the part of plans.json that tells one network and schedule from another."""
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


def merge_settings(settings: Sequence[dict[str, str]], folds: Sequence[int]) -> dict[str, str]:
    """Return one value where all folds have the same, else one per fold."""
    merged = {}
    for name in dict.fromkeys(name for of_fold in settings for name in of_fold):
        values = [of_fold.get(name, "unknown") for of_fold in settings]
        each = "; ".join(f"fold {fold}: {value}" for fold, value in zip(folds, values, strict=True))
        merged[name] = values[0] if len(set(values)) == 1 else each
    return merged
