"""How a comparison was made: versions, commands, plans, training settings, seeds."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from segan_nnunet.evaluation.methods.method import Method
from segan_nnunet.evaluation.statistics.intervals import RESAMPLES, SEED
from segan_nnunet.text_files import optional_object
from segan_nnunet.trainer_names import model_parts

PACKAGES = ("segan-nnunet", "nnunetv2", "torch", "SimpleITK", "numpy", "scipy", "statsmodels", "pandas", "matplotlib")
SETTINGS = {  # nnU-Net's names in debug.json, and ours
    "num_epochs": "epochs",
    "num_iterations_per_epoch": "steps per epoch",
    "initial_lr": "learning rate",
    "weight_decay": "weight decay",
    "device": "device",
    "torch_version": "torch",
}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that this comparison rests on."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # run from a folder of sources
    return found


def random_numbers() -> str:
    """Say what is random in a comparison."""
    return f"places in the ranking: {RESAMPLES} resamples, seed {SEED}; nothing else in the comparison is random"


def describe(method: Method) -> dict[str, str]:
    """What is known of how a method's predictions came to be."""
    if not method.model_folder:
        folder = next(iter(method.predictions.values())).parent
        return {"predictions": f"files of the folder {folder.name}, made elsewhere"}
    trainer, plans, configuration = model_parts(method.model_folder.name)
    folds = sorted(set(method.folds.values()))
    dataset = method.model_folder.parent.name.removeprefix("Dataset").partition("_")[0].lstrip("0")
    commands = [f"nnUNetv2_train {dataset} {configuration} {fold} -tr {trainer} -p {plans}" for fold in folds]
    described = {"command": "; ".join(commands), **describe_plans(method.model_folder, configuration)}
    settings = [describe_settings(method.model_folder / f"fold_{fold}") for fold in folds]
    return {**described, **agreed(settings, folds)}


def describe_plans(model_folder: Path, configuration: str) -> dict[str, str]:
    """The part of plans.json that tells one network and schedule from another."""
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


def describe_settings(fold_folder: Path) -> dict[str, str]:
    """The trainer's settings and seed as nnU-Net's debug.json has them."""
    debug = optional_object(fold_folder / "debug.json")
    described = {ours: str(debug[theirs]) for theirs, ours in SETTINGS.items() if theirs in debug}
    if optimizer := debug.get("optimizer"):
        described["optimiser"] = str(optimizer).partition(" (")[0]
    seeds = [f"{name} {value}" for name, value in debug.items() if "seed" in name.casefold() and value is not None]
    return {**described, "training seed": ", ".join(seeds) or "not fixed"}


def agreed(settings: Sequence[dict[str, str]], folds: Sequence[int]) -> dict[str, str]:
    """One value where all folds have the same, else one per fold."""
    names = list(dict.fromkeys(name for of_fold in settings for name in of_fold))
    joined = {}
    for name in names:
        values = [of_fold.get(name, "unknown") for of_fold in settings]
        each = "; ".join(f"fold {fold}: {value}" for fold, value in zip(folds, values, strict=True))
        joined[name] = values[0] if len(set(values)) == 1 else each
    return joined
