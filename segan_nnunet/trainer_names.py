"""Parse the names of trainers: BASE[_PaperDA][_short][_50epochs][_seed3]."""

import re
from collections.abc import Iterable
from typing import NamedTuple

SUFFIXES = {
    "_PaperDA": "the paper's augmentation: a random crop, no oversampling of tumour, no mirroring in prediction",
    "_short": "600 steps at 1e-3, for laptops",
    "_50epochs": "any number of epochs, also after _short; nothing else changes",
    "_seed3": "all random numbers from this seed; also for nnU-Net's trainers",
}
PATTERNS = {  # in this order
    "augmentation": r"_PaperDA",
    "length": r"_short(?:_\d+epochs?)?|_\d+epochs?",
    "seed": r"_seed\d+",
}
NAME = re.compile(r"(?P<base>\w+?)" + "".join(f"(?P<{key}>{pattern})?" for key, pattern in PATTERNS.items()))
TOKENS = re.compile("|".join(PATTERNS.values()))


class TrainerName(NamedTuple):
    """The base trainer and the suffixes of a name, such as `_PaperDA`, `_50epochs` and `_seed3`; "" if missing."""

    base: str
    augmentation: str
    length: str
    seed: str

    @property
    def epochs(self) -> int | None:
        """Return the number of epochs in `length`, or None."""
        return int(match[0]) if (match := re.search(r"\d+", self.length)) else None

    @property
    def seed_number(self) -> int | None:
        """Return the number in `seed`, or None."""
        return int(self.seed.removeprefix("_seed")) if self.seed else None


class ModelName(NamedTuple):
    """The parts of the name of a model's folder in nnUNet_results."""

    trainer: str
    plans: str
    configuration: str

    def __str__(self) -> str:
        """Return TRAINER__PLANS__CONFIGURATION."""
        return "__".join(self)


def model_parts(folder: str) -> ModelName:
    """Split the name of a model's folder. A trainer's name may contain "__"; `plan` refuses plans whose name does."""
    return ModelName(*folder.rsplit("__", 2))


def parts(name: str) -> TrainerName:
    """Split a name into base trainer and suffixes. Suffixes in another order stay in the base."""
    match = NAME.fullmatch(name)
    return TrainerName(*match.groups("")) if match else TrainerName(name, "", "", "")


def in_order(name: str, bases: Iterable[str]) -> str:
    """Return a name with its suffixes in the documented order, or unchanged if it is not a base plus suffixes."""
    for base in sorted((base for base in bases if name.startswith(f"{base}_")), key=len, reverse=True):
        tokens = TOKENS.findall(rest := name.removeprefix(base))
        if "".join(tokens) == rest:
            ordered = [token for pattern in PATTERNS.values() for token in tokens if re.match(pattern, token)]
            return base + "".join(ordered)
    return name


def seeded(trainer: str, seed: int) -> str:
    """Return the name of a trainer with a seed."""
    return f"{trainer}_seed{seed}"


def unseeded(name: str) -> tuple[str, int | None]:
    """Return a trainer's name without its seed, and the seed or None."""
    trainer = parts(name)
    return name.removesuffix(trainer.seed), trainer.seed_number
