"""A training continues only under its own objective, which its checkpoint records."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
from torch import Tensor, nn

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.errors import InputError
from segan_nnunet.folds.checks import check_one_method
from segan_nnunet.folds.record import FoldRecord, alike, changed_objective
from segan_nnunet.grid import fold_records
from segan_nnunet.grid.fold_records import check_folds
from segan_nnunet.grid.jobs import Job
from segan_nnunet.grid.objectives import current_objectives
from segan_nnunet.objective import layer_distances, relative_distances, soft_dice_distance
from segan_nnunet.training import (
    AdversarialTrainer,
    CriticBesideTrainer,
    PaperTrainer,
    SeparateTrainer,
    SoftmaxTrainer,
)
from tests.hand_made_planned import write_planned
from tests.small_trainers import a_batch, build, epoch, nnunet_architecture

pytestmark = pytest.mark.usefixtures("without_progress_png")


def halved(predicted: Tensor, truth: Tensor) -> Tensor:
    return 0.5 * soft_dice_distance(predicted, truth)


class Mine(AdversarialTrainer):
    """The unchanged trainer."""

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        return halved(predicted, truth)


class Wider(Mine):
    def critic_features(self) -> tuple[int, ...]:
        return (6, 8, 16)


class OneCritic(Mine):
    def region_groups(self) -> dict[str, list[int]]:
        return {"all regions": [0, 1, 2]}


class Heavier(Mine):
    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        return 0.6 * soft_dice_distance(predicted, truth)


class Renamed(Mine):
    """The same functions under other names and forms, with other rates and lengths, which may change."""

    initial_lr = 1e-5
    critic_initial_lr = 1e-6
    num_epochs = 7

    @staticmethod
    def distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        return torch.stack([relative_distances([one], [two])[0] for one, two in zip(features, other, strict=True)])

    def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
        return soft_dice_distance(predicted, truth) / 2


def checkpoint_of(kind: type[Any], folders: Path, **settings: Any) -> tuple[Any, str]:
    trainer = build(kind, folders, **settings)
    path = folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    return trainer, str(path)


def changed(base: type[Any], **attributes: Any) -> type[Any]:
    return type(base.__name__, (base,), attributes)


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (changed(Mine, critic_layers=(0, 3)), r"critic_layers was \[0, 1, 2, 3\] and is \[0, 3\]"),
        (changed(Mine, critic_clamp=0.05), "critic_clamp was 0.01 and is 0.05"),
        (changed(Mine, critic_batch_norm_clamp=0.5), "critic_batch_norm_clamp was 1.0 and is 0.5"),
        (changed(Mine, critic_learns=False), "critic_learns was True and is False"),
        (changed(Mine, distances=staticmethod(layer_distances)), "distances has changed"),
        (
            changed(Mine, optimizer_settings={"betas": (0.9, 0.99)}),
            r"betas was \[0.0, 0.99\] and is \[0.9, 0.99\]",
        ),
        (Heavier, "further_loss has changed"),
        (OneCritic, r"region_groups was \[\[0\], \[1\], \[2\]\] and is \[\[0, 1, 2\]\]"),
        (Wider, r"holds another critic than its trainer builds now: .*, of shape \[4, .* there and \[6, "),
        (type("Mine", (SeparateTrainer,), {"further_loss": Mine.further_loss}), "holds another segmentor"),
        (type("Mine", (PaperTrainer,), {}), "loss has changed"),
        (type("Mine", (SoftmaxTrainer,), {}), "loss has changed"),
    ],
)
def test_resuming_refuses_another_objective(nnunet_folders: Path, later: type[Any], message: str) -> None:
    _, path = checkpoint_of(Mine, nnunet_folders)
    other = build(later, nnunet_folders)
    before = [parameter.clone() for parameter in other.network.parameters()]
    with pytest.raises(InputError, match=f"checkpoint.pth .*{message}.*give the changed trainer a name of its own"):
        other.load_checkpoint(path)
    assert all(map(torch.equal, before, other.network.parameters())), "no weights were loaded"


def test_resuming_accepts_the_same_objective_with_other_names_rates_and_lengths(nnunet_folders: Path) -> None:
    _, path = checkpoint_of(Mine, nnunet_folders)
    build(Renamed, nnunet_folders).load_checkpoint(path)


class Weighted(PaperTrainer):
    def _build_loss(self) -> nn.Module:
        return DC_and_BCE_loss({}, {"batch_dice": True, "do_bg": True, "smooth": 1e-5, "ddp": False}, weight_ce=2)


@pytest.mark.parametrize(
    ("first", "later", "message"),
    [
        (changed(PaperTrainer), Weighted, "loss has changed"),
        (CriticBesideTrainer, changed(CriticBesideTrainer, critic_fraction=0.5), "critic_fraction was 1.0 and is 0.5"),
        (CriticBesideTrainer, changed(CriticBesideTrainer, critic_from=0.5), "critic_from was 0.0 and is 0.5"),
        (
            SoftmaxTrainer,
            changed(SoftmaxTrainer, optimizer_settings={"weight_decay": 0.1}),
            "weight_decay was 0 and is 0.1",
        ),
    ],
)
def test_resuming_refuses_another_objective_of_other_trainers(
    nnunet_folders: Path, first: type[Any], later: type[Any], message: str
) -> None:
    architecture = nnunet_architecture() if issubclass(first, CriticBesideTrainer) else None
    trainer, path = checkpoint_of(first, nnunet_folders, architecture=architecture)
    assert trainer.recorded_objective["loss"] is not None, "the loss was evaluated"
    build(first, nnunet_folders, architecture=architecture).load_checkpoint(path)
    with pytest.raises(InputError, match=f"under another objective .*{message}"):
        build(later, nnunet_folders, architecture=architecture).load_checkpoint(path)


def test_a_softmax_loss_has_one_objective_in_training_and_evaluation_mode(nnunet_folders: Path) -> None:
    trainer = build(SoftmaxTrainer, nnunet_folders)
    trainer.network.train()
    first = trainer.objective()
    trainer.network.eval()
    assert trainer.objective() == first and not trainer.network.training


def test_recording_the_objective_draws_no_random_number(nnunet_folders: Path) -> None:
    class Noisy(Mine):
        def further_loss(self, predicted: Tensor, truth: Tensor) -> Tensor:
            return (predicted - truth * torch.rand_like(predicted)).abs().mean()

    trainer = build(Noisy, nnunet_folders)
    before = torch.get_rng_state()
    assert trainer.objective() == trainer.objective()
    assert torch.equal(before, torch.get_rng_state())


def test_resuming_a_checkpoint_without_a_record_prints_a_sentence(
    nnunet_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = build(Mine, nnunet_folders)
    epoch(trainer, [a_batch()])
    path = Path(trainer.output_folder) / "checkpoint_latest.pth"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["trained_on"]["objective"]
    torch.save(checkpoint, path)
    build(Mine, nnunet_folders).load_checkpoint(str(path))
    assert "checkpoint_latest.pth has no record of its objective" in capsys.readouterr().out
    for layers, message in (
        ((0, 1), "holds another critic"),
        ((0, 3), "compare 4 layers, and critic_layers names 2 now"),
    ):
        with pytest.raises(InputError, match=message):
            build(changed(Mine, critic_layers=layers), nnunet_folders).load_checkpoint(str(path))


def test_rounding_newer_settings_and_unknown_values_count_as_equal() -> None:
    assert alike({"a": [1.0, float("nan")], "new": 1}, {"a": [1.00001, float("nan")]}) and alike(None, 3)
    assert not alike([1.0], [1.0, 2.0]) and not alike(1.0, 1.01) and not alike({"a": 1}, {"a": 2})
    assert changed_objective(None, {"a": 1}) == changed_objective({"a": 1}, None) == ""


def test_folds_of_different_objectives_are_not_one_method(tmp_path: Path) -> None:
    folds = [tmp_path / "A__P__2d" / f"fold_{number}" for number in range(3)]
    for fold, clamp in zip(folds, (0.01, 0.01, 0.05), strict=True):
        fold.mkdir(parents=True)
        record = FoldRecord(["a"], ["b"], objective={"critic_clamp": clamp})
        torch.save({"trained_on": record.content()}, fold / "checkpoint_final.pth")
    check_one_method(folds[:2])
    with pytest.raises(InputError, match="fold_2 was trained under another objective than .*fold_0: critic_clamp was"):
        check_one_method(folds)


def test_a_grid_compares_finished_folds_with_the_current_trainer(
    nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_planned(nnunet_folders)
    jobs = [Job("Dataset007_Tiny", "2d", f"A_seed{seed}", "nnUNetPlans", 0, "cpu") for seed in (1, 2)]
    for job in jobs:
        job.folder.mkdir(parents=True)
        record = FoldRecord(["a", "b"], ["c"], objective={"critic_clamp": 0.01})
        torch.save({"trained_on": record.content()}, job.folder / "checkpoint_final.pth")
    queried_trainers: list[str] = []

    def now(jobs: set[Job]) -> dict[Job, Any]:
        queried_trainers.extend(job.trainer for job in jobs)
        return {job: {"critic_clamp": 0.02} for job in jobs}

    monkeypatch.setattr(fold_records, "current_objectives", now)
    with pytest.raises(InputError, match="A_seed2.*critic_clamp was 0.01 and is 0.02"):
        check_folds(jobs)
    assert queried_trainers == ["A"], "one query serves all seeds"


def test_a_grid_reads_trainer_objectives_and_leaves_no_files(
    nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", str(catalogue_folder("trainers")))
    trainer = build(AdversarialTrainer, nnunet_folders)
    folder = Path(trainer.preprocessed_dataset_folder_base)
    (folder / "SegANPlans.json").write_text(json.dumps(trainer.plans_manager.plans))
    (folder / "dataset.json").write_text(json.dumps(trainer.dataset_json))
    before = sorted(nnunet_folders.rglob("*"))
    trainers = ("SegANTrainer_s3_short", "nnUNetTrainer", "NotThere")
    ours, *others = current_objectives(
        [Job("Dataset001_Tiny", "2d", name, "SegANPlans", 0, "cpu") for name in trainers]
    ).values()
    assert ours is not None and ours["critic_layers"] == [3]
    assert others == [None, None]
    assert sorted(nnunet_folders.rglob("*")) == before


@pytest.mark.parametrize(("core", "accepted"), [([1, 3, 4], True), ([4, 3, 1], True), ([1, 4], False)])
def test_resuming_refuses_changed_regions(nnunet_folders: Path, core: list[int], accepted: bool) -> None:
    _, path = checkpoint_of(Mine, nnunet_folders)
    labels = {"background": 0, "whole tumor": [1, 2, 3, 4], "core": core, "enhancing tumor": 4}
    other = build(Mine, nnunet_folders, labels)
    if accepted:
        other.load_checkpoint(path)
    else:
        with pytest.raises(InputError, match="checkpoint.pth was trained on other labels than dataset.json"):
            other.load_checkpoint(path)
