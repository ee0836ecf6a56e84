"""Trainers by their names' suffixes: a product of an idea, an augmentation, a schedule and a seed is no class."""

from collections.abc import Mapping
from typing import Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from segan_nnunet.catalogues import catalogue_folder, declared_classes, named_folders
from segan_nnunet.errors import InputError
from segan_nnunet.trainer_names import SUFFIXES, TOKENS, in_order, parts, unseeded
from segan_nnunet.trainer_search import NoTrainerError, find_trainer
from segan_nnunet.training.resumable_trainer import ResumableTrainer
from segan_nnunet.training.run.refusals import print_refusals
from segan_nnunet.training.variants.augmentation import PaperAugmentation
from segan_nnunet.training.variants.schedules import ShortSchedule
from segan_nnunet.training.variants.seeds import Seeded


def composed_trainer(name: str, ideas: Mapping[str, Any]) -> type[nnUNetTrainer]:
    """Make the trainer `IDEA[_PaperDA][_short or _50epochs][_seed3]`, for a catalogue's own `__getattr__`.

    Args:
        name: that nnU-Net is looking for.
        ideas: the catalogue's own trainers. One that has a suffix in its own name is taken as it is: an idea whose
            short schedule differs says so there.

    Raises:
        AttributeError: the name has none of the suffixes, or there is no such idea; nnU-Net then looks elsewhere.
        InputError: the suffixes are in another order.
    """
    if not TOKENS.search(name):  # as of most names that nnU-Net, or Python itself, asks a module for
        raise AttributeError(f"there is no trainer {name}")
    print_refusals()
    if name in users_declarations():
        raise AttributeError(f"{name} is a trainer of the user's own")
    base, seed = unseeded(name)
    if unseeded(base)[1] is not None:
        raise InputError(f"{name} has two seeds, and a training has one")
    if seed is not None:
        trainer = with_suffixes(base, ideas) or anywhere(base, name)
        return type(name, (Seeded, trainer), {"seed": seed, "__module__": trainer.__module__})
    if (composed := with_suffixes(name, ideas)) is not None:
        return composed
    if (ordered := in_order(name, [*ideas, *users_declarations()])) != name:
        raise InputError(f"the suffixes {', '.join(SUFFIXES)} stand in this order: {ordered}, not {name}")
    raise AttributeError(f"there is no trainer {name}")


def users_declarations() -> set[str]:
    """Names of the classes in the user's own folders of nnUNet_extTrainer."""
    folders = [folder for folder in named_folders() if folder != catalogue_folder("trainers")]
    return {name for folder in folders for name in declared_classes(folder)}


def with_suffixes(name: str, ideas: Mapping[str, Any]) -> type[nnUNetTrainer] | None:
    """The trainer of a name without a seed, an idea of the catalogue's or of the user's; None if there is none."""
    if name in ideas:
        return ideas[name]
    said = parts(name)
    if TOKENS.search(said.idea):  # suffixes in another order, or two of a kind
        return None
    if said.epochs == 0:
        raise InputError(f"{name} would train for no epoch")
    declared = base_trainer(said.idea + said.length, ideas)
    trainer = declared or base_trainer(said.idea, ideas)
    if trainer is None or not (said.augmentation or said.length):
        return None
    mixins: list[type] = [ShortSchedule] if said.length == "_short" and not declared else []
    mixins += [PaperAugmentation] if said.augmentation else []
    settings = {"num_epochs": said.epochs} if said.epochs and not declared else {}
    return type(name, (*mixins, trainer), {"__module__": trainer.__module__, **settings})


def base_trainer(name: str, ideas: Mapping[str, Any]) -> type[nnUNetTrainer] | None:
    """The catalogue's trainer of a name, or the user's own that is made of one of ours; None if there is none.

    The suffixes set attributes, which only our trainers look at.
    """
    if name in ideas:
        return ideas[name]
    if name not in users_declarations():
        return None
    own = anywhere(name, name)
    return own if issubclass(own, ResumableTrainer) else None


def anywhere(base: str, name: str) -> type[nnUNetTrainer]:
    """The trainer that nnU-Net finds, among its own and the user's.

    Raises:
        AttributeError: it finds none.
        InputError: a file of the user's cannot be imported.
    """
    try:
        return find_trainer(base)
    except NoTrainerError as error:
        raise AttributeError(f"there is no trainer {base}, of which {name} would be a seed") from error
