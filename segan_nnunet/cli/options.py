"""Options that several verbs share, and options with several values as in nnU-Net."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from segan_nnunet.errors import InputError

LONG_DASHES = ("\u2013", "\u2014", "\u2212")
LARGEST_SEED = 2**32 - 1  # NumPy's limit
DatasetId = Annotated[int, typer.Option("-d", min=0, help="Dataset id, as in DatasetXXX_Name.")]
OptionalDatasetId = Annotated[int | None, typer.Option("-d", min=0, help="Dataset id, as in DatasetXXX_Name.")]
Processes = Annotated[
    int | None,
    typer.Option("-np", min=1, help="Processes. [default: nnUNet_def_n_proc, or the usable cores up to 8]"),
]


def expand_values(arguments: list[str], verbs: Any) -> list[str]:
    """Expand `-tr A B`, as nnU-Net takes several values, to `-tr A -tr B` for options with several values.

    Args:
        arguments: arguments of the command line.
        verbs: Typer's command of all verbs.

    Raises:
        InputError: an option with one value is given twice, and all but the last would be lost; or as `check_value`.
    """
    verb = next((verbs.commands[name] for name in arguments if name in verbs.commands), None)
    parameters = verb.params if verb else ()
    options = {name: option for option in parameters if hasattr(option, "multiple") for name in option.opts}
    expanded: list[str] = []
    current, count = "", 0
    seen: set[str] = set()
    for argument in arguments:
        check_value(argument, current)
        if argument.startswith("-") and not argument.lstrip("-").isdigit():
            current, count = argument.partition("=")[0], 0
            option = options.get(current)
            if option and not option.multiple and current in seen:
                raise InputError(f"{current} takes one value, and is given twice")
            seen.add(current)
        elif current in options and options[current].multiple:
            if count:
                expanded.append(current)
            count += 1
        expanded.append(argument)
    return expanded


def check_value(argument: str, option: str) -> None:
    """Check an argument for the marks of mistakes in a script: an empty value, a Windows line end, a long dash.

    Raises:
        InputError: the argument has such a mark.
    """
    if argument.endswith("\r"):
        raise InputError(
            f"{argument!r} ends in a carriage return: your script was saved with Windows line ends. Run "
            "`dos2unix SCRIPT`, or save the script with Unix line ends"
        )
    if argument[:1] in LONG_DASHES:
        raise InputError(
            f"'{argument}' begins with a long dash, as word processors write it. Type the option with -, or with -- if "
            "its name is long"
        )
    name, separator, value = argument.partition("=") if argument.startswith("--") else (option, "=", argument)
    if separator and not value.strip():
        raise InputError(f"{name or 'an argument'} has an empty value; is a variable in the command not set?")


def once(values: Sequence[Any] | None) -> list[Any] | None:
    """Return the values in order, each once."""
    return None if values is None else list(dict.fromkeys(values))


def folds_or_all(folds: list[str] | None) -> list[int | str] | None:
    """Return the folds as numbers or `all`, each once.

    Raises:
        InputError: a fold is neither `all` nor a number.
    """
    if wrong := [fold for fold in folds or () if fold != "all" and not fold.isdecimal()]:
        raise InputError(f"a fold is a number, or `all` in export, not {', '.join(wrong)}; give folds as in 0 1 2")
    return once([fold if fold == "all" else int(fold) for fold in folds]) if folds else None


def numbered_folds(folds: list[str] | None) -> list[int] | None:
    """Return the folds as numbers, each once.

    Raises:
        InputError: a fold is not a number.
    """
    if folds and "all" in folds:
        raise InputError(
            "fold all trains on every case, so no case is left to validate or compare on. Train it alone with "
            "`nnUNetv2_train ID 2d all -tr TRAINER -p PLANS`, and export it with `segan_nnunet export -f all`"
        )
    numbers = folds_or_all(folds)
    return [int(fold) for fold in numbers] if numbers else None
