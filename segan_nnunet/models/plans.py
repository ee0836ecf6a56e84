"""SegANPlans: nnU-Net's plans with Figure 1's segmentor as the network, on the same preprocessed data."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from segan_nnunet.data.environment import dataset_name, default_processes, folder_variable, nnunet_folder
from segan_nnunet.data.labelling import PLANNING, read_dataset
from segan_nnunet.data.planned.cases import raw_cases, raw_problem
from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.errors import InputError
from segan_nnunet.folds.locks import file_lock
from segan_nnunet.folds.record import differing_settings
from segan_nnunet.models.configurations import NETWORKS, derived_plans
from segan_nnunet.models.preprocessing import (
    check_links,
    check_readable,
    describe_wrong_number,
    nnunet_refusals,
    preprocess_with_nnunet,
    sources,
)
from segan_nnunet.text_files import read_object, write_json
from segan_nnunet.trainer_names import model_parts

DA = "nnUNet_n_proc_DA"
NNUNET_PLANS = "nnUNetPlans"
SEGAN_PLANS = "SegANPlans"


def plan(
    dataset_id: int,
    configurations: Sequence[str] = ("2d",),
    width: int | None = None,
    batch_size: int | None = None,
    patch_size: Sequence[int] | None = None,
    plans_name: str | None = None,
    num_processes: int | None = None,
    spacing_mm: Sequence[float] | None = None,
    network: str = "segan",
) -> Path:
    """Plan and preprocess a dataset with nnU-Net where needed, and write SegANPlans.json beside nnU-Net's plans.

    Another voxel size has plans and preprocessed data of its own: nnUNetPlans_2mm and SegANPlans_2mm for 2 mm along
    every axis.

    Args:
        dataset_id: a dataset in nnUNet_raw.
        configurations: nnU-Net's configurations, such as 2d and 3d_fullres.
        width: feature maps of the first stage; the other stages are in proportion to it. By default the paper's 64,
            or nnU-Net's own for its network.
        batch_size, patch_size: see `segan_configuration`.
        plans_name: name of the plans to write; by default SegANPlans with the suffix of the voxel size, and for
            nnU-Net's network nnUNetPlans_width16.
        num_processes: processes that preprocess; by default nnUNet_def_n_proc, or the usable cores up to 8.
        spacing_mm: voxel size to resample to, along the axes z y x as nnU-Net reads them; by default nnU-Net's choice,
            the median of the cases. A 2-D configuration keeps its slices and uses the last two.
        network: segan, Figure 1's segmentor; or nnunet, nnU-Net's own, at another width, patch or batch.

    Returns:
        The plans file.

    Raises:
        InputError: the dataset is missing, its dataset.json is not in nnU-Net's form, a configuration is not in
            nnU-Net's plans, a voxel size or a name is invalid, plans name another dataset than their folder, or
            preprocessed data belong to other plans or older files.
    """
    if network not in NETWORKS:
        raise InputError(f"there is no network {network}; the networks are {', '.join(NETWORKS)}")
    resolution = spacing_suffix(spacing_mm)
    nnunet_name = NNUNET_PLANS + resolution
    default_name = SEGAN_PLANS + resolution
    if network != "segan":
        default_name = f"{nnunet_name}_{f'width{width}' if width else 'derived'}"
    plans_name = plans_name or default_name
    if set(plans_name) & set("/\\") or "__" in plans_name:
        raise InputError(f"--plans-name {plans_name}: folders are named after plans. Choose a name without / and __")
    preprocessed = nnunet_folder("nnUNet_preprocessed") / dataset_name(dataset_id)
    num_processes = default_processes(num_processes)
    path = preprocessed / f"{plans_name}.json"
    check_dataset_json(preprocessed.name)
    with planning_lock(preprocessed):
        earlier = read_plans(preprocessed, plans_name)["configurations"] if path.is_file() else {}
        plan_with_nnunet(dataset_id, preprocessed, num_processes, nnunet_name, spacing_mm)
        nnunet_plans = read_plans(preprocessed, nnunet_name)
        derive = partial(NETWORKS[network], width=width, batch_size=batch_size, patch_size=patch_size)
        plans = derived_plans(nnunet_plans, configurations, derive, plans_name)
        check_untrained(preprocessed.name, plans_name, earlier, plans["configurations"])
        plans["configurations"] = {**earlier, **plans["configurations"]}
        for configuration in configurations:
            preprocess_with_nnunet(preprocessed, nnunet_plans, configuration, num_processes)
        write_json(path, plans, indent=4)
    return path


def check_dataset_json(dataset: str) -> None:
    """Check a dataset's dataset.json in nnUNet_raw, or else in nnUNet_preprocessed.

    Raises:
        InputError: the file is missing, or not in the form that nnU-Net needs to plan.
    """
    folders = filter(None, map(folder_variable, ("nnUNet_raw", "nnUNet_preprocessed")))
    paths = [folder / dataset / "dataset.json" for folder in folders]
    read_dataset(next((path for path in paths if path.is_file()), paths[0]), PLANNING)


def check_untrained(dataset: str, name: str, earlier: dict[str, Any], planned: dict[str, Any]) -> None:
    """Check that no model was trained under an earlier configuration of plans that is about to change.

    Raises:
        InputError: a model was trained under such a configuration. Its folds would have different networks.
    """
    results = folder_variable("nnUNet_results")
    for configuration, settings in planned.items():
        if not results or configuration not in earlier or earlier[configuration] == settings:
            continue
        checkpoints = sorted((results / dataset).glob(f"*__{name}__{configuration}/fold_*/checkpoint_*.pth"))
        folds = [path.parent for path in checkpoints if model_parts(path.parent.parent.name).plans == name]
        if folds:
            differing = ", ".join(differing_settings(settings, earlier[configuration]))
            raise InputError(
                f"{folds[0]} was trained under {name} as they are now, and {differing} would change. The folds of that "
                "model would then have two networks, and it could not predict. Give the new plans a name of their own: "
                "--plans-name"
            )


def spacing_suffix(spacing_mm: Sequence[float] | None) -> str:
    """Return the suffix of plans at a voxel size: _2mm, or _1x2x2mm if the axes differ; empty for None.

    Raises:
        InputError: the voxel size is not three numbers above 0.
    """
    if spacing_mm is None:
        return ""
    sizes = [f"{size:g}" for size in spacing_mm]
    if len(spacing_mm) != 3 or not all(0 < size < float("inf") for size in spacing_mm):
        raise InputError(
            f"a voxel size is three numbers above 0, in mm along z, y and x, such as --spacing 2 2 2; not "
            f"{' '.join(sizes)}"
        )
    return f"_{sizes[0] if len(set(sizes)) == 1 else 'x'.join(sizes)}mm"


def plan_with_nnunet(
    dataset_id: int, preprocessed: Path, num_processes: int, plans_name: str, spacing_mm: Sequence[float] | None
) -> None:
    """Extract nnU-Net's fingerprint and make its plans, at its own voxel size or another, unless the plans exist.

    Raises:
        InputError: links to images point nowhere, or dataset.json states another number of training cases.
    """
    if (preprocessed / f"{plans_name}.json").is_file():
        return
    raw = nnunet_folder("nnUNet_raw") / preprocessed.name
    dataset = read_dataset(raw / "dataset.json", PLANNING)
    check_links(raw)
    problem = raw_problem(raw, dataset) or describe_wrong_number(raw / "dataset.json", raw_cases(raw, dataset))
    if problem:
        raise InputError(f"{problem}. Correct that, and plan again")
    check_readable(sources(raw)[:1])  # nnU-Net tries its readers on it, and prints a traceback of each
    if (fingerprint := preprocessed / "dataset_fingerprint.json").is_file():
        read_object(fingerprint)  # nnU-Net uses an existing fingerprint unchecked
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet  # imports torch: seconds

    with nnunet_refusals(preprocessed.name):
        nnunet.extract_fingerprints(
            [dataset_id], num_processes=num_processes, check_dataset_integrity=True, clean=False
        )
    other = {"overwrite_target_spacing": tuple(spacing_mm), "overwrite_plans_name": plans_name} if spacing_mm else {}
    # nnU-Net's planner uses as many threads as augmentation may have processes, and fails at 0
    threads = mock.patch.dict(os.environ, {DA: "1"} if os.environ.get(DA) == "0" else {})
    with threads, nnunet_refusals(preprocessed.name):
        nnunet.plan_experiments([dataset_id], **other)


def planning_lock(preprocessed: Path) -> AbstractContextManager[int]:
    """Return the lock under which a dataset is planned and preprocessed."""
    preprocessed.parent.mkdir(parents=True, exist_ok=True)
    return file_lock(preprocessed.with_name(f".{preprocessed.name}.lock"))
