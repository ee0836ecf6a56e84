"""`-pretrained_weights` loads weights between all trainers and to other labels, and refuses unsuitable files."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.nnUNetTrainer.variants.network_architecture.nnUNetTrainerNoDeepSupervision import (
    nnUNetTrainerNoDeepSupervision,
)
from torch import Tensor

from segan_nnunet.errors import InputError
from segan_nnunet.training import AdversarialTrainer, CriticBesideTrainer, SeparateTrainer, SoftmaxTrainer
from tests.small_trainers import LABELS, build

ONE_LABEL = {"background": 0, "tumour": 1}
TWO_REGIONS = {"background": 0, "whole": [1, 2], "core": 2}
FOUR_REGIONS = LABELS | {"necrosis": [1]}
OURS = (AdversarialTrainer, SoftmaxTrainer, SeparateTrainer)


class Beside(CriticBesideTrainer):
    enable_deep_supervision = False  # the segmentor of Figure 1 lacks it


class Stock(nnUNetTrainerNoDeepSupervision):
    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        pass


def trained(kind: type[Any], folders: Path, labels: dict[str, Any] = LABELS) -> Path:
    """Return the checkpoint of a trainer."""
    trainer = build(kind, folders, labels)
    path = folders / f"{kind.__name__}.pth"
    trainer.save_checkpoint(str(path))
    return path


def load_pretrained(path: Path, trainer: Any) -> Any:
    """Load weights as `nnUNetv2_train -pretrained_weights` does."""
    maybe_load_checkpoint(trainer, False, False, str(path))
    return trainer


def planned(trainer: Any) -> list[dict[str, Tensor]]:
    """Return the weights of the networks that nnU-Net planned, without the output layers."""
    network = trainer.network
    networks = network.planned_networks() if hasattr(network, "planned_networks") else [network]
    return [{k: v.clone() for k, v in one.state_dict().items() if ".seg_layers." not in k} for one in networks]


def output_layers(trainer: Any) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in trainer.network.state_dict().items() if ".seg_layers." in k}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("source", [*OURS, Beside, Stock])
def test_all_layers_except_the_output_transfer_from_any_trainer_to_any_of_ours(
    nnunet_folders: Path, source: Any
) -> None:
    teacher = build(source, nnunet_folders)
    path = nnunet_folders / "teacher.pth"
    teacher.save_checkpoint(str(path))
    taught = planned(teacher)
    for target in (*OURS, Beside):
        regions_nest = target is SoftmaxTrainer
        for labels in (ONE_LABEL, TWO_REGIONS if regions_nest else FOUR_REGIONS):
            student = build(target, nnunet_folders, labels, seed=1)
            before = output_layers(student)
            load_pretrained(path, student)
            for number, weights in enumerate(planned(student)):
                assert same(weights, taught[number if number < len(taught) else 0]), (target, labels, number)
            assert same(output_layers(student), before), "the output layers are initialised anew"


def test_the_softmax_baseline_keeps_the_nesting_of_its_own_labels(nnunet_folders: Path) -> None:
    path = trained(SoftmaxTrainer, nnunet_folders, TWO_REGIONS)
    inside_out = {"background": 0, "enhancing tumor": 4, "whole tumor": [1, 2, 3, 4], "tumor core": [1, 3, 4]}
    student = load_pretrained(path, build(SoftmaxTrainer, nnunet_folders, inside_out))
    student.network.set_order(student.region_order())
    assert student.network.nesting_rank.tolist() == [2, 0, 1]


def test_the_nnunet_trainer_starts_from_the_softmax_baseline(nnunet_folders: Path) -> None:
    teacher = build(SoftmaxTrainer, nnunet_folders)
    path = nnunet_folders / "teacher.pth"
    teacher.save_checkpoint(str(path))
    student = build(Stock, nnunet_folders, ONE_LABEL)
    load_pretrained_weights(student.network, str(path))
    assert same(planned(student)[0], planned(teacher)[0])


def test_weights_load_from_checkpoints_of_earlier_versions_with_wrapper_keys(nnunet_folders: Path) -> None:
    teacher = build(SoftmaxTrainer, nnunet_folders)
    now = teacher.network.state_dict()
    earlier = {key if key == "nesting_rank" else f"network.{key}": value for key, value in now.items()}
    assert not any(key.startswith("network.") for key in now)
    student = build(SoftmaxTrainer, nnunet_folders, seed=1)
    student.network.load_state_dict(earlier)
    assert same(student.network.state_dict(), now)
    path = nnunet_folders / "earlier.pth"
    torch.save({"network_weights": earlier}, path)
    assert same(
        planned(load_pretrained(path, build(AdversarialTrainer, nnunet_folders, seed=2)))[0], planned(teacher)[0]
    )


def test_pretrained_weights_of_other_channels_or_networks_are_refused_before_the_training(nnunet_folders: Path) -> None:
    path = trained(SoftmaxTrainer, nnunet_folders)
    for kind in OURS:
        one_channel = build(
            kind, nnunet_folders, before=lambda trainer: trainer.dataset_json.update(channel_names={"0": "T2"})
        )
        before = planned(one_channel)
        with pytest.raises(InputError, match="SoftmaxTrainer.pth was trained on images of 2 channels.* has 1"):
            load_pretrained(path, one_channel)
        assert all(map(same, planned(one_channel), before)), "no weights were loaded"
    wide = {
        "network_class_name": "segan_nnunet.networks.segmentor.Segmentor",
        "arch_kwargs": {"conv_op": "torch.nn.modules.conv.Conv2d", "features_per_stage": [4, 8, 16, 48]},
        "_kw_requires_import": ["conv_op"],
    }
    with pytest.raises(
        InputError, match=r"is of another network: its encoder\S+ has the shape \(32, 16, 4, 4\), not .*48, 16"
    ):
        load_pretrained(path, build(AdversarialTrainer, nnunet_folders, architecture=wide))


def test_pretrained_weights_without_network_weights_are_refused(nnunet_folders: Path) -> None:
    path = nnunet_folders / "other.pth"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(InputError, match=r"other.pth is no checkpoint of nnU-Net: it has no 'network_weights'"):
        load_pretrained(path, build(AdversarialTrainer, nnunet_folders))


def test_an_input_error_prints_one_message_and_other_errors_keep_their_traceback(
    nnunet_folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    for _ in range(2):
        trainer = build(AdversarialTrainer, nnunet_folders)
    for error in (InputError("a is b"), RuntimeError("c is d")):
        sys.excepthook(type(error), error, None)
    assert trainer and capsys.readouterr().err == "segan_nnunet: InputError: a is b\nRuntimeError: c is d\n"
