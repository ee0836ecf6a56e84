"""What a trainer's name says: IDEA[_PaperDA][_short][_50epochs][_seed3]."""

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
    """A trainer's name in its parts, those that it has not empty: `_PaperDA`, `_50epochs`, `_seed3`."""

    idea: str
    augmentation: str
    length: str
    seed: str

    @property
    def epochs(self) -> int | None:
        """The number that `length` says; None where it says none."""
        return int(match[0]) if (match := re.search(r"\d+", self.length)) else None

    @property
    def seed_number(self) -> int | None:
        """The number that `seed` says; None where there is none."""
        return int(self.seed.removeprefix("_seed")) if self.seed else None


class ModelName(NamedTuple):
    """The name of nnU-Net's folder of a trained model in its parts."""

    trainer: str
    plans: str
    configuration: str

    def __str__(self) -> str:
        """TRAINER__PLANS__CONFIGURATION."""
        return "__".join(self)


def model_parts(folder: str) -> ModelName:
    """Take the name of a model's folder apart. A trainer's name may hold "__"; those of plans may not (`plan`)."""
    return ModelName(*folder.rsplit("__", 2))


def parts(name: str) -> TrainerName:
    """Take a name apart. Suffixes in another order than the documented one stay in the idea."""
    match = NAME.fullmatch(name)
    return TrainerName(*match.groups("")) if match else TrainerName(name, "", "", "")


def in_order(name: str, ideas: Iterable[str]) -> str:
    """The name with its suffixes in the documented order; the name itself if it is not an idea and suffixes."""
    for idea in sorted((idea for idea in ideas if name.startswith(f"{idea}_")), key=len, reverse=True):
        found = TOKENS.findall(rest := name.removeprefix(idea))
        if "".join(found) == rest:
            return idea + "".join(token for pattern in PATTERNS.values() for token in found if re.match(pattern, token))
    return name


def seeded(trainer: str, seed: int) -> str:
    """The name of a trainer with a seed."""
    return f"{trainer}_seed{seed}"


def unseeded(name: str) -> tuple[str, int | None]:
    """The trainer and the seed that a name says; None where it says none."""
    found = parts(name)
    return name.removesuffix(found.seed), found.seed_number
