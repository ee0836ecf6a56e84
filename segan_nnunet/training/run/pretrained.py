"""`-pretrained_weights` between any two trainers, whatever they wrap around the planned network, and any labels."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from segan_nnunet.errors import InputError
from segan_nnunet.folds.checkpoint import read_checkpoint

OUTPUT_LAYERS = ".seg_layers."  # in the keys that nnU-Net leaves out too: their number of maps is the labels'
NESTING = "nesting_rank"  # of the softmax baseline, whose other keys began with "network." in earlier checkpoints
SEGMENTOR = re.compile(r"segmentors\.(\d+)\.")  # begins every key of S1-1C


def load_pretrained_weights(network: nn.Module, path: Path) -> None:
    """Load all but the output layers from a checkpoint of any trainer.

    Trainers differ in what they wrap around the planned network: the softmax baseline the nesting of the regions,
    S1-1C one network per region. The weights go from planned network to planned network, by their numbers. A network
    whose number the checkpoint does not have starts from the checkpoint's first.

    Args:
        network: the trainer's.
        path: of a checkpoint.

    Raises:
        InputError: the file is missing, damaged or no checkpoint, or its planned network is another.
    """
    sources = planned_weights(read_checkpoint(path)["network_weights"])
    targets = network.planned_networks() if hasattr(network, "planned_networks") else [network]  # type: ignore[operator]
    loaded = []
    for number, target in enumerate(targets):
        weights, own = sources[number if number < len(sources) else 0], target.state_dict()
        check_weights_fit(weights, own, path)
        loaded.append({key: value if OUTPUT_LAYERS in key else weights[key] for key, value in own.items()})
    for target, weights in zip(targets, loaded, strict=True):
        target.load_state_dict(weights)


def planned_weights(weights: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Take the planned networks' weights out of a trainer's network: one, or one per region of S1-1C."""
    if NESTING in weights:
        return [{key.removeprefix("network."): value for key, value in weights.items() if key != NESTING}]
    of_segmentor: dict[int, dict[str, Tensor]] = {}
    for key, value in weights.items():
        if not (match := SEGMENTOR.match(key)):
            return [dict(weights)]
        of_segmentor.setdefault(int(match[1]), {})[key[match.end() :]] = value
    return [of_segmentor[number] for number in sorted(of_segmentor)]


def check_weights_fit(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights have every layer but the output's, of the same shape.

    Raises:
        InputError: they have not; with the first difference, and with what it means.
    """
    remedy = (
        "Plan this dataset with the network of those plans (as nnUNetv2_move_plans_between_datasets does), or leave "
        "-pretrained_weights out"
    )
    first_layer = next((key for key, value in own.items() if value.ndim > 2), None)  # (features, channels, *kernel)
    for key, value in own.items():
        if OUTPUT_LAYERS in key:
            continue
        if key not in weights:
            raise InputError(f"{path} is of another network: it has no {key}. {remedy}")
        theirs, ours = tuple(weights[key].shape), tuple(value.shape)
        if theirs == ours:
            continue
        if key == first_layer and (theirs[0], *theirs[2:]) == (ours[0], *ours[2:]):
            raise InputError(
                f"{path} was trained on images of {theirs[1]} channels, and this dataset has {ours[1]}. Convert the "
                "dataset with the same channels, or leave -pretrained_weights out"
            )
        raise InputError(f"{path} is of another network: its {key} is {theirs}, and here it is {ours}. {remedy}")
