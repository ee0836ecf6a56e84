"""Every device must pass these tests. `make gpu-check` runs this file on a CUDA GPU."""

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segan_nnunet.experiments.benchmark.candidates import batch_for
from segan_nnunet.training import CriticBesideTrainer, SoftmaxTrainer
from tests.small_trainers import GameTrainer, build, nnunet_architecture, parameters

ON_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="not run on a GPU: there is none here")
DEVICES = ("cpu", pytest.param("cuda", marks=ON_CUDA))
EPSILON = {None: 2.0**-10, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}  # None: float32 (TF32 on a GPU)
PRECISIONS = [
    ("cpu", None),
    ("cpu", torch.bfloat16),
    *(pytest.param("cuda", dtype, marks=ON_CUDA) for dtype in EPSILON),
]
PATCHES = {"2-D": (32, 32), "3-D": (16, 16, 16)}

pytestmark = pytest.mark.usefixtures("without_progress_png")


class SmallSoftmax(SoftmaxTrainer):
    initial_lr = 1e-3


class Beside(CriticBesideTrainer):
    fraction = 1.0


TRAINERS: dict[str, Any] = {"SegAN": GameTrainer, "softmax": SmallSoftmax, "beside": Beside}


class NotCompiled:
    def _do_i_compile(self) -> bool:
        return False


class Compiled:
    @staticmethod
    def compile_is_requested() -> bool:
        return True


def make_trainer(
    trainer: str, folder: Path, device: str, precision: torch.dtype | None, size: str, compiled: bool = False
) -> Any:
    """Build a small trainer on a device, in a precision, with its players in training mode."""
    idea = TRAINERS[trainer]
    patch = PATCHES[size]
    kind = type(idea.__name__, (Compiled if compiled else NotCompiled, idea), {})
    architecture = segmentor(len(patch)) if trainer != "beside" else nnunet_architecture(len(patch))
    built = build(
        kind,
        folder,
        before=lambda one: setattr(one, "autocast_dtype", precision),
        architecture=architecture,
        patch=patch,
        device=device,
    )
    built.network.train()
    if hasattr(built, "critic"):
        built.critic.train()
    return built


def segmentor(dimension: int) -> dict[str, Any]:
    kwargs = {
        "conv_op": f"torch.nn.modules.conv.Conv{dimension}d",
        "features_per_stage": [4, 8, 16, 32][: 6 - dimension],
    }
    return {
        "network_class_name": "segan_nnunet.networks.segmentor.Segmentor",
        "arch_kwargs": kwargs,
        "_kw_requires_import": ["conv_op"],
    }


def batches(number: int, size: str, device: str, trainer: Any) -> list[dict[str, Any]]:
    """Return batches as nnU-Net's loader gives them: on the CPU, in pinned memory for a GPU."""
    generator = torch.Generator().manual_seed(0)
    patch, prepared = PATCHES[size], []
    for _ in range(number):
        depth = torch.randint(0, 4, (4, 1, *patch), generator=generator)
        target = torch.cat([depth > region for region in range(3)], 1)
        batch = {"data": torch.randn(4, 2, *patch, generator=generator), "target": target}
        if device == "cuda":
            batch = {key: value.pin_memory() for key, value in batch.items()}
        prepared.append(batch_for(trainer, batch))
    return prepared


def reloaded(one: Any, path: Path, trainer: str, folder: Path, device: str) -> Any:
    """Return a new trainer on a device, loaded from the checkpoint that another trainer writes."""
    one.save_checkpoint(str(path))
    other = make_trainer(trainer, folder, device, None, "2-D")
    other.load_checkpoint(str(path))
    return other


def losses(trainer: Any, steps: list[dict[str, Any]]) -> list[float]:
    return [float(trainer.train_step(dict(batch))["loss"]) for batch in steps]


