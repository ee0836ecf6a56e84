"""Checkpoints hold plain values, loading refuses unsuitable files, and diverged trainings stop."""

import io
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

from segan_nnunet.errors import InputError
from segan_nnunet.folds.checkpoint import read_checkpoint
from segan_nnunet.training import AdversarialTrainer, SeparateTrainer, SoftmaxTrainer
from segan_nnunet.training.run.checkpoint import random_states, restore_random_states, without_numpy
from segan_nnunet.training.run.divergence import TrainingDivergedError
from tests.small_trainers import a_batch, build, epoch, play


class Quick(AdversarialTrainer):
    initial_lr = 1e-3


def test_checkpoints_hold_only_tensors_and_plain_values(nnunet_folders: Path) -> None:
    trainer = build(Quick, nnunet_folders)
    epoch(trainer, [a_batch()])
    path = Path(trainer.output_folder) / "checkpoint_latest.pth"
    checkpoint = torch.load(path, weights_only=True)  # raises an error if the checkpoint holds anything else
    assert checkpoint["logging"]["mean_fg_dice"] and checkpoint["random_states"]["numpy"]


def test_plain_values_keep_type_and_value() -> None:
    value = {"a": [np.float32(0.5), (np.int64(3), None)], "b": np.arange(3, dtype=np.uint32), "c": "text"}
    converted = without_numpy(value)
    assert converted["a"] == [0.5, (3, None)] and type(converted["a"][0]) is float and converted["c"] == "text"
    assert torch.equal(converted["b"], torch.arange(3))
    torch.load(io.BytesIO(pickle_of(converted)), weights_only=True)


def pickle_of(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_random_states_survive_a_round_trip_through_a_file() -> None:
    states = torch.load(io.BytesIO(pickle_of(without_numpy(random_states()))), weights_only=True)
    expected_values = np.random.rand(4), torch.rand(4)
    restore_random_states(states)
    np.testing.assert_array_equal(np.random.rand(4), expected_values[0])
    assert torch.equal(torch.rand(4), expected_values[1])


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("this must not run",))


