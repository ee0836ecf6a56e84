"""Join names and numbers to phrases. The command line imports this, so it imports nothing heavy."""

from collections.abc import Sequence


def join_names(names: Sequence[str]) -> str:
    """Return names as `A, B and C`; empty for no name."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def amount(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 pair` or `20 pairs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
