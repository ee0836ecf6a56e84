"""Load `-pretrained_weights` from a checkpoint of any trainer and any labels."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from segan_nnunet.errors import InputError
from segan_nnunet.folds.checkpoint import read_checkpoint

OUTPUT_LAYERS = ".seg_layers."  # in keys that nnU-Net skips too: the number of maps depends on the labels
NESTING = "nesting_rank"  # of the softmax baseline; in earlier checkpoints its other keys begin with "network."
SEGMENTOR = re.compile(r"segmentors\.(\d+)\.")  # prefix of every key of S1-1C


def load_pretrained_weights(network: nn.Module, path: Path) -> None:
    """Load all weights except those of the output layers from a checkpoint of any trainer.

    Trainers wrap the planned network in different ways: the softmax baseline adds the nesting of the regions, and S1-1C
    has one network per region. Each planned network gets the weights of the planned network with the same number. If
    the checkpoint has no such number, the network gets the weights of the checkpoint's first network.

    Args:
        network: the network of the trainer.
        path: path of the checkpoint.

    Raises:
        InputError: the file is missing, damaged or not a checkpoint, or its planned network is different.
    """
    sources = planned_weights(read_checkpoint(path)["network_weights"])
    targets = network.planned_networks() if hasattr(network, "planned_networks") else [network]  # type: ignore[operator]
    loaded = []
    for number, target in enumerate(targets):
        weights, new_weights = sources[number if number < len(sources) else 0], target.state_dict()
        check_weights_fit(weights, new_weights, path)
        loaded.append({key: new if OUTPUT_LAYERS in key else weights[key] for key, new in new_weights.items()})
    for target, weights in zip(targets, loaded, strict=True):
        target.load_state_dict(weights)


def planned_weights(weights: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the weights of each planned network in a trainer's network. S1-1C has one per region, all others one."""
    if NESTING in weights:
        return [{key.removeprefix("network."): value for key, value in weights.items() if key != NESTING}]
    of_segmentor: dict[int, dict[str, Tensor]] = {}
    for key, value in weights.items():
        if not (match := SEGMENTOR.match(key)):
            return [dict(weights)]
        of_segmentor.setdefault(int(match[1]), {})[key[match.end() :]] = value
    return [of_segmentor[number] for number in sorted(of_segmentor)]


def check_weights_fit(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights have every layer of a network, except the output layers, with the same shape.

    Raises:
        InputError: a layer is missing or has another shape. The message names the first difference and its cause.
    """
    remedy = (
        "Plan this dataset with the checkpoint's network (as nnUNetv2_move_plans_between_datasets does), or omit "
        "-pretrained_weights"
    )
    first_layer = next((key for key, value in expected.items() if value.ndim > 2), None)  # (features, channels, ...)
    for key, value in expected.items():
        if OUTPUT_LAYERS in key:
            continue
        if key not in weights:
            raise InputError(f"{path} is of another network: it has no {key}. {remedy}")
        shape, expected_shape = tuple(weights[key].shape), tuple(value.shape)
        if shape == expected_shape:
            continue
        if key == first_layer and (shape[0], *shape[2:]) == (expected_shape[0], *expected_shape[2:]):
            raise InputError(
                f"{path} was trained on images of {shape[1]} channels, and this dataset has {expected_shape[1]}. "
                "Convert the dataset with the same channels, or omit -pretrained_weights"
            )
        raise InputError(
            f"{path} is of another network: its {key} has the shape {shape}, not {expected_shape}. {remedy}"
        )
