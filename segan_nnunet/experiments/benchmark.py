"""`benchmark`: what a training step costs, beside its floor, the authors' loop, and nnU-Net's own step.

Everything is measured in one run, the candidates taking turns, so that a machine's drift falls on all of them alike.
"""

import gc
import io
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from segan_nnunet.experiments.plans import segan_configuration
from segan_nnunet.objective import clamp_weights, layer_distances, mask_image, rescale_intensities
from segan_nnunet.training import AdversarialTrainer, SoftmaxTrainer

NAME = "Dataset001_Benchmark"


@dataclass(frozen=True)
class Workload:
    """What every candidate is given: images of noise, nested regions.

    Attributes:
        patch: voxels per axis, two or three.
        batch: samples per step.
        width: feature maps of Figure 1's first block.
        channels, regions: of the images, and of the truth.
        device: cpu or cuda.
    """

    patch: tuple[int, ...] = (160, 160)
    batch: int = 8
    width: int = 64
    channels: int = 3
    regions: int = 3
    device: str = "cpu"

    def __str__(self) -> str:
        """In words, for the table."""
        patch = "x".join(map(str, self.patch))
        return f"{patch}, batch {self.batch}, width {self.width}, {self.channels} channels, {self.regions} regions"


@dataclass(frozen=True)
class Measured:
    """One candidate's step.

    Attributes:
        name: of the candidate.
        seconds: of every step that was timed.
        flop: floating-point operations of one step, forward and backward, of convolutions and matrix products.
        peak_mib: memory that a step needs beyond what the process held before it.
        rate: operations per second that this device attains in the candidate's precision.
    """

    name: str
    seconds: list[float]
    flop: int
    peak_mib: float
    rate: float

    @property
    def median(self) -> float:
        """Median time of a step, in s."""
        return statistics.median(self.seconds)

    @property
    def floor(self) -> float:
        """Time that the operations alone would take at the device's attainable rate, in s."""
        return self.flop / self.rate


class AuthorsLoop(AdversarialTrainer):
    """A plain transcription of the authors' released loop, with a critic per region as in the paper.

    The segmentor runs twice a step, nothing is frozen, everything is float32, every parameter of a critic is clamped.
    """

    def train_step(self, batch: dict) -> dict[str, Any]:
        """One round, as they play it."""
        image, target = batch["data"].to(self.device), batch["target"].to(self.device).float()
        seen = rescale_intensities(image)
        self.critic.zero_grad()
        predicted = torch.sigmoid(self.network(image)).detach()
        (-self.distance(seen, predicted, target)).backward()
        self.critic_optimizer.step()
        clamp_weights(self.critic, self.critic_clamp, batch_norm=True)
        self.network.zero_grad()
        loss = self.distance(seen, torch.sigmoid(self.network(image)), target)
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def distance(self, seen: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Eq. 2, over all critics."""
        distances = []
        for region, part in enumerate(self.critic.critics):
            critic = part.get_submodule("critic")
            maps = (mask_image(seen, masks[:, region : region + 1]) for masks in (predicted, truth))
            distances.append(layer_distances(*(critic(masked) for masked in maps)))
        return torch.stack(distances).mean()


CANDIDATES: dict[str, type[nnUNetTrainer]] = {
    "authors' loop": AuthorsLoop,
    "SegANTrainer": AdversarialTrainer,
    "UNetSoftmaxTrainer": SoftmaxTrainer,
    "nnUNetTrainer, nnU-Net's network": nnUNetTrainer,
}


def benchmark(workload: Workload, steps: int = 7, candidates: Sequence[str] = tuple(CANDIDATES)) -> list[Measured]:
    """Time the steps of the candidates in turns, count their operations, and measure their memory.

    Args:
        workload: what they are given.
        steps: timed steps of each, after one that warms up.
        candidates: names in CANDIDATES.
    """
    batch = make_batch(workload)
    trainers = {name: build(CANDIDATES[name], workload) for name in candidates}
    flop = {name: operations(trainer, batch) for name, trainer in trainers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(steps):
        for name, trainer in trainers.items():
            seconds[name].append(timed(trainer, batch_for(trainer, batch), workload.device))
    rates = {dtype: attainable_rate(workload, dtype) for dtype in {precision(trainer) for trainer in trainers.values()}}
    precisions = {name: precision(trainer) for name, trainer in trainers.items()}
    del trainers
    gc.collect()
    return [
        Measured(name, seconds[name], flop[name], peak_memory(name, workload), rates[precisions[name]])
        for name in candidates
    ]


def operations(trainer: Any, batch: dict[str, Tensor]) -> int:
    """Floating-point operations of one step, by torch's counter: of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        trainer.train_step(batch_for(trainer, batch))
    return counter.get_total_flops()


def make_batch(workload: Workload) -> dict[str, Tensor]:
    """Images of noise and nested masks, as nnU-Net's loader gives them."""
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(workload.batch, workload.channels, *workload.patch, generator=generator)
    depth = torch.randint(0, workload.regions + 1, (workload.batch, 1, *workload.patch), generator=generator)
    return {"data": data, "target": torch.cat([depth > region for region in range(workload.regions)], 1)}


def batch_for(trainer: Any, batch: dict[str, Tensor]) -> dict[str, Any]:
    """The batch as a trainer's loader gives it: with deep supervision the truth comes in several sizes."""
    if not trainer.enable_deep_supervision:
        return dict(batch)
    truth = batch["target"].float()
    scales = trainer._get_deep_supervision_scales()
    return {**batch, "target": [F.interpolate(truth, scale_factor=tuple(scale)) for scale in scales]}


def build(trainer: type[nnUNetTrainer], workload: Workload) -> Any:
    """A trainer, ready to step, on plans made for the workload; nnU-Net's own gets the network nnU-Net plans."""
    own = trainer is nnUNetTrainer
    planned = {"data_identifier": "none", "patch_size": list(workload.patch), "batch_size": workload.batch}
    if own:
        configuration = {**planned, "architecture": nnunet_architecture(workload.patch), "batch_dice": True}
    else:
        configuration = segan_configuration(planned, workload.width, workload.batch, workload.patch)
    plans = {
        "dataset_name": NAME,
        "plans_name": "benchmark",
        "configurations": {"benchmark": configuration},
        "continue_training": False,
    }
    values = list(range(1, workload.regions + 1))
    dataset = {
        "channel_names": {str(channel): f"channel {channel}" for channel in range(workload.channels)},
        "labels": {"background": 0, **{f"region {value}": values[value - 1 :] for value in values}},
        "regions_class_order": values,
        "file_ending": ".nii.gz",
    }
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        for part in ("raw", "preprocessed", "results"):
            os.environ[f"nnUNet_{part}"] = folder
        (Path(folder) / NAME / "none").mkdir(parents=True)
        (Path(folder) / NAME / "none" / "case.b2nd").touch()  # nnU-Net tells the format of its data from a file's name
        made: Any = trainer(plans, "benchmark", 0, json.loads(json.dumps(dataset)), torch.device(workload.device))
        made.initialize()
        made.log_file = os.devnull
        made.network.train()
        if isinstance(made, AdversarialTrainer):
            made.critic.train()
    return made


def nnunet_architecture(patch: Sequence[int]) -> dict[str, Any]:
    """What nnU-Net's planner chooses for isotropic voxels: halve while 4 voxels are left, double the features."""
    dimension = len(patch)
    halvings = 0
    while all(size % 2 ** (halvings + 1) == 0 and size / 2 ** (halvings + 1) >= 4 for size in patch):
        halvings += 1
    stages = halvings + 1
    most = 512 if dimension == 2 else 320
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": [min(32 * 2**stage, most) for stage in range(stages)],
            "conv_op": f"torch.nn.modules.conv.Conv{dimension}d",
            "kernel_sizes": [[3] * dimension] * stages,
            "strides": [[1] * dimension] + [[2] * dimension] * halvings,
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * halvings,
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimension}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def precision(trainer: Any) -> torch.dtype:
    """The precision in which a trainer's convolutions run."""
    if isinstance(trainer, AuthorsLoop):
        return torch.float32
    if isinstance(trainer, (AdversarialTrainer, SoftmaxTrainer)):
        return trainer.autocast_dtype or torch.float32
    return torch.float16 if trainer.device.type == "cuda" else torch.float32


