"""Check a grid before any of its jobs starts."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segan_nnunet.catalogues import folder_problems
from segan_nnunet.data.case_table import CASE_TABLE
from segan_nnunet.data.environment import DEVICES, dataset_name, dataset_number, folder_variable, nnunet_folder
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.split_file import (
    SPLITS_FILE,
    check_validated_once,
    describe_shared_patients,
    read_splits,
)
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import is_hidden
from segan_nnunet.folds.record import resolved
from segan_nnunet.folds.state import describe_exported, is_exported
from segan_nnunet.grid.jobs import Grid
from segan_nnunet.models.configurations import SEGMENTOR
from segan_nnunet.text_files import optional_object
from segan_nnunet.trainer_names import unseeded
from segan_nnunet.trainer_search import describe_duplicates, find_trainer

NNUNET_FOLDS = 5  # of nnU-Net's own split
CHANGING = {"__init__", "initialize", "build_network_architecture"}  # methods that may switch deep supervision off


def make_grid(
    dataset_id: int,
    trainers: Sequence[str],
    plans: Sequence[str],
    folds: Sequence[int] | None = None,
    configuration: str = "2d",
    device: str = "cuda",
    num_gpus: int = 1,
    seeds: Sequence[int] = (),
) -> Grid:
    """Make a grid on a planned dataset.

    Args:
        dataset_id: a planned dataset.
        trainers: names as for `nnUNetv2_train -tr`: our trainers, nnU-Net's or the user's. They are not searched here;
            `check_trainers` does that in some seconds.
        plans: names as for `nnUNetv2_train -p`.
        folds: numbers; by default all folds of the split.
        configuration, device, num_gpus: as for `nnUNetv2_train`.
        seeds: seeds of each training; by default one training with a random seed.

    Raises:
        InputError: a value does not exist (the message lists the existing ones), or plans or the split break a rule.
    """
    if device not in DEVICES:
        raise InputError(f"there is no device '{device}'; nnU-Net knows {', '.join(DEVICES)}")
    if num_gpus > 1 and device != "cuda":
        raise InputError(f"{num_gpus} GPUs for one training need -device cuda, not {device}")
    nnunet_folder("nnUNet_results")
    dataset = dataset_name(dataset_id)
    preprocessed = nnunet_folder("nnUNet_preprocessed") / dataset
    check_plans(preprocessed, plans, configuration)
    splits, raw = read_splits(preprocessed) or [], folder_variable("nnUNet_raw")
    if not splits and raw and (raw / dataset / CASE_TABLE).is_file():  # nnU-Net's own split ignores patients
        raise InputError(f"{dataset} is not split yet. Split it first: segan_nnunet split -d {dataset_id}")
    existing_folds = range(len(splits) or NNUNET_FOLDS)
    if unknown := [fold for fold in folds or () if fold not in existing_folds]:
        raise InputError(
            f"there is no fold {', '.join(map(str, unknown))} of {dataset}: its split has folds 0 to "
            f"{len(existing_folds) - 1} ({preprocessed / SPLITS_FILE}), and nnU-Net would train on a random split. "
            "Leave them out of --folds, or make another split with segan_nnunet split -k"
        )
    if shared := describe_shared_patients(preprocessed, splits):
        print(f"WARNING: {shared}", file=sys.stderr)
    check_validated_once(splits, folds or existing_folds, preprocessed / SPLITS_FILE)
    if seeds and (seeded := [name for name in trainers if unseeded(name)[1] is not None]):
        raise InputError(f"{', '.join(seeded)} has a seed in its name. Leave it out of the name, or leave --seeds out")
    if negative := [seed for seed in seeds if seed < 0]:
        raise InputError(f"a seed is 0 or more, not {', '.join(map(str, negative))}")
    return Grid(
        dataset,
        tuple(dict.fromkeys(trainers)),  # each value once: two jobs must not be one training
        tuple(dict.fromkeys(plans)),
        tuple(dict.fromkeys(folds or existing_folds)),
        configuration,
        device,
        num_gpus,
        seeds=tuple(dict.fromkeys(seeds)),
    )


def check_plans(preprocessed: Path, plans: Sequence[str], configuration: str) -> None:
    """Check that plans exist, belong to this dataset, and have the configuration.

    Raises:
        InputError: plans or the configuration do not exist (the message lists the existing ones), the plans belong to
            another dataset, or their file cannot be read.
    """
    for name in plans:
        if (preprocessed / f"{name}.json").is_file():
            read_plans(preprocessed, name)
    paths = [path for path in sorted(preprocessed.glob("*.json")) if not is_hidden(path)]
    contents = {path.stem: optional_object(path).get("configurations") for path in paths}  # None in damaged files
    existing = {name: list(content) for name, content in contents.items() if isinstance(content, dict) and content}
    dataset_id = dataset_number(preprocessed.name)
    if not existing:
        raise InputError(f"{preprocessed.name} is not planned. Plan it first: segan_nnunet plan -d {dataset_id}")
    for name in plans:
        if name not in existing:
            message = f"there are no plans {name} in {preprocessed}; there are {', '.join(existing)}"
            folds = nnunet_folder("nnUNet_results").glob(f"{preprocessed.name}/*__{name}__{configuration}/fold_*")
            installed = [describe_exported(fold) for fold in folds if is_exported(fold)]
            raise InputError(". ".join([message, *installed[:1]]))
        if configuration not in existing[name]:
            raise InputError(
                f"{name} of {preprocessed.name} have no configuration {configuration}; they have "
                f"{', '.join(existing[name])}. Plan it: segan_nnunet plan -d {dataset_id} -c {configuration}"
            )


def check_trainers(trainers: Sequence[str]) -> dict[str, int | None]:
    """Check with nnU-Net's own search that trainers exist, and warn of wrong folders and of trainers with one name.

    Returns:
        The epochs that each trainer's class declares; None if its __init__ sets them.

    Raises:
        InputError: nnU-Net does not find a trainer; with those in the user's folders, and similar ones of nnU-Net's.
    """
    declared = {name: getattr(find_trainer(name), "num_epochs", None) for name in dict.fromkeys(trainers)}
    for problem in dict.fromkeys([*folder_problems(), *filter(None, map(describe_duplicates, declared))]):
        print(f"WARNING: {problem}", file=sys.stderr)
    return {name: epochs if isinstance(epochs, int) else None for name, epochs in declared.items()}


def check_networks(grid: Grid) -> None:
    """Check that each trainer can train the network of each of the grid's plans.

    Raises:
        InputError: a trainer needs deep supervision, and the plans have Figure 1's segmentor, which has one output.
    """
    single = []
    for name in grid.plans:
        configurations = read_plans(nnunet_folder("nnUNet_preprocessed") / grid.dataset, name)["configurations"]
        network = resolved(configurations, grid.configuration).get("architecture", {})
        if network.get("network_class_name") == SEGMENTOR:
            single.append(name)
    for trainer in grid.trainers if single else ():
        if needs_deep_supervision(find_trainer(unseeded(trainer)[0])):
            raise InputError(
                f"{trainer} needs deep supervision, and the network of {single[0]} has one output. Use "
                f"nnUNetTrainerNoDeepSupervision with {single[0]}, or train {trainer} in a grid of its own with -p "
                "nnUNetPlans; `segan_nnunet compare` then compares both grids"
            )


def needs_deep_supervision(trainer: Any) -> bool:
    """Return whether a trainer's class has nnU-Net's deep supervision, and no method of its own that may change it."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # takes seconds (torch)

    own = trainer.__mro__[: trainer.__mro__.index(nnUNetTrainer)]
    others = [one for one in own if not one.__module__.startswith("segan_nnunet.")]
    return getattr(trainer, "enable_deep_supervision", True) is True and not any(
        CHANGING & vars(one).keys() for one in others
    )
