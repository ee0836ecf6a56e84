"""Options that several verbs take, and nnU-Net's way of giving several values."""

from typing import Annotated

import typer

SEVERAL_VALUES = {
    "-c", "-tr", "-p", "-f", "--channels", "--patch-size", "--spacing", "--folds", "--seeds", "--predictions",
    "--regions", "--sbatch",
}  # fmt: skip

DatasetId = Annotated[int, typer.Option("-d", help="Dataset id, as in DatasetXXX_Name.")]


def expand_values(arguments: list[str]) -> list[str]:
    """Turn nnU-Net's way of giving several values, `-tr A B`, into `-tr A -tr B`."""
    expanded: list[str] = []
    option = ""
    count = 0
    for argument in arguments:
        if argument.startswith("-") and not argument.lstrip("-").isdigit():
            option, count = argument, 0
        elif option in SEVERAL_VALUES:
            if count:
                expanded.append(option)
            count += 1
        expanded.append(argument)
    return expanded
