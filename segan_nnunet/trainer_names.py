"""Parse the names of trainers, BASE[_PaperDA][_short][_50epochs][_seed3], and of trained models."""

import re
from collections.abc import Iterable
from typing import NamedTuple

SUFFIXES = {
    "_PaperDA": "the paper's augmentation: a random crop, no oversampling of tumour, no mirroring in prediction",
    "_short": "600 steps at 1e-3, for laptops",
    "_50epochs": "any number of epochs, also behind _short; nothing else is changed",
    "_seed3": "everything random drawn from this seed; of nnU-Net's trainers too",
}
PATTERNS = {  # in this order
    "augmentation": r"_PaperDA",
    "length": r"_short(?:_\d+epochs?)?|_\d+epochs?",
    "seed": r"_seed\d+",
}
NAME = re.compile(r"(?P<idea>\w+?)" + "".join(f"(?P<{key}>{pattern})?" for key, pattern in PATTERNS.items()))
TOKENS = re.compile("|".join(PATTERNS.values()))


class TrainerName(NamedTuple):
    """The parts of a trainer's name: base trainer, `_PaperDA`, `_50epochs`, `_seed3`. Absent parts are empty."""

    idea: str
    augmentation: str
    length: str
    seed: str

    @property
    def epochs(self) -> int | None:
        """The number of epochs in `length`; None if it has none."""
        return int(match[0]) if (match := re.search(r"\d+", self.length)) else None

    @property
    def seed_number(self) -> int | None:
        """The number in `seed`; None if there is no seed."""
        return int(self.seed.removeprefix("_seed")) if self.seed else None


class ModelName(NamedTuple):
    """The parts of the name of nnU-Net's folder of a trained model."""

    trainer: str
    plans: str
    configuration: str

    def __str__(self) -> str:
        """Return TRAINER__PLANS__CONFIGURATION."""
        return "__".join(self)


def model_parts(folder: str) -> ModelName:
    """Split the name of a model's folder. A trainer's name may hold "__"; a name of plans may not (see `plan`)."""
    return ModelName(*folder.rsplit("__", 2))


def parts(name: str) -> TrainerName:
    """Split a trainer's name. Suffixes in another order than the documented one stay in the base name."""
    match = NAME.fullmatch(name)
    return TrainerName(*match.groups("")) if match else TrainerName(name, "", "", "")


def in_order(name: str, ideas: Iterable[str]) -> str:
    """Return a name with its suffixes in the documented order; the name itself if it has other parts."""
    for idea in sorted((idea for idea in ideas if name.startswith(f"{idea}_")), key=len, reverse=True):
        suffixes = TOKENS.findall(rest := name.removeprefix(idea))
        if "".join(suffixes) == rest:
            return idea + "".join(one for pattern in PATTERNS.values() for one in suffixes if re.match(pattern, one))
    return name


def seeded(trainer: str, seed: int) -> str:
    """Return the name of a trainer with a seed."""
    return f"{trainer}_seed{seed}"


def unseeded(name: str) -> tuple[str, int | None]:
    """Return the name without its seed, and the seed; None if it has none."""
    name_parts = parts(name)
    return name.removesuffix(name_parts.seed), name_parts.seed_number
