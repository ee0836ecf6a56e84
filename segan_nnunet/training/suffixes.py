"""Trainers by the suffixes of their names: SegANTrainer_PaperDA, SegANTrainer_short, SegANTrainer_50epochs_seed3.

`composed_trainer` makes them, so that no combination needs a class of its own.
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
from segan_nnunet.training.run.process import print_refusals, respect_omp_num_threads
from segan_nnunet.training.run.trainer import ResumableTrainer


class PaperAugmentation(nnUNetTrainerNoDA):
    """Random crops of the planned patch and nothing else (Section 3). Inference does not mirror either.

    The crops are random everywhere: nnU-Net's oversampling of foreground is off.
    """

    oversample_foreground_percent = 0.0


class ShortSchedule:
    """600 steps, for laptops, the demo and tests.

    The paper's learning rate needs the paper's number of steps: 2e-5 learns nothing useful within 400 steps. So S has
    1e-3 with a decay, which calms the end of a short training. The critics keep the paper's rate, which fits its clamp.
    """

    initial_lr = 1e-3
    lr_decay_exponent = 0.9
    num_epochs = 12
    num_iterations_per_epoch = 50
    num_val_iterations_per_epoch = 4


class Seeded(nnunet.nnUNetTrainer):
    """To put in front of any trainer: its weights, its sampling of patches and its augmentation come from `seed`.

    With nnUNet_n_proc_DA=0 and one thread a training repeats bit for bit. Several augmentation processes deliver their
    batches in an order of their own.
    """

    seed: ClassVar[int]

    def initialize(self) -> None:
        """Draw the weights from the seed, the same in all processes of DDP."""
        respect_omp_num_threads(self.device)  # of nnU-Net's own trainers too
        seed_everything(self.seed)
        super().initialize()

    def get_dataloaders(self) -> Any:
        """Draw patches and augmentation from the seed, the process and the epoch, so that none repeats another's."""
        states = np.random.SeedSequence((self.seed, self.local_rank, self.current_epoch))
        seed_everything(int(states.generate_state(1)[0]))
        with seeded_workers(states):
            return super().get_dataloaders()


def seed_everything(seed: int) -> None:
    """Seed all random generators of this process."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # CUDA's too


@contextmanager
def seeded_workers(states: np.random.SeedSequence) -> Iterator[None]:
    """Seed each augmentation process. nnU-Net does not seed them and has no hook for it."""
    augmenter: Callable[..., Any] = nnunet.NonDetMultiThreadedAugmenter

    def seeded(*args: Any, num_processes: int, **settings: Any) -> Any:
        seeds = [int(state.generate_state(1)[0]) for state in states.spawn(num_processes)]
        return augmenter(*args, num_processes=num_processes, **{**settings, "seeds": seeds})

    with mock.patch.object(nnunet, "NonDetMultiThreadedAugmenter", seeded):
        yield


def composed_trainer(name: str, ideas: Mapping[str, Any]) -> type[nnUNetTrainer]:
    """Make the trainer `BASE[_PaperDA][_short][_50epochs][_seed3]`, for the `__getattr__` of a catalogue.

    Args:
        name: the trainer that nnU-Net looks for.
        ideas: the trainers of the catalogue. One that has a suffix in its own name is taken as it is, such as a base
            trainer with a short schedule of its own.

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
    """Return the names of the classes in the user's own folders of nnUNet_extTrainer."""
    folders = [folder for folder in named_folders() if folder != catalogue_folder("trainers")]
    return {name for folder in folders for name in declared_classes(folder)}


def with_suffixes(name: str, ideas: Mapping[str, Any]) -> type[nnUNetTrainer] | None:
    """Return the trainer of a name without a seed, of the catalogue or of the user; None if there is none."""
    if name in ideas:
        return ideas[name]
    said = parts(name)
    if TOKENS.search(said.idea):  # suffixes in another order, or two of a kind
        return None
    if said.epochs == 0:
        raise InputError(f"{name} would train for no epoch")
    declared = base_trainer(said.idea + said.length, ideas)
    settings = {"num_epochs": said.epochs} if said.epochs and not declared else {}
    is_short = said.length.startswith("_short")
    if is_short and not declared:
        declared = base_trainer(f"{said.idea}_short", ideas)
    trainer = declared or base_trainer(said.idea, ideas)
    if trainer is None or not (said.augmentation or said.length):
        return None
    mixins: list[type] = [ShortSchedule] if is_short and not declared else []
    mixins += [PaperAugmentation] if said.augmentation else []
    return type(name, (*mixins, trainer), {"__module__": trainer.__module__, **settings})


def base_trainer(name: str, ideas: Mapping[str, Any]) -> type[nnUNetTrainer] | None:
    """Return the catalogue's trainer of a name, or the user's if it is made from one of ours; None if there is none.

    Suffixes set attributes that only our trainers read.
    """
    if name in ideas:
        return ideas[name]
    if name not in users_declarations():
        return None
    own = anywhere(name, name)
    return own if issubclass(own, ResumableTrainer) else None


def anywhere(base: str, name: str) -> type[nnUNetTrainer]:
    """Return the trainer that nnU-Net finds, among its own and the user's.

    Raises:
        AttributeError: it finds none.
        InputError: a file of the user's cannot be imported.
    """
    try:
        return find_trainer(base)
    except NoTrainerError as error:
        raise AttributeError(f"there is no trainer {base}, of which {name} would be a seed") from error
