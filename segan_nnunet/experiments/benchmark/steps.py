"""Measure time, operations and memory of training steps."""

import gc
import multiprocessing
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from segan_nnunet.experiments.benchmark.candidates import CANDIDATES, VARIANTS, batch_for, build, precision
from segan_nnunet.experiments.benchmark.timing import Timed, seconds_of
from segan_nnunet.experiments.benchmark.workload import Workload

WARM_UP = 3  # steps: torch.compile compiles in the first two, and cuDNN chooses its fastest algorithms


@dataclass(frozen=True)
class Measured(Timed):
    """The measured cost of one candidate's step.

    Attributes:
        flop: floating-point operations of the convolutions and matrix products in one step, forward and backward.
        tensor_mib: peak memory of all tensors during a step: both players, their optimisers' states, the batch and the
            step's own allocations. It is the same in every run. On a GPU it is the allocator's peak.
        process_mib: peak growth of the process, including the libraries' buffers. It varies between runs. None on a
            GPU.
        rate: operations per second that this device attains in the candidate's precision.
    """

    flop: int
    tensor_mib: float
    process_mib: float | None
    rate: float

    @property
    def floor(self) -> float:
        """Return the time of the operations alone at the device's attainable rate, in s."""
        return self.flop / self.rate


@dataclass(frozen=True)
class Ready:
    """A candidate after its warm-up.

    Attributes:
        trainer: the initialized trainer.
        batch: a batch in the form that its loader gives.
        flop: floating-point operations of one step.
        held: GPU memory in bytes that the trainer holds between two steps; 0 on a CPU.
    """

    trainer: Any
    batch: dict[str, Any]
    flop: int
    held: int


def benchmark(workload: Workload, steps: int = 7, candidates: Sequence[str] = tuple(CANDIDATES)) -> list[Measured]:
    """Time the steps of the candidates in turns, count their operations, and measure their memory.

    Args:
        workload: the data and sizes for all candidates.
        steps: timed steps per candidate, after the warm-up steps.
        candidates: names in CANDIDATES or VARIANTS.
    """
    if workload.device == "cuda":
        torch.backends.cudnn.benchmark = True  # as nnUNetv2_train sets it
    batch = workload.make_batch()
    ready = {name: prepare(name, workload, batch) for name in candidates}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(steps):
        for name, one in ready.items():
            seconds[name].append(step_seconds(one.trainer, one.batch))
    precisions = {name: precision(one.trainer) for name, one in ready.items()}
    rates = {dtype: attainable_rate(workload, dtype) for dtype in set(precisions.values())}
    flop = {name: one.flop for name, one in ready.items()}
    tensors = {name: tensor_memory(one.trainer, one.batch, one.held) for name, one in ready.items()}
    del ready
    gc.collect()
    return [
        Measured(
            name,
            seconds[name],
            flop[name],
            tensors[name],
            None if workload.device == "cuda" else process_memory(name, workload),
            rates[precisions[name]],
        )
        for name in candidates
    ]


def prepare(name: str, workload: Workload, batch: dict[str, Tensor]) -> Ready:
    """Build a candidate, count its operations, and run warm-up steps, in which it compiles and chooses algorithms."""
    before = allocated(workload.device)
    trainer = build({**CANDIDATES, **VARIANTS}[name], workload)
    trainer_batch = batch_for(trainer, batch)
    with torch.compiler.set_stance("force_eager"):  # torch does not count compiled operations
        flop = operations(trainer, trainer_batch)
    for _ in range(WARM_UP if workload.device == "cuda" else 0):
        trainer.train_step(trainer_batch)
    return Ready(trainer, trainer_batch, flop, allocated(workload.device) - before)


def allocated(device: str) -> int:
    """Return the memory of all tensors on a GPU in bytes, or 0 for a CPU, where torch does not count it."""
    return torch.cuda.memory_allocated() if device == "cuda" else 0


def operations(trainer: Any, batch: dict[str, Any]) -> int:
    """Return the floating-point operations of one step. torch counts convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        trainer.train_step(batch)
    return counter.get_total_flops()


def step_seconds(trainer: Any, batch: dict[str, Any]) -> float:
    """Return the time of one step, in s."""
    return seconds_of(lambda: trainer.train_step(batch), trainer.device.type)


def attainable_rate(workload: Workload, dtype: torch.dtype, repetitions: int = 7) -> float:
    """Return the best operations per second of a large convolution, forward and backward, in a precision.

    This is the best of several repetitions in both memory formats.
    """
    dimension = len(workload.patch)
    batch = 4 if workload.device == "cpu" else 64  # enough to use the whole device
    convolution = (nn.Conv2d if dimension == 2 else nn.Conv3d)(256, 256, 3, padding=1).to(workload.device, dtype)
    side = 48 if dimension == 2 else 16
    image = torch.randn(batch, 256, *[side] * dimension, device=workload.device, dtype=dtype)
    best, flop = float("inf"), 0
    for memory_format in (torch.contiguous_format, torch.channels_last if dimension == 2 else torch.channels_last_3d):
        formatted = image.clone(memory_format=memory_format).requires_grad_()

        def run(image: Tensor = formatted) -> None:
            convolution(image).sum().backward()

        with FlopCounterMode(display=False) as counter:
            run()
        flop = counter.get_total_flops()
        best = min(best, *(seconds_of(run, workload.device) for _ in range(repetitions)))
    return flop / best


def tensor_memory(trainer: Any, batch: dict[str, Any], held: int = 0) -> float:
    """Return the peak memory of all tensors during a step, in MiB.

    Args:
        trainer, batch: trainer and batch of the step.
        held: GPU memory in bytes that the trainer holds between two steps. On a CPU this function computes it.
    """
    if trainer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        trainer.train_step(batch)
        return (held + torch.cuda.max_memory_allocated() - before) / 2**20
    players = (trainer.network, getattr(trainer, "critic", nn.Module()))
    optimizers = {trainer.optimizer, getattr(trainer, "critic_optimizer", trainer.optimizer)}
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)  # the profiler does not record that older tensors are freed
    lasting = [*batch.values(), *(value for player in players for value in player.state_dict().values())]
    lasting += [value for one in optimizers for state in one.state.values() for value in state.values()]
    tensors = [part for value in lasting for part in (value if isinstance(value, list) else [value])]
    held = sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())  # nnU-Net lists some tensors twice
    with without_stderr(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        trainer.train_step(batch)
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    added = max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))
    return (held + added) / 2**20


@contextmanager
def without_stderr() -> Iterator[None]:
    """Discard stderr, also of C libraries: torch's profiler warns about tools and devices that are not needed here."""
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


def process_memory(name: str, workload: Workload) -> float:
    """Return the growth of a new process over two steps of a candidate, in MiB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(step_memory, (name, workload))


def step_memory(name: str, workload: Workload) -> float:
    """Return the growth of this process over two steps, in MiB. A small step first loads the libraries' own memory."""
    candidate = {**CANDIDATES, **VARIANTS}[name]
    small = replace(workload, batch=2, width=4, patch=(32,) * len(workload.patch))
    warm_up = build(candidate, small)
    warm_up.train_step(batch_for(warm_up, small.make_batch()))
    batch = workload.make_batch()
    trainer = build(candidate, workload)
    before = peak_memory()
    for _ in range(2):
        trainer.train_step(batch_for(trainer, batch))
    return (peak_memory() - before) / 2**20


def peak_memory() -> int:
    """Return the peak memory of this process, in bytes.

    Use /proc if it exists: getrusage also counts the memory of the parent before it started this process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