def test_loading_refuses_a_checkpoint_that_would_run_code(
    nnunet_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = build(Quick, nnunet_folders)
    path = nnunet_folders / "foreign.pth"
    torch.save({"network_weights": trainer.network.state_dict(), "init_args": Harmful()}, path)
    with pytest.raises(InputError, match="foreign.pth was not written by a trainer of this package or of"):
        trainer.load_checkpoint(str(path))
    assert "this must not run" not in capsys.readouterr().out
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


def test_loading_names_missing_and_damaged_checkpoints(nnunet_folders: Path) -> None:
    path = nnunet_folders / "checkpoint_latest.pth"
    with pytest.raises(InputError, match="there is no checkpoint .*checkpoint_latest.pth"):
        read_checkpoint(path)
    path.write_bytes(pickle_of({"a": torch.ones(1000)})[:2000])
    with pytest.raises(InputError, match="checkpoint_latest.pth is damaged"):
        read_checkpoint(path)


def test_a_float16_gpu_checkpoint_continues_on_a_cpu(nnunet_folders: Path) -> None:
    trainer = build(Quick, nnunet_folders)
    play(trainer, a_batch())
    trainer.grad_scaler, trainer.critic_grad_scaler = (torch.amp.GradScaler("cpu") for _ in range(2))
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    assert torch.load(path, weights_only=True)["critic_grad_scaler_state"]["scale"] > 1
    other = build(Quick, nnunet_folders)
    other.load_checkpoint(str(path))
    play(other, a_batch(1))
    assert other.grad_scaler is None and other.critic_grad_scaler is None
    back = nnunet_folders / "back.pth"
    other.save_checkpoint(str(back))
    trainer.load_checkpoint(str(back))  # the reverse direction: the scalers start anew
    play(trainer, a_batch(2))


def test_resuming_fills_log_keys_that_the_checkpoint_lacks(nnunet_folders: Path) -> None:
    trainer = build(Quick, nnunet_folders)
    epoch(trainer, [a_batch()])
    path = Path(trainer.output_folder) / "checkpoint_latest.pth"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["logging"]["distance_per_region"]
    torch.save(checkpoint, path)
    other = build(Quick, nnunet_folders)
    other.load_checkpoint(str(path))
    epoch(other, [a_batch(1)])
    log = other.logger.get_checkpoint()
    assert {len(values) for values in log.values()} == {2}
    before, after = log["distance_per_region"]
    assert all(map(math.isnan, before)) and len(before) == len(after) == 3 and all(map(math.isfinite, after))


def test_logged_layer_and_region_distances_are_means_of_one_table(nnunet_folders: Path) -> None:
    trainer = build(Quick, nnunet_folders)
    epoch(trainer, [a_batch(seed) for seed in range(2)])
    log = trainer.logger.get_checkpoint()
    assert np.mean(log["distance_per_layer"][0]) == pytest.approx(np.mean(log["distance_per_region"][0]), rel=1e-5)
    assert np.mean(log["distance_per_layer"][0]) == pytest.approx(float(log["train_losses"][0]), rel=1e-5)
    assert (Path(trainer.output_folder) / "progress_game.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", [AdversarialTrainer, SoftmaxTrainer])
def test_a_case_with_non_finite_values_stops_the_training_and_is_named(nnunet_folders: Path, kind: Any) -> None:
    trainer = build(kind, nnunet_folders)
    if kind is SoftmaxTrainer:
        trainer.network.set_order(trainer.region_order())
    epoch(trainer, [a_batch()])
    latest = Path(trainer.output_folder) / "checkpoint_latest.pth"
    good = latest.read_bytes()
    poisoned: dict[str, Any] = {**a_batch(1), "keys": np.array(["case_7", "case_9", "case_7", "case_9"])}
    poisoned["data"][0, 0, 3, 3] = math.nan
    message = r"the segmentor's training loss became nan in epoch 1, step 1, on a batch of cases case_7, case_9\. "
    with pytest.raises(TrainingDivergedError, match=message):
        epoch(trainer, [a_batch(), poisoned])
    assert latest.read_bytes() == good
    again = build(kind, nnunet_folders)
    again.load_checkpoint(str(latest))
    with pytest.raises(TrainingDivergedError, match="validation loss"):
        trainer.on_validation_epoch_end([{"loss": math.inf}])


def test_training_does_not_save_weights_that_diverged_in_the_last_step(nnunet_folders: Path) -> None:
    trainer = build(Quick, nnunet_folders)
    path = nnunet_folders / "checkpoint.pth"
    trainer.save_checkpoint(str(path))
    good = path.read_bytes()
    for player, module in (("critic", trainer.critic), ("segmentor", trainer.network)):
        with torch.no_grad():
            next(module.parameters()).fill_(math.nan)
        with pytest.raises(TrainingDivergedError, match=f"the {player}'s weights .* at the end of epoch 0"):
            trainer.save_checkpoint(str(path))
    assert path.read_bytes() == good


def test_an_absurd_learning_rate_stops_the_training_with_a_message(nnunet_folders: Path) -> None:
    class Absurd(AdversarialTrainer):
        initial_lr = 1e30  # batch norm and sigmoid keep 1e6 finite, although useless, for many steps

    trainer = build(Absurd, nnunet_folders)
    with pytest.raises(TrainingDivergedError, match="segmentor's .* epoch 0.*initial_lr"):
        epoch(trainer, [a_batch(seed) for seed in range(8)])
    assert not list(Path(trainer.output_folder).glob("*checkpoint*"))


@pytest.mark.parametrize("kind", [AdversarialTrainer, SeparateTrainer, SoftmaxTrainer])
def test_pretrained_weights_load_into_the_segmentor(nnunet_folders: Path, kind: Any) -> None:
    """nnU-Net's own loader skips the output layers."""
    trained = build(kind, nnunet_folders)
    with torch.no_grad():
        for parameter in trained.network.parameters():
            parameter.add_(1.0)
    path = nnunet_folders / "pretrained.pth"
    trained.save_checkpoint(str(path))
    fresh = build(kind, nnunet_folders)
    before = {name: value.clone() for name, value in fresh.network.state_dict().items()}
    load_pretrained_weights(fresh.network, str(path))
    for name, value in fresh.network.state_dict().items():
        source = before if ".seg_layers." in name else trained.network.state_dict()
        assert torch.equal(value, source[name]), name
    assert any(".seg_layers." in name for name in before)


@pytest.mark.parametrize("written", [None, "RMSprop"])
def test_resuming_refuses_another_optimiser(nnunet_folders: Path, written: str | None) -> None:
    trainer = build(Quick, nnunet_folders)
    epoch(trainer, [a_batch()])
    path = Path(trainer.output_folder) / "checkpoint_latest.pth"
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint.pop("optimizer_class") == "Adam"
    torch.save(checkpoint | ({"optimizer_class": written} if written else {}), path)
    before = [parameter.clone() for parameter in trainer.network.parameters()]
    with pytest.raises(InputError, match=f"{written or 'an earlier version'}.* Adam.*-pretrained_weights"):
        trainer.load_checkpoint(str(path))
    assert all(map(torch.equal, before, trainer.network.parameters())), "no weights were loaded"


def test_resuming_refuses_other_cases_and_other_plans(nnunet_folders: Path) -> None:
    splits = nnunet_folders / "nnUNet_preprocessed" / "Dataset001_Tiny" / "splits_final.json"
    trainer = build(Quick, nnunet_folders)
    splits.write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}]))
    epoch(trainer, [a_batch()])
    path = str(Path(trainer.output_folder) / "checkpoint_latest.pth")
    build(Quick, nnunet_folders).load_checkpoint(path)
    splits.write_text(json.dumps([{"train": ["a", "c"], "val": ["b"]}]))
    with pytest.raises(InputError, match="was trained on other cases than splits_final.json .*such as b"):
        build(Quick, nnunet_folders).load_checkpoint(path)
    splits.write_text(json.dumps([{"val": ["c"], "train": ["b", "a"]}]))  # another order is the same split
    other = build(Quick, nnunet_folders)
    other.configuration_manager.configuration["batch_size"] = 5
    with pytest.raises(InputError, match="other plans of this name: batch_size differ.*--plans-name"):
        other.load_checkpoint(path)
