"""DDP on the CPU: two processes play the same game as one process with the joint batch."""

import faulthandler
import os
import socket
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
import torch
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet
from torch import distributed as dist
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from segan_nnunet.catalogues import load_trainers
from segan_nnunet.objective import Critics
from segan_nnunet.training import AdversarialTrainer, CriticBesideTrainer, SeparateTrainer
from tests.small_trainers import a_batch, build, parameters

ROUNDS = 5
WORLD = 2


def instance_norm(module: nn.Module) -> None:
    """Replace batch norm by instance norm. torch has synchronised batch norm only on GPUs.

    Instance norm uses one sample at a time, so two halves of a batch give the same result as the whole batch.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.InstanceNorm2d(child.num_features, affine=True))
        else:
            instance_norm(child)


class Samplewise:
    """Mixin in front of a trainer: both players use instance norm."""

    def build_critic(self) -> Critics:
        critic = super().build_critic()  # type: ignore[misc]  # of the trainer behind
        instance_norm(critic)
        return critic

    def configure_optimizers(self) -> Any:
        instance_norm(self.network)  # type: ignore[attr-defined]  # the trainer's; it is not yet distributed here
        return super().configure_optimizers()  # type: ignore[misc]  # of the trainer behind


class Game(Samplewise, AdversarialTrainer):
    # Adam turns even rounding errors into full steps: biases before instance norm have a true gradient of 0
    optimizer_settings: ClassVar[dict[str, Any]] = {**AdversarialTrainer.optimizer_settings, "eps": 1e-4}


class MaskedImageAlone(Samplewise, AdversarialTrainer):
    critic_layers = (0,)
    optimizer_settings = Game.optimizer_settings


SegANDiceTrainer = load_trainers().SegANDiceTrainer


class Released(Samplewise, SegANDiceTrainer):  # type: ignore[misc, valid-type]  # the catalogue is loaded from its file
    optimizer_settings: ClassVar[dict[str, Any]] = {**SegANDiceTrainer.optimizer_settings, "eps": 1e-4}


class Separate(Samplewise, SeparateTrainer):
    optimizer_settings = Game.optimizer_settings


class Beside(Samplewise, CriticBesideTrainer):
    """nnU-Net's own trainer with critics beside its loss. λ is of the joint batch."""

    enable_deep_supervision = False
    optimizer_settings = Game.optimizer_settings


TRAINERS = (Game, MaskedImageAlone, Released, Separate, Beside)


def play(trainer: Any, share: slice) -> dict[str, Any]:
    """Play some rounds, each rank on its share of the batch; return the weights of both players and the epoch's log."""
    trainer.autocast_dtype = None  # float32
    trainer.on_train_epoch_start()
    outputs = []
    for seed in range(ROUNDS):
        batch = {key: value[share] for key, value in a_batch(seed).items()}
        outputs.append(trainer.train_step(batch))
    trainer.on_train_epoch_end(outputs)
    log = trainer.logger.get_checkpoint()
    return {
        "players": [parameters(trainer.bare(player)) for player in (trainer.network, trainer.critic)],
        "log": [float(log["train_losses"][0]), log["critic_losses"][0], *log["distance_per_layer"][0]],
    }


def one_rank(rank: int, folder: str, port: int) -> None:
    """Run a DDP process on the CPU. nnU-Net assumes a GPU, so the trainer's device is patched.

    One process group serves all trainers. With one group per trainer, started through a file, a process once aborted.
    """
    faulthandler.enable()
    for part in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{part}"] = f"{folder}/nnUNet_{part}"
    torch.set_num_threads(1)
    mock.patch.object(nnunet, "DDP", lambda module, device_ids: DistributedDataParallel(module)).start()
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD)

    def on_cpu(trainer: Any) -> None:
        trainer.device, trainer.grad_scaler = torch.device("cpu"), None

    each = 4 // WORLD
    for kind in TRAINERS:
        trainer = build(kind, Path(folder), before=on_cpu)
        assert trainer.is_ddp and trainer.local_rank == rank
        torch.save(play(trainer, slice(rank * each, (rank + 1) * each)), f"{folder}/{kind.__name__}_{rank}.pth")
    dist.barrier()
    dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_equal_one_process_with_the_joint_batch(nnunet_folders: Path) -> None:
    multiprocessing.spawn(one_rank, args=(str(nnunet_folders), free_port()), nprocs=WORLD)
    for kind in TRAINERS:
        alone = build(kind, nnunet_folders)
        start = [parameters(player) for player in (alone.network, alone.critic)]
        expected = play(alone, slice(None))
        ranks = [torch.load(nnunet_folders / f"{kind.__name__}_{rank}.pth") for rank in range(WORLD)]
        for player in range(2):
            weights = [rank["players"][player] for rank in ranks]
            for first, second, joint in zip(*weights, expected["players"][player], strict=True):
                assert torch.equal(first, second), "both ranks hold the same parameters"
                torch.testing.assert_close(first, joint, atol=1e-5, rtol=0)
        moved = max((a - b).abs().max() for a, b in zip(start[0], expected["players"][0], strict=True))
        assert moved > 1e-4, "the tolerance is small compared with the change of the weights"
        for rank in ranks:
            assert rank["log"] == pytest.approx(expected["log"], rel=1e-3), "the log covers all ranks"