@pytest.mark.parametrize("size", PATCHES)
@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize(("device", "precision"), PRECISIONS)
def test_a_step_equals_the_cpu_step_in_float32(
    nnunet_folders: Path, device: str, precision: torch.dtype | None, trainer: str, size: str
) -> None:
    """The first loss agrees within a few rounding errors. After the step both players have moved."""
    reference = make_trainer(trainer, nnunet_folders, "cpu", None, size)
    tested = make_trainer(trainer, nnunet_folders, device, precision, size)
    tested.network.load_state_dict(reference.network.state_dict())
    if hasattr(tested, "critic"):
        tested.critic.load_state_dict(reference.critic.state_dict())
    (batch,) = batches(1, size, device, tested)
    players = [getattr(tested, name) for name in ("network", "critic") if hasattr(tested, name)]
    before = [[p.detach().clone() for p in player.parameters()] for player in players]
    expected, measured = losses(reference, [batch]), losses(tested, [batch])
    assert measured == pytest.approx(expected, rel=32 * EPSILON[precision])
    if precision is torch.float16:
        losses(tested, [batch] * 15)  # gradient scalers skip steps until their scale fits
    for player, old in zip(players, before, strict=True):
        moved = [not torch.equal(a, b) for a, b in zip(old, player.parameters(), strict=True)]
        assert sum(moved) > len(moved) / 2
        assert all(parameter.isfinite().all() for parameter in player.parameters())
    if precision is torch.float16 and trainer == "SegAN":
        assert tested.grad_scaler.get_scale() > 1 and tested.critic_grad_scaler.get_scale() > 1


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("device", DEVICES)
def test_a_checkpoint_moves_from_a_device_to_the_cpu_and_back(
    nnunet_folders: Path, tmp_path: Path, device: str, trainer: str
) -> None:
    first = make_trainer(trainer, nnunet_folders, device, None, "2-D")
    losses(first, batches(2, "2-D", device, first))
    on_cpu = reloaded(first, tmp_path / "there.pth", trainer, nnunet_folders, "cpu")
    again = reloaded(on_cpu, tmp_path / "back.pth", trainer, nnunet_folders, device)
    for player in ("network", "critic"):
        if hasattr(first, player):
            a, b, c = (parameters(getattr(one, player)) for one in (first, on_cpu, again))
            assert all(torch.equal(x.cpu(), y) and torch.equal(x, z) for x, y, z in zip(a, b, c, strict=True))
    steps = batches(3, "2-D", device, first)[2:]
    assert losses(first, steps) == pytest.approx(losses(again, steps), rel=1e-3)


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("device", DEVICES)
def test_a_resumed_training_equals_the_uninterrupted_one(
    nnunet_folders: Path, tmp_path: Path, device: str, trainer: str
) -> None:
    """The losses agree bit for bit on a CPU. On a GPU, where the order of sums varies, they agree to a thousandth."""
    whole = make_trainer(trainer, nnunet_folders, device, None, "2-D")
    steps = batches(6, "2-D", device, whole)
    losses(whole, steps[:3])
    resumed = reloaded(whole, tmp_path / "middle.pth", trainer, nnunet_folders, device)
    expected = losses(whole, steps[3:])
    assert losses(resumed, steps[3:]) == (expected if device == "cpu" else pytest.approx(expected, rel=1e-3))


def memory_in_use(device: str) -> int:
    """Return the bytes of tensors on a GPU, and the number of living tensors on a CPU, which counts no bytes."""
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()
    return sum(isinstance(one, Tensor) for one in gc.get_objects())


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("device", DEVICES)
def test_memory_stays_constant(nnunet_folders: Path, device: str, trainer: str) -> None:
    """A GPU's allocator hides the remains of one step, so it makes 195 steps. On a CPU the test counts tensors."""
    one = make_trainer(trainer, nnunet_folders, device, None, "2-D")
    (batch,) = batches(1, "2-D", device, one)
    losses(one, [batch] * 5)
    before = memory_in_use(device)
    losses(one, [batch] * (195 if device == "cuda" else 20))
    assert memory_in_use(device) <= before


@ON_CUDA
def test_a_training_step_never_waits_for_the_gpu(nnunet_folders: Path) -> None:
    one = make_trainer("SegAN", nnunet_folders, "cuda", torch.bfloat16, "2-D")
    first, second = batches(2, "2-D", "cuda", one)
    one.train_step(first)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        one.train_step(second)
        with pytest.raises(RuntimeError):
            torch.ones(1, device="cuda").item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@ON_CUDA
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_compiled_step_equals_the_eager_step(nnunet_folders: Path, trainer: str) -> None:
    eager = make_trainer(trainer, nnunet_folders, "cuda", None, "2-D")
    compiled = make_trainer(trainer, nnunet_folders, "cuda", None, "2-D", compiled=True)
    assert hasattr(compiled.network, "_orig_mod")
    compiled.bare(compiled.network).load_state_dict(eager.network.state_dict())
    if hasattr(eager, "critic"):
        compiled.critic.load_state_dict(eager.critic.state_dict())
    steps = batches(3, "2-D", "cuda", eager)
    assert losses(compiled, steps) == pytest.approx(losses(eager, steps), rel=0.02)
