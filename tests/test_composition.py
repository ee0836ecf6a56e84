"""Trainer names consist of a base trainer from the catalogue and suffixes, which are composed on request."""

import os
import sys
from pathlib import Path

import pytest
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from segan_nnunet.catalogues import catalogue_folder, declared_classes, list_trainers, load_trainers
from segan_nnunet.errors import InputError
from segan_nnunet.trainer_names import in_order, parts
from segan_nnunet.training import AdversarialTrainer, PaperAugmentation, ShortSchedule
from segan_nnunet.training.suffixes import Seeded

ABLATIONS = ("S1_1C", "S3_1C", "s0", "s3")
BASES = ("SegANTrainer", "UNetSoftmaxTrainer", "SegANDiceTrainer", *(f"SegANTrainer_{name}" for name in ABLATIONS))


@pytest.mark.parametrize("name", ["SegANTrainer_s0", "SegANTrainer_PaperDA", "SegANTrainer_short_seed3", "A_5epochs"])
def test_a_trainer_name_equals_its_joined_parts(name: str) -> None:
    assert "".join(parts(name)) == name


def test_every_base_trainer_exists_in_every_length_and_with_the_paper_augmentation() -> None:
    catalogue = load_trainers()
    for base in BASES:
        for augmentation in ("", "_PaperDA"):
            for length in ("", "_short", "_50epochs", "_250epochs", "_1epoch", "_short_2epochs"):
                trainer = getattr(catalogue, f"{base}{augmentation}{length}")
                assert trainer.__name__ == f"{base}{augmentation}{length}"
                assert issubclass(trainer, getattr(catalogue, base))
                assert issubclass(trainer, ShortSchedule) == length.startswith("_short")
                assert issubclass(trainer, PaperAugmentation) == bool(augmentation)


def test_a_suffix_changes_only_its_own_attributes() -> None:
    catalogue = load_trainers()
    assert catalogue.SegANTrainer_s0_250epochs.num_epochs == 250
    assert catalogue.SegANTrainer_s0_250epochs.initial_lr == catalogue.SegANTrainer.initial_lr
    assert catalogue.SegANTrainer_PaperDA_short.initial_lr == ShortSchedule.initial_lr
    # a base trainer may declare its own short schedule, which further suffixes use too
    assert catalogue.SegANDiceTrainer_short.initial_lr == catalogue.SegANDiceTrainer_PaperDA_short.initial_lr == 2e-4
    assert catalogue.nnUNetTrainerSegAN_short_seed1.initial_lr == 1e-2, "nnU-Net's optimiser has nnU-Net's rate"
    assert not hasattr(catalogue.nnUNetTrainerSegAN_50epochs, "initial_lr")
    assert (
        catalogue.SegANDiceTrainer_short_2epochs.initial_lr == 2e-4
        and catalogue.SegANDiceTrainer_short.num_epochs == 12
    )
    assert catalogue.SegANDiceTrainer_short_2epochs.num_epochs == catalogue.SegANTrainer_short_2epochs.num_epochs == 2
    assert issubclass(catalogue.SegANTrainer_PaperDA_short_seed3, Seeded)
    assert catalogue.SegANTrainer_PaperDA_short_seed3.seed == 3


def test_unknown_names_go_to_nnunet_and_a_wrong_suffix_order_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = load_trainers()
    for name in ("SegANTrainer_mine", "Other_short", "nnUNetTrainer_5epochs"):
        assert not hasattr(catalogue, name)
    for name in ("SegANTrainer_50epochs_250epochs", "SegANTrainer_50epochs_short"):
        assert not hasattr(catalogue, name), "a name with two lengths is ambiguous"
    for name, message in (("SegANTrainer_0epochs", "no epoch"), ("SegANTrainer_short_seed0_seed1", "two seeds")):
        with pytest.raises(InputError, match=message):
            getattr(catalogue, name)
    with pytest.raises(InputError, match="SegANTrainer_seed1_short_PaperDA .*Use SegANTrainer_PaperDA_short_seed1"):
        _ = catalogue.SegANTrainer_seed1_short_PaperDA
    monkeypatch.setenv("nnUNet_extTrainer", str(catalogue_folder("trainers")))
    stock = recursive_find_trainer_class_by_name("nnUNetTrainer_5epochs")
    assert stock.__module__.startswith("nnunetv2"), "nnU-Net's own length suffixes are unchanged"
    assert issubclass(catalogue.nnUNetTrainer_5epochs_seed2, stock)


