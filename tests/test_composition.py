"""Names of trainers: ideas, which the catalogue declares, and suffixes, which are put together when nnU-Net asks."""

from pathlib import Path

import pytest
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from segan_nnunet.catalogues import catalogue_folder, declared_classes, list_trainers, load_trainers
from segan_nnunet.errors import InputError
from segan_nnunet.trainer_names import in_order, parts
from segan_nnunet.training import PaperAugmentation, ShortSchedule
from segan_nnunet.training.variants.seeds import Seeded

ABLATIONS = ("S1_1C", "S3_1C", "s0", "s3")
IDEAS = ("SegANTrainer", "UNetSoftmaxTrainer", "SegANDiceTrainer", *(f"SegANTrainer_{name}" for name in ABLATIONS))


@pytest.mark.parametrize("name", ["SegANTrainer_s0", "SegANTrainer_PaperDA", "SegANTrainer_short_seed3", "A_5epochs"])
def test_a_name_is_its_parts_in_order(name: str) -> None:
    assert "".join(parts(name)) == name


def test_every_idea_is_there_in_every_length_and_with_the_paper_s_augmentation() -> None:
    catalogue = load_trainers()
    for idea in IDEAS:
        for augmentation in ("", "_PaperDA"):
            for length in ("", "_short", "_50epochs", "_250epochs", "_1epoch"):
                trainer = getattr(catalogue, f"{idea}{augmentation}{length}")
                assert trainer.__name__ == f"{idea}{augmentation}{length}"
                assert issubclass(trainer, getattr(catalogue, idea))
                assert issubclass(trainer, ShortSchedule) == (length == "_short")
                assert issubclass(trainer, PaperAugmentation) == bool(augmentation)


def test_a_suffix_changes_what_it_says_and_nothing_else() -> None:
    catalogue = load_trainers()
    assert catalogue.SegANTrainer_s0_250epochs.num_epochs == 250
    assert catalogue.SegANTrainer_s0_250epochs.initial_lr == catalogue.SegANTrainer.initial_lr
    assert catalogue.SegANTrainer_PaperDA_short.initial_lr == ShortSchedule.initial_lr
    # the idea whose short schedule differs says so, with further suffixes too
    assert catalogue.SegANDiceTrainer_short.initial_lr == catalogue.SegANDiceTrainer_PaperDA_short.initial_lr == 2e-4
    assert catalogue.nnUNetTrainerSegAN_short_seed1.initial_lr == 1e-2, "nnU-Net's optimiser has nnU-Net's rate"
    assert not hasattr(catalogue.nnUNetTrainerSegAN_50epochs, "initial_lr")
    assert issubclass(catalogue.SegANTrainer_PaperDA_short_seed3, Seeded)
    assert catalogue.SegANTrainer_PaperDA_short_seed3.seed == 3


def test_unknown_names_are_left_to_nnunet_and_a_wrong_order_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = load_trainers()
    for name in ("SegANTrainer_mine", "Other_short", "SegANTrainer_short_50epochs", "nnUNetTrainer_5epochs"):
        assert not hasattr(catalogue, name)
    for name in ("SegANDiceTrainer_short_50epochs", "SegANTrainer_50epochs_short"):
        assert not hasattr(catalogue, name), "of two lengths none is meant"
    for name, said in (("SegANTrainer_0epochs", "no epoch"), ("SegANTrainer_short_seed0_seed1", "two seeds")):
        with pytest.raises(InputError, match=said):
            getattr(catalogue, name)
    with pytest.raises(InputError, match="SegANTrainer_PaperDA_short_seed1, not SegANTrainer_seed1_short_PaperDA"):
        _ = catalogue.SegANTrainer_seed1_short_PaperDA
    monkeypatch.setenv("nnUNet_extTrainer", str(catalogue_folder("trainers")))
    stock = recursive_find_trainer_class_by_name("nnUNetTrainer_5epochs")
    assert stock.__module__.startswith("nnunetv2"), "nnU-Net's own lengths stay its own"
    assert issubclass(catalogue.nnUNetTrainer_5epochs_seed2, stock)


def test_in_order_leaves_alone_what_it_does_not_know() -> None:
    assert in_order("A_seed1_short", ["A"]) == "A_short_seed1"
    assert in_order("A_x_short", ["A"]) == "A_x_short"


def test_trainers_of_one_s_own_are_listed_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text('raise SystemExit\nclass Mine(Base):\n    """What it does.\n\n    More."""\n')
    monkeypatch.setenv("nnUNet_extTrainer", f"{catalogue_folder('trainers')}:{tmp_path}")
    assert declared_classes(tmp_path) == {"Mine": "What it does."}
    listed = list_trainers()
    assert "What it does." in listed and "More." not in listed
    for name in (*IDEAS, "_PaperDA", "_short", "_50epochs", "_seed3"):
        assert f"  {name} " in listed


def test_a_trainer_of_one_s_own_goes_before_a_composed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from segan_nnunet.training import AdversarialTrainer\n\n\n"
        "class SegANTrainer_100epochs(AdversarialTrainer):\n    mine = True\n"
    )
    monkeypatch.setenv("nnUNet_extTrainer", f"{catalogue_folder('trainers')}:{tmp_path}")
    assert recursive_find_trainer_class_by_name("SegANTrainer_100epochs").mine
