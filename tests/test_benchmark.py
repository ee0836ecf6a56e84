import json
import os
import re
from functools import partial
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from segan_nnunet.errors import InputError
from segan_nnunet.experiments.benchmark import Workload, benchmark, inference, pipeline, step_table
from segan_nnunet.experiments.benchmark import steps as steps_module
from segan_nnunet.experiments.benchmark.candidates import AuthorsLoop, build
from segan_nnunet.experiments.benchmark.pipeline import Pipeline
from segan_nnunet.experiments.benchmark.steps import Measured, operations
from segan_nnunet.experiments.benchmark.tables import in_seconds, pipeline_lines
from segan_nnunet.experiments.device_check import check_device
from segan_nnunet.objective import layer_distances
from segan_nnunet.training import AdversarialTrainer, SoftmaxTrainer

# damped, so that rounding errors, such as gradients of biases before batch norm, cause no full steps
DAMPED = {**AdversarialTrainer.optimizer_settings, "eps": 1e-6}
TINY = Workload(patch=(32, 32), batch=2, width=2, channels=2, regions=3)


class Ours(AdversarialTrainer):
    """Our step with the authors' settings: float32, every critic parameter clamped, Eq. 3 unchanged."""

    critic_batch_norm_clamp = AdversarialTrainer.critic_clamp
    distances = staticmethod(layer_distances)
    initial_lr = critic_initial_lr = 1e-3
    optimizer_settings: ClassVar[dict[str, Any]] = DAMPED

    def initialize(self) -> None:
        super().initialize()
        self.autocast_dtype = None


class Theirs(AuthorsLoop):
    initial_lr = critic_initial_lr = 1e-3
    optimizer_settings: ClassVar[dict[str, Any]] = DAMPED


def test_the_authors_loop_plays_the_same_game_as_our_step() -> None:
    players: list[dict[str, Any]] = []
    for trainer in (Ours, Theirs):
        torch.manual_seed(0)
        game = build(trainer, TINY)
        before = game.network.state_dict()["encoder.stages.0.0.weight"].clone()
        for _ in range(3):
            game.train_step(TINY.make_batch())
        players.append(dict(game.network.named_parameters()) | dict(game.critic.named_parameters()))
        assert (players[-1]["encoder.stages.0.0.weight"] - before).abs().max() > 1e-3
    # the gradient of a bias before batch norm is a rounding error around 0, and RMSProp turns it into full steps
    without_effect = re.compile(r"stages\.[1-9]\.0\.bias|decoder\.stages\.0\.0\.bias")
    compared = [name for name in players[0] if not without_effect.search(name)]
    assert len(compared) > 30
    for name in compared:
        parameter = players[0][name]
        torch.testing.assert_close(parameter, players[1][name], atol=1e-5, rtol=1e-4)


def convolution_flops(module: nn.Module, image: torch.Tensor) -> list[int]:
    """Return two operations per multiplication of each convolution's forward pass, in order (textbook formula)."""
    flops = []

    def count(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        flops.append(2 * output.numel() * layer.in_channels * prod(layer.kernel_size))

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    module(image)
    for hook in hooks:
        hook.remove()
    return flops


def test_counted_operations_equal_those_of_the_design() -> None:
    """A backward pass costs the forward operations once for the weights and once for the input, if both are needed.

    The segmentor needs 3 S, without the gradient of the image. A critic needs twice that in its own phase. In the
    segmentor phase it needs forward and input gradient for the prediction, and only the forward pass for the truth.
    """
    ours = build(Ours, TINY)
    image = TINY.make_batch()["data"]
    segmentor = convolution_flops(ours.network, image)
    critic = convolution_flops(ours.critic.critics[0].get_submodule("critic"), image)
    of_the_segmentor = 3 * sum(segmentor) - segmentor[0]
    of_a_critic = 2 * (3 * sum(critic) - critic[0]) + 2 * sum(critic) + sum(critic)
    assert operations(build(SoftmaxTrainer, TINY), TINY.make_batch()) == of_the_segmentor
    assert operations(ours, TINY.make_batch()) == of_the_segmentor + 3 * of_a_critic
    # nothing is frozen and the segmentor runs twice: all passes are complete, the last one with the input gradient
    authors = 3 * sum(segmentor) - segmentor[0] + sum(segmentor) + 3 * (4 * 3 * sum(critic) - 3 * critic[0])
    assert operations(build(AuthorsLoop, TINY), TINY.make_batch()) == authors


def test_the_benchmark_runs_in_3d_and_keeps_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("segan_nnunet.experiments.benchmark.pipeline")  # the package has a function with this name
    monkeypatch.setattr(module, "CASE_SHAPE", (32, 32, 32))
    monkeypatch.setattr(steps_module, "attainable_rate", partial(steps_module.attainable_rate, repetitions=1))
    workload = Workload(patch=(16, 16, 16), batch=2, width=2, channels=2, regions=2)
    before = dict(os.environ)
    rows = benchmark(workload, steps=2, candidates=["authors' loop", "SegANTrainer"])
    assert [len(row.seconds) for row in rows] == [2, 2] and all(row.flop > 0 and row.rate > 0 for row in rows)
    table = step_table(workload, rows)
    assert "| authors' loop |" in table and f"| {in_seconds(rows[0].median)} |" in table and "2 regions" in table
    loaders = pipeline(workload, processes=1, seconds=0.1)
    assert len(loaders) == 2 and all(loader.images_per_second > 0 for loader in loaders)
    assert [len(one.seconds) for one in inference(workload, 1)] == [1, 1, 1]
    assert dict(os.environ) == before


def test_the_pipeline_table_names_the_slower_of_loader_and_step() -> None:
    """4 processes load 100 images per second. A step of 0.08 s for 16 images uses 200 per second: 8 processes."""
    workload = Workload(batch=16)
    rows = [Measured(name, [time], 1, 1, None, 1) for name, time in (("slow", 1.0), ("fast", 0.08))]
    lines = pipeline_lines(workload, [Pipeline("crops", 4, 100.0), Pipeline("none", 4, 800.0)], rows)
    assert "crops: the loader is the limit; the fastest of these steps (fast) is kept busy by 8 processes" in lines
    assert "none: the step is the limit; the fastest of these steps (fast) is kept busy by 1 process (" in lines
    assert "of the process" not in step_table(workload, rows), "the table of a GPU has only the column of its allocator"


def test_the_gpu_check_without_a_gpu_prints_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert check_device(tmp_path / "check") is None
    assert "This machine has no CUDA GPU, so no check was run." in capsys.readouterr().out
    assert not (tmp_path / "check").exists()


def test_a_failed_part_keeps_the_results_of_the_other_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("segan_nnunet.experiments.device_check")

    def fails(size: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(module, "performance", fails)
    monkeypatch.setattr(module, "trainings", lambda *_: ("| a table |", {"seconds": {"SegAN": 1.0}}))
    with pytest.raises(InputError, match="failed: performance"):
        check_device(tmp_path, "cpu", small=True)
    assert "| a table |" in (tmp_path / "trainings.md").read_text()
    assert json.loads((tmp_path / "trainings.json").read_text())["seconds"] == {"SegAN": 1.0}
    assert not (tmp_path / "performance.md").exists()


def test_the_gpu_check_refuses_a_folder_with_earlier_trainings(tmp_path: Path) -> None:
    (tmp_path / "simulated").mkdir()
    with pytest.raises(InputError, match="holds simulated, which this command did not write"):
        check_device(tmp_path, "cpu", small=True)