def test_in_order_keeps_unknown_names() -> None:
    assert in_order("A_seed1_short", ["A"]) == "A_short_seed1"
    assert in_order("A_x_short", ["A"]) == "A_x_short"


def test_user_trainers_are_listed_without_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text('raise SystemExit\nclass Mine(Base):\n    """What it does.\n\n    More."""\n')
    monkeypatch.setenv("nnUNet_extTrainer", f"{catalogue_folder('trainers')}:{tmp_path}")
    assert declared_classes(tmp_path) == {"Mine": "What it does."}
    listed = list_trainers()
    assert "What it does." in listed and "More." not in listed
    for name in (*BASES, "_PaperDA", "_short", "_50epochs", "_seed3"):
        assert f"  {name} " in listed


def test_a_user_trainer_precedes_a_composed_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from segan_nnunet.training import AdversarialTrainer\n\n\n"
        "class SegANTrainer_100epochs(AdversarialTrainer):\n    mine = True\n"
    )
    monkeypatch.setenv("nnUNet_extTrainer", f"{catalogue_folder('trainers')}:{tmp_path}")
    assert recursive_find_trainer_class_by_name("SegANTrainer_100epochs").mine


ON_THE_CATALOGUE = """
from segan_trainers import SegANTrainer, UNetSoftmaxTrainer_PaperDA


class Mine(SegANTrainer):
    critic_clamp = 0.05


class Softer(UNetSoftmaxTrainer_PaperDA):
    pass


class Softer_short(Softer):
    num_epochs = 3


class Theirs(nnUNetTrainer):
    pass
"""


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a folder of user trainers that derive from the catalogue, one folder deeper."""
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "__init__.py").touch()
    stock = "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n"
    (tmp_path / "deeper" / "mine.py").write_text(stock + ON_THE_CATALOGUE)
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join((str(tmp_path), str(catalogue_folder("trainers")))))
    monkeypatch.delitem(sys.modules, "segan_trainers", raising=False)
    return tmp_path


@pytest.mark.parametrize("own_first", [True, False])
def test_nnunet_finds_a_trainer_derived_from_the_catalogue_in_either_folder_order(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, own_first: bool
) -> None:
    if not own_first:
        folders = (str(catalogue_folder("trainers")), str(own_folder))
        monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join(folders))
    for name in ("Mine", "Mine_seed1"):
        trainer = recursive_find_trainer_class_by_name(name)
        assert trainer.critic_clamp == 0.05 and issubclass(trainer, AdversarialTrainer)


def test_every_suffix_applies_to_a_trainer_derived_from_the_catalogue(own_folder: Path) -> None:
    catalogue = load_trainers()
    short = catalogue.Mine_short
    assert (short.__name__, short.num_epochs, short.critic_clamp) == ("Mine_short", ShortSchedule.num_epochs, 0.05)
    long = catalogue.Mine_PaperDA_50epochs_seed3
    assert (long.num_epochs, long.seed) == (50, 3) and issubclass(long, PaperAugmentation)
    softer = catalogue.Softer_short_seed1
    assert softer.num_epochs == 3, "the user's own short form precedes ours"
    assert issubclass(softer, PaperAugmentation), "a composed trainer can also be imported"
    with pytest.raises(InputError, match="Mine_short_PaperDA .*Use Mine_PaperDA_short"):
        _ = catalogue.Mine_short_PaperDA
    assert not hasattr(catalogue, "Theirs_short"), "nnU-Net's own trainer ignores the attributes that a suffix sets"
    assert catalogue.Theirs_seed1.seed == 1
