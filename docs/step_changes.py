"""What each measure of performance.md is worth: our step with it taken back, in turns with the step as it is.

usage: python docs/step_changes.py [BATCH]
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from segan_nnunet.experiments.benchmark import Workload
from segan_nnunet.experiments.benchmark.candidates import build, take_ordinary_format
from segan_nnunet.experiments.benchmark.steps import step_seconds, tensor_memory
from segan_nnunet.objective import game
from segan_nnunet.training import AdversarialTrainer

STEPS = 7


def l1_losses(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The distances as they were computed first."""
    return torch.stack([F.l1_loss(a.float(), b.float()) for a, b in zip(features, other, strict=True)])


class OrdinaryFormat(AdversarialTrainer):
    """Channels first in memory."""

    def initialize(self) -> None:
        """Undo what the encoders do."""
        super().initialize()
        take_ordinary_format(self.network, self.critic)


class Float32(AdversarialTrainer):
    """No autocast."""

    def initialize(self) -> None:
        """Leave autocast out."""
        super().initialize()
        self.autocast_dtype = None


class SegmentorTwice(AdversarialTrainer):
    """S(x) is computed again for the segmentor's phase, as in the authors' loop."""

    def segmentor_phase(self, image: Tensor, predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Add the cost of a second forward pass."""
        with self.autocast():
            self.network(image)
        return super().segmentor_phase(image, predicted, truth)


class Foreach(AdversarialTrainer):
    """All parameters of an optimiser in one call."""

    optimizer_settings = {"foreach": True}


class Compiled(AdversarialTrainer):
    """Both players through torch.compile, which nnU-Net uses on GPUs alone."""

    def initialize(self) -> None:
        """Compile them in place."""
        super().initialize()
        for module in (self.network, *self.critic.critics):
            module.compile()


def ours() -> Any:
    """Leave everything as it is."""
    return nullcontext()


def with_l1_losses() -> Any:
    """Compute the distances as they were computed first."""
    return patch.object(game, "layer_distances", l1_losses)


VARIANTS: dict[str, tuple[type[AdversarialTrainer], Callable[[], Any]]] = {
    "the step as it is": (AdversarialTrainer, ours),
    "channels first in memory": (OrdinaryFormat, ours),
    "distances by l1_loss of float32 copies": (AdversarialTrainer, with_l1_losses),
    "both": (OrdinaryFormat, with_l1_losses),
    "float32 instead of autocast": (Float32, ours),
    "float32, channels first, l1_loss": (type("Both", (OrdinaryFormat, Float32), {}), with_l1_losses),
    "S(x) computed twice": (SegmentorTwice, ours),
    "optimisers with foreach": (Foreach, ours),
    "torch.compile": (Compiled, ours),
}

for workload in (
    Workload(batch=int(sys.argv[1]) if len(sys.argv) > 1 else 8),
    Workload(patch=(64, 64, 64), batch=2, width=32),
):
    batch = workload.make_batch()
    trainers = {name: build(trainer, workload) for name, (trainer, _) in VARIANTS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for step in range(STEPS + 1):
        for name, (_, change) in VARIANTS.items():
            with change():
                time = step_seconds(trainers[name], dict(batch))
            if step:
                seconds[name].append(time)
    own = statistics.median(seconds["the step as it is"])
    print(f"{workload}\n\n| variant | s, median | fastest–slowest | times our step's | memory of tensors, MiB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (_, change) in VARIANTS.items():
        times = seconds[name]
        with change():
            memory = tensor_memory(trainers[name], dict(batch))
        row = [f"{statistics.median(times):.3f}", f"{min(times):.3f}–{max(times):.3f}"]
        print(" | ".join(["| " + name, *row, f"{statistics.median(times) / own:.2f}", f"{memory:.0f} |"]))
    print(flush=True)
