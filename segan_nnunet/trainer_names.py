"""What a trainer's name says: NAME_seed3 is the trainer NAME with everything random drawn from the seed 3."""

import re

SEEDED = re.compile(r"(?P<trainer>\w+)_seed(?P<seed>\d+)")


def seeded(trainer: str, seed: int) -> str:
    """The name of a trainer with a seed."""
    return f"{trainer}_seed{seed}"


def unseeded(name: str) -> tuple[str, int | None]:
    """The trainer and the seed that a name says; None where it says none."""
    match = SEEDED.fullmatch(name)
    return (match["trainer"], int(match["seed"])) if match else (name, None)
