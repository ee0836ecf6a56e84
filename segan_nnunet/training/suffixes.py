"""Compose trainers from the suffixes of their names, such as SegANTrainer_PaperDA or SegANTrainer_50epochs_seed3.

`composed_trainer` makes the class when nnU-Net asks for the name, so combinations are not declared as classes.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoDA import nnUNetTrainerNoDA

from segan_nnunet.catalogues import catalogue_folder, declared_classes, named_folders
from segan_nnunet.errors import InputError
from segan_nnunet.trainer_names import SUFFIXES, TOKENS, in_order, parts, unseeded
from segan_nnunet.trainer_search import NoTrainerError, find_trainer
from segan_nnunet.training.run.process import print_refusals, set_up_cpu
from segan_nnunet.training.run.trainer import ResumableTrainer


class PaperAugmentation(nnUNetTrainerNoDA):
    """The paper's augmentation (Section 3): random crops of the planned patch, without mirroring in inference.

    The crops are uniform over the image: nnU-Net's oversampling of foreground is off.
    """

    oversample_foreground_percent = 0.0


class ShortSchedule:
    """A schedule of 600 steps for laptops, the demo and tests.

    The paper's learning rate needs the paper's number of steps: at 2e-5 a training learns nothing useful in 400 steps.
    So S has a rate of 1e-3, with a decay that stabilises the end of a short training. The critics keep the paper's
    rate, which fits their clamp.
    """

    initial_lr = 1e-3
    lr_decay_exponent = 0.9
    num_epochs = 12
    num_iterations_per_epoch = 50
    num_val_iterations_per_epoch = 4


class Seeded(nnunet.nnUNetTrainer):
    """A mixin in front of any trainer that draws weights, patches and augmentation from `seed`.

    With nnUNet_n_proc_DA=0 and one thread, a training repeats bit for bit. With several augmentation processes the
    order of the batches varies.
    """

    seed: ClassVar[int]

    def initialize(self) -> None:
        """Draw the weights from the seed, the same in all processes of DDP."""
        set_up_cpu(self.device)  # also for nnU-Net's own trainers
        seed_everything(self.seed)
        super().initialize()

    def get_dataloaders(self) -> Any:
        """Seed patches and augmentation by the seed, the process and the epoch, so that no two of these repeat."""
        states = np.random.SeedSequence((self.seed, self.local_rank, self.current_epoch))
        seed_everything(int(states.generate_state(1)[0]))
        with seeded_workers(states):
            return super().get_dataloaders()


def seed_everything(seed: int) -> None:
    """Seed all random generators of this process."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # this seeds CUDA too


@contextmanager
def seeded_workers(states: np.random.SeedSequence) -> Iterator[None]:
    """Seed each augmentation process. nnU-Net does not seed them and has no hook for it."""
    augmenter: Callable[..., Any] = nnunet.NonDetMultiThreadedAugmenter

    def seeded(*args: Any, num_processes: int, **settings: Any) -> Any:
        seeds = [int(state.generate_state(1)[0]) for state in states.spawn(num_processes)]
        return augmenter(*args, num_processes=num_processes, **{**settings, "seeds": seeds})

    with mock.patch.object(nnunet, "NonDetMultiThreadedAugmenter", seeded):
        yield


def composed_trainer(name: str, catalogue: Mapping[str, Any]) -> type[nnUNetTrainer]:
    """Make the trainer `BASE[_PaperDA][_short][_50epochs][_seed3]`, for the `__getattr__` of a catalogue.

    Args:
        name: name of the trainer that nnU-Net looks for.
        catalogue: the base trainers by name. A declared name may include a suffix. That class is then used as it is,
            for example a base trainer with its own short schedule.

    Raises:
        AttributeError: the name has no suffix, or its base trainer does not exist. nnU-Net then looks elsewhere.
        InputError: the suffixes are in another order, or the name has two seeds or no epoch.
    """
    if not TOKENS.search(name):  # true for most names that nnU-Net or Python looks up in a module
        raise AttributeError(f"there is no trainer {name}")
    print_refusals()
    if name in user_trainers():
        raise AttributeError(f"{name} is declared in a folder of the user")
    base, seed = unseeded(name)
    if unseeded(base)[1] is not None:
        raise InputError(f"{name} has two seeds. Remove one of them")
    if seed is not None:
        trainer = with_suffixes(base, catalogue) or nnunet_trainer(base, name)
        return type(name, (Seeded, trainer), {"seed": seed, "__module__": trainer.__module__})
    if (composed := with_suffixes(name, catalogue)) is not None:
        return composed
    if (ordered := in_order(name, [*catalogue, *user_trainers()])) != name:
        raise InputError(f"{name} has its suffixes in the wrong order ({', '.join(SUFFIXES)}). Use {ordered}")
    raise AttributeError(f"there is no trainer {name}")


def user_trainers() -> set[str]:
    """Return the names of the classes that the user declares in folders of nnUNet_extTrainer."""
    folders = [folder for folder in named_folders() if folder != catalogue_folder("trainers")]
    return {name for folder in folders for name in declared_classes(folder)}


def with_suffixes(name: str, catalogue: Mapping[str, Any]) -> type[nnUNetTrainer] | None:
    """Return the catalogue's or the user's trainer for a name without a seed, or None if it does not exist."""
    if name in catalogue:
        return catalogue[name]
    base, augmentation, length, _ = trainer_name = parts(name)
    if TOKENS.search(base):  # suffixes in another order, or two of a kind
        return None
    if trainer_name.epochs == 0:
        raise InputError(f"{name} would train for no epoch. Give a number of epochs from 1 on")
    declared = base_trainer(base + length, catalogue)
    settings = {"num_epochs": trainer_name.epochs} if trainer_name.epochs and not declared else {}
    is_short = length.startswith("_short")
    if is_short and not declared:
        declared = base_trainer(f"{base}_short", catalogue)
    trainer = declared or base_trainer(base, catalogue)
    if trainer is None or not (augmentation or length):
        return None
    mixins: list[type] = [ShortSchedule] if is_short and not declared else []
    mixins += [PaperAugmentation] if augmentation else []
    return type(name, (*mixins, trainer), {"__module__": trainer.__module__, **settings})


def base_trainer(name: str, catalogue: Mapping[str, Any]) -> type[nnUNetTrainer] | None:
    """Return the declared trainer with a name, from the catalogue or from a folder of the user, or None.

    A trainer of the user must be a subclass of a trainer of this package: other trainers ignore the attributes that
    suffixes set.
    """
    if name in catalogue:
        return catalogue[name]
    if name not in user_trainers():
        return None
    trainer = nnunet_trainer(name, name)
    return trainer if issubclass(trainer, ResumableTrainer) else None


def nnunet_trainer(base: str, name: str) -> type[nnUNetTrainer]:
    """Return the trainer that nnU-Net finds under the name `base`, among its own trainers and the user's.

    Raises:
        AttributeError: nnU-Net finds no such trainer.
        InputError: a file of the user cannot be imported.
    """
    try:
        return find_trainer(base)
    except NoTrainerError as error:
        raise AttributeError(f"there is no trainer {base} for {name}") from error
