"""Derive configurations of plans from nnU-Net's: Figure 1's segmentor, or nnU-Net's network at another width."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from segan_nnunet.errors import InputError

SEGMENTOR = "segan_nnunet.networks.segmentor.Segmentor"  # Figure 1's, in plans
PAPER_WIDTH = 64
PAPER_PATCH = 160
PAPER_BATCH = 64
STAGES = 4
SIZE_MULTIPLE = 2**STAGES


def segan_configuration(
    configuration: dict[str, Any],
    width: int | None = None,
    batch_size: int | None = None,
    patch_size: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Put Figure 1's segmentor into one of nnU-Net's configurations.

    Args:
        configuration: nnU-Net's, with its planned patch_size and batch_size.
        width: feature maps of the first block; by default the paper's 64.
        batch_size: samples per step; by default the paper's 64 in 2-D, nnU-Net's own in 3-D.
        patch_size: voxels per axis; by default the paper's 160 in 2-D, but no more than the largest multiple of 16
            within nnU-Net's planned patch.

    Raises:
        InputError: the patch is not a multiple of 16 or has another number of axes; or the batch is too small for one
            block of 16.
    """
    planned = configuration["patch_size"]
    dimension = len(planned)
    if patch_size is None:
        largest = PAPER_PATCH if dimension == 2 else max(planned)
        patch_size = [max(SIZE_MULTIPLE, min(largest, size) // SIZE_MULTIPLE * SIZE_MULTIPLE) for size in planned]
    elif len(patch_size) != dimension or any(size < 1 or size % SIZE_MULTIPLE for size in patch_size):
        raise InputError(
            f"patch size {' '.join(map(str, patch_size))} does not fit: it needs {dimension} numbers, each a multiple "
            f"of {SIZE_MULTIPLE}; nnU-Net planned {' '.join(map(str, planned))}"
        )
    if batch_size is None:
        batch_size = PAPER_BATCH if dimension == 2 else configuration["batch_size"]
    if batch_size * math.prod(size // SIZE_MULTIPLE for size in patch_size) < 2:
        raise InputError(
            f"a batch of {batch_size} with the patch {' '.join(map(str, patch_size))} leaves one value per feature in "
            "the segmentor's last block, and batch norm has no variance of one value. Take a larger batch or patch"
        )
    architecture = {
        "network_class_name": SEGMENTOR,
        "arch_kwargs": {
            "conv_op": f"torch.nn.modules.conv.Conv{dimension}d",
            "features_per_stage": [(width or PAPER_WIDTH) * 2**stage for stage in range(STAGES)],
        },
        "_kw_requires_import": ["conv_op"],
    }
    # nnU-Net would hand the validation to a next stage, but SegANPlans have no cascade
    kept = {key: value for key, value in configuration.items() if key != "next_stage"}
    return {**kept, "patch_size": list(patch_size), "batch_size": batch_size, "architecture": architecture}


def narrowed_configuration(
    configuration: dict[str, Any],
    width: int | None = None,
    batch_size: int | None = None,
    patch_size: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return one of nnU-Net's configurations with its own network at another width, batch or patch.

    Args:
        configuration: nnU-Net's.
        width: feature maps of the first stage; the other stages keep their proportion to it.
        batch_size: samples per step; by default nnU-Net's.
        patch_size: voxels per axis; by default nnU-Net's.

    Raises:
        InputError: the network's strides do not divide the patch, or it has another number of axes.
    """
    kept = deepcopy({key: value for key, value in configuration.items() if key != "next_stage"})
    settings = kept["architecture"]["arch_kwargs"]
    planned, patch_size = configuration["patch_size"], list(patch_size or configuration["patch_size"])
    multiples = [math.prod(strides) for strides in zip(*settings["strides"], strict=True)]
    if len(patch_size) != len(planned) or any(s < 1 or s % m for s, m in zip(patch_size, multiples, strict=False)):
        raise InputError(
            f"patch size {' '.join(map(str, patch_size))} does not fit: nnU-Net's network needs multiples of "
            f"{' '.join(map(str, multiples))}; nnU-Net planned {' '.join(map(str, planned))}"
        )
    first, *_ = features = settings["features_per_stage"]
    settings["features_per_stage"] = [feature * (width or first) // first for feature in features]
    return {**kept, "patch_size": patch_size, "batch_size": batch_size or configuration["batch_size"]}


NETWORKS: dict[str, Callable[..., dict[str, Any]]] = {"segan": segan_configuration, "nnunet": narrowed_configuration}


def derived_plans(
    nnunet_plans: dict[str, Any],
    configurations: Sequence[str],
    derive: Callable[[dict[str, Any]], dict[str, Any]],
    plans_name: str = "SegANPlans",
) -> dict[str, Any]:
    """Derive plans from nnU-Net's. All but network, patch and batch stays, also the data identifier.

    Args:
        nnunet_plans: nnU-Net's plans.
        configurations: names of the configurations to derive.
        derive: one of `NETWORKS`, with its settings.
        plans_name: name of the derived plans.

    Raises:
        InputError: a configuration is not in nnU-Net's plans, lacks a part, or is the second stage of a cascade.
    """
    plans = {**deepcopy(nnunet_plans), "plans_name": plans_name, "configurations": {}}
    for name in configurations:
        if name not in nnunet_plans["configurations"]:
            raise InputError(
                f"nnU-Net planned no configuration '{name}' for {nnunet_plans['dataset_name']}; "
                f"it planned {', '.join(nnunet_plans['configurations'])}"
            )
        configuration = deepcopy(nnunet_plans["configurations"][name])
        if "inherits_from" in configuration:
            raise InputError(f"'{name}' is the second stage of a cascade, and {plans_name} have none. Plan 3d_fullres")
        try:
            plans["configurations"][name] = derive(configuration)
        except KeyError as error:
            raise InputError(
                f"the configuration {name} of {nnunet_plans.get('plans_name')} has no {error}, which nnU-Net plans. "
                "Restore that part of the plans, or remove the file and plan anew"
            ) from error
    return plans
