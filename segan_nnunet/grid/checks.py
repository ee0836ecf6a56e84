"""Find what is wrong with a grid before any of its jobs starts."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from segan_nnunet.catalogues import folder_problems
from segan_nnunet.data.case_table import CASE_TABLE
from segan_nnunet.data.environment import DEVICES, dataset_name, dataset_number, folder_variable, nnunet_folder
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.data.planned.split_file import SPLITS_FILE, check_validated_once, read_splits, shared_patients
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import is_hidden
from segan_nnunet.folds.state import describe_exported, is_exported
from segan_nnunet.grid.jobs import Grid
from segan_nnunet.text_files import optional_object
from segan_nnunet.trainer_names import unseeded
from segan_nnunet.trainer_search import declared_twice, find_trainer

T = TypeVar("T")
NNUNET_FOLDS = 5  # that nnU-Net makes where there is no splits_final.json


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
        trainers: names as for `nnUNetv2_train -tr`, ours, nnU-Net's or the user's; `check_trainers` looks for them,
            which takes seconds and is left to those who train.
        plans: names as for `nnUNetv2_train -p`.
        folds: by default all of the split.
        configuration, device, num_gpus: as for `nnUNetv2_train`.
        seeds: train each once per seed; by default once, drawn by chance.

    Raises:
        InputError: one of them does not exist, with those that do; or plans or the split are no good.
    """
    if device not in DEVICES:
        raise InputError(f"there is no device '{device}'; nnU-Net knows {', '.join(DEVICES)}")
    if num_gpus > 1 and device != "cuda":
        raise InputError(f"{num_gpus} GPUs for one training need -device cuda, not {device}")
    nnunet_folder("nnUNet_results")
    dataset = dataset_name(dataset_id)
    preprocessed = nnunet_folder("nnUNet_preprocessed") / dataset
    check_plans(preprocessed, plans, configuration)
    splits = read_splits(preprocessed)
    existing_folds = range(len(splits) if splits else number_of_nnunet_folds(dataset))
    if beyond := [fold for fold in folds or () if fold not in existing_folds]:
        raise InputError(
            f"there is no fold {', '.join(map(str, beyond))} of {dataset}: its split has folds 0 to "
            f"{len(existing_folds) - 1} ({preprocessed / SPLITS_FILE}), and nnU-Net would train on a random split. "
            "Leave them out of --folds, or make another split with segan_nnunet split -k."
        )
    if shared := shared_patients(preprocessed, splits or []):
        print(f"WARNING: {shared}", file=sys.stderr)
    check_validated_once(splits or [], folds or existing_folds, preprocessed / SPLITS_FILE)
    if seeds and (have := [name for name in trainers if unseeded(name)[1] is not None]):
        raise InputError(f"{', '.join(have)} has a seed in its name; leave it out there, or leave --seeds out")
    if negative := [seed for seed in seeds if seed < 0]:
        raise InputError(f"a seed is 0 or more, not {', '.join(map(str, negative))}")
    return Grid(
        dataset, unique(trainers), unique(plans), unique(folds or existing_folds), configuration, device, num_gpus,
        seeds=unique(seeds),
    )  # fmt: skip


def unique(values: Sequence[T]) -> tuple[T, ...]:
    """Return the values in their order, each once: the same training must not be two jobs."""
    return tuple(dict.fromkeys(values))


def check_plans(preprocessed: Path, plans: Sequence[str], configuration: str) -> None:
    """Check that plans exist, are of this dataset, and have the configuration.

    Raises:
        InputError: they are not, with those that exist; or their file cannot be read.
    """
    for name in plans:
        if (preprocessed / f"{name}.json").is_file():
            read_plans(preprocessed, name)
    paths = [path for path in sorted(preprocessed.glob("*.json")) if not is_hidden(path)]
    planned = {path.stem: optional_object(path).get("configurations") for path in paths}  # damaged files have none
    existing = {name: list(found) for name, found in planned.items() if isinstance(found, dict) and found}
    dataset_id = dataset_number(preprocessed.name)
    if not existing:
        raise InputError(f"{preprocessed.name} is not planned; do it first: segan_nnunet plan -d {dataset_id}")
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


def number_of_nnunet_folds(dataset: str) -> int:
    """Return the number of folds of the split that nnU-Net will make where there is none.

    Raises:
        InputError: the patients are known: nnU-Net's own split would split their scans.
    """
    raw = folder_variable("nnUNet_raw")
    if raw and (raw / dataset / CASE_TABLE).is_file():
        raise InputError(f"{dataset} is not split yet; do it first: segan_nnunet split -d {dataset_number(dataset)}")
    return NNUNET_FOLDS


def check_trainers(trainers: Sequence[str]) -> dict[str, int | None]:
    """Check that nnU-Net finds the trainers, with nnU-Net's own search.

    Warn of folders that are none, and of trainers with one name.

    Returns:
        The number of epochs that each trainer's class declares; None where an __init__ sets it.

    Raises:
        InputError: it does not find one; with those that exist in the user's folders, and similar ones of nnU-Net's.
    """
    declared = {name: getattr(find_trainer(name), "num_epochs", None) for name in dict.fromkeys(trainers)}
    for problem in dict.fromkeys([*folder_problems(), *filter(None, map(declared_twice, declared))]):
        print(f"WARNING: {problem}", file=sys.stderr)
    return {name: epochs if isinstance(epochs, int) else None for name, epochs in declared.items()}