def timed(trainer: Any, batch: dict[str, Tensor], device: str) -> float:
    """Time of one step, in s."""
    wait(device)
    started = time.perf_counter()
    trainer.train_step(batch)
    wait(device)
    return time.perf_counter() - started


def wait(device: str) -> None:
    """Let a GPU finish what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def attainable_rate(workload: Workload, dtype: torch.dtype, repetitions: int = 7) -> float:
    """Operations per second of a large convolution, forward and backward, in a precision: the best of some."""
    dimension = len(workload.patch)
    convolution = (nn.Conv2d if dimension == 2 else nn.Conv3d)(256, 256, 3, padding=1).to(workload.device, dtype)
    side = 48 if dimension == 2 else 16
    image = torch.randn(4, 256, *[side] * dimension, device=workload.device, dtype=dtype, requires_grad=True)
    best, flop = float("inf"), 0
    for _ in range(repetitions):
        with FlopCounterMode(display=False) as counter:
            convolution(image).sum().backward()
        flop = counter.get_total_flops()
        wait(workload.device)
        started = time.perf_counter()
        convolution(image).sum().backward()
        wait(workload.device)
        best = min(best, time.perf_counter() - started)
    return flop / best


def peak_memory(name: str, workload: Workload) -> float:
    """Memory of a second step beyond what the process held before the first, in MiB; in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(step_memory, (name, workload))


def step_memory(name: str, workload: Workload) -> float:
    """Measure this process, to which a small step first brings the libraries' own memory."""
    small = replace(workload, batch=2, width=4)
    warm_up = build(CANDIDATES[name], small)
    warm_up.train_step(batch_for(warm_up, make_batch(small)))
    batch = make_batch(workload)
    trainer = build(CANDIDATES[name], workload)
    if workload.device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    else:
        before = most_memory()
    for _ in range(2):
        trainer.train_step(batch_for(trainer, batch))
    if workload.device == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = most_memory()
    return (peak - before) / 2**20


def most_memory() -> int:
    """The most memory that this process has held, in bytes.

    From /proc where there is one: getrusage also counts what the parent held before it started this process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def markdown(workload: Workload, rows: Sequence[Measured]) -> str:
    """The table: times, operations, floors and memory, and each row's ratio to the first."""
    lines = [
        f"{workload}, {workload.device}",
        "",
        "| step | s, median | fastest–slowest | times faster than the first | Gflop | floor, s | of the floor's rate "
        "| peak memory, MiB |",
        "| --- |" + " ---: |" * 7,
    ]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.median:.3f} | {min(row.seconds):.3f}–{max(row.seconds):.3f} "
            f"| {rows[0].median / row.median:.2f} | {row.flop / 1e9:.0f} | {row.floor:.3f} "
            f"| {row.floor / row.median:.0%} | {row.peak_mib:.0f} |"
        )
    rates = ", ".join(sorted({f"{row.rate / 1e9:.0f} Gflop/s" for row in rows}))
    steps = len(rows[0].seconds)
    lines += ["", f"Medians of {steps} steps, the candidates taking turns. Attainable rates, by precision: {rates}."]
    return "\n".join(lines) + "\n"
