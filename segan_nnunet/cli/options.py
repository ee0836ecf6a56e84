"""Options that several verbs take, and nnU-Net's way of giving several values."""

from typing import Annotated, Any

import typer

from segan_nnunet.errors import InputError

DatasetId = Annotated[int, typer.Option("-d", help="Dataset id, as in DatasetXXX_Name.")]


def expand_values(arguments: list[str], verbs: Any) -> list[str]:
    """Turn nnU-Net's way of giving several values, `-tr A B`, into `-tr A -tr B`, where an option takes several.

    Args:
        arguments: of the command line.
        verbs: Typer's command of all verbs.

    Raises:
        InputError: an option that takes one value is given twice, of which all but the last would be forgotten.
    """
    verb = next((verbs.commands[name] for name in arguments if name in verbs.commands), None)
    given = verb.params if verb else ()
    options = {name: option for option in given if hasattr(option, "multiple") for name in option.opts}
    expanded: list[str] = []
    current, count = "", 0
    seen: set[str] = set()
    for argument in arguments:
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


def numbered_folds(folds: list[str] | None) -> list[int] | None:
    """The numbers of folds.

    Raises:
        InputError: one is `all`, or no number.
    """
    if folds and "all" in folds:
        raise InputError(
            "fold all trains on every case, and leaves none to validate or compare on. Train it by itself, with "
            "`nnUNetv2_train ID 2d all -tr TRAINER -p PLANS`, and take it with you by `segan_nnunet export -f all`"
        )
    if odd := [fold for fold in folds or () if not fold.isdigit()]:
        raise InputError(f"--folds takes numbers, not {', '.join(odd)}")
    return [int(fold) for fold in folds] if folds else None
