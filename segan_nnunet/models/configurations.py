"""Configurations of plans, derived from nnU-Net's: Figure 1's segmentor, or nnU-Net's network at another width."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from segan_nnunet.errors import InputError

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
        width: feature maps of the first block.
        batch_size: samples per step; by default the paper's 64 in 2-D, nnU-Net's own in 3-D.
        patch_size: voxels per axis; by default the paper's 160 in 2-D, and never more than the largest multiple of 16
            that nnU-Net's planned patch allows.

    Raises:
        InputError: a patch that is not a multiple of 16 or has another number of axes; a batch too small for one block
            of 16.
    """
    planned = configuration["patch_size"]
    dimension = len(planned)
    if patch_size is None:
        most = PAPER_PATCH if dimension == 2 else max(planned)
        patch_size = [max(SIZE_MULTIPLE, min(most, size) // SIZE_MULTIPLE * SIZE_MULTIPLE) for size in planned]
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
            "the segmentor's last block, of which batch norm has no variance; take a larger batch or patch"
        )
    architecture = {
        "network_class_name": "segan_nnunet.networks.segmentor.Segmentor",
        "arch_kwargs": {
            "conv_op": f"torch.nn.modules.conv.Conv{dimension}d",
            "features_per_stage": [(width or PAPER_WIDTH) * 2**stage for stage in range(STAGES)],
        },
        "_kw_requires_import": ["conv_op"],
    }
    # without a next stage, to which nnU-Net would hand its validation: SegANPlans have no cascade
    kept = {key: value for key, value in configuration.items() if key != "next_stage"}
    return {**kept, "patch_size": list(patch_size), "batch_size": batch_size, "architecture": architecture}


def narrowed_configuration(
    configuration: dict[str, Any],
    width: int | None = None,
    batch_size: int | None = None,
    patch_size: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Take one of nnU-Net's configurations with its own network at another width, batch or patch.

    Args:
        configuration: nnU-Net's.
        width: feature maps of the first stage; the others are in the same proportion to it as before.
        batch_size: samples per step; by default nnU-Net's.
        patch_size: voxels per axis; by default nnU-Net's.

    Raises:
        InputError: a patch that the network's strides do not divide, or of another number of axes.
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


Derive = Callable[[dict[str, Any], int | None, int | None, Sequence[int] | None], dict[str, Any]]
NETWORKS: dict[str, Derive] = {"segan": segan_configuration, "nnunet": narrowed_configuration}


def derived_plans(
    nnunet_plans: dict[str, Any],
    configurations: Sequence[str],
    derive: Derive,
    width: int | None = None,
    batch_size: int | None = None,
    patch_size: Sequence[int] | None = None,
    plans_name: str = "SegANPlans",
) -> dict[str, Any]:
    """Derive plans from nnU-Net's: all but network, patch and batch stays, the data identifier included.

    Args:
        derive: `segan_configuration` or `narrowed_configuration`.
        nnunet_plans, configurations, width, batch_size, patch_size, plans_name: as in `plan`.

    Raises:
        InputError: a configuration is not in nnU-Net's plans.
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
            raise InputError(f"'{name}' is the second stage of a cascade, which {plans_name} do not have")
        try:
            plans["configurations"][name] = derive(configuration, width, batch_size, patch_size)
        except KeyError as error:
            raise InputError(
                f"the configuration {name} of {nnunet_plans.get('plans_name')} has no {error}, which nnU-Net plans. "
                "Bring that part of the plans back, or remove the file and plan anew"
            ) from error
    return plans
