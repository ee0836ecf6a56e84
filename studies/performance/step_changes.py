"""Time our step without each optimisation of docs/performance.md, in turns with the complete step.

usage: python studies/performance/step_changes.py [BATCH]
"""

import statistics
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from segan_nnunet.experiments.benchmark import Workload
from segan_nnunet.experiments.benchmark.candidates import build, use_default_format
from segan_nnunet.experiments.benchmark.steps import step_seconds, tensor_memory
from segan_nnunet.objective import layer_distances
from segan_nnunet.training import AdversarialTrainer

STEPS = 7


class Unbounded(AdversarialTrainer):
    """SegANTrainer with mean absolute distances and RMSProp, as before the critics were bounded."""

    distances = staticmethod(layer_distances)
    optimizer_class = torch.optim.RMSprop
    optimizer_settings: ClassVar[dict[str, Any]] = {}


class L1Losses(AdversarialTrainer):
    """SegANTrainer with distances from l1_loss of float32 copies of the features."""

    @staticmethod
    def distances(features: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        """Return the relative distances, computed with l1_loss."""
        pairs = [(a.float(), b.float()) for a, b in zip(features, other, strict=True)]
        return torch.stack([F.l1_loss(a, b) / (a.abs().mean() + b.abs().mean()) for a, b in pairs])


class OrdinaryFormat(AdversarialTrainer):
    """SegANTrainer with channels first in memory."""

    def initialize(self) -> None:
        """Use PyTorch's default memory format in the encoders."""
        super().initialize()
        use_default_format(self.network, self.critic)


class Float32(AdversarialTrainer):
    """SegANTrainer without autocast."""

    def initialize(self) -> None:
        """Switch autocast off."""
        super().initialize()
        self.autocast_dtype = None


class SegmentorTwice(AdversarialTrainer):
    """SegANTrainer that computes S(x) again for the segmentor's phase, as in the authors' loop."""

    def segmentor_phase(self, image: Tensor, predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Add the cost of a second forward pass."""
        with self.autocast():
            self.network(image)
        return super().segmentor_phase(image, predicted, truth)


class Foreach(AdversarialTrainer):
    """SegANTrainer whose optimisers update all parameters in one call."""

    optimizer_settings = {**AdversarialTrainer.optimizer_settings, "foreach": True}


class Compiled(AdversarialTrainer):
    """SegANTrainer with both players compiled. nnU-Net uses torch.compile on GPUs only."""

    def initialize(self) -> None:
        """Compile them in place."""
        super().initialize()
        for module in (self.network, *self.critic.critics):
            module.compile()


VARIANTS: dict[str, type[AdversarialTrainer]] = {
    "the step as it is": AdversarialTrainer,
    "mean distances and RMSProp, as before the critics were bounded": Unbounded,
    "channels first in memory": OrdinaryFormat,
    "distances by l1_loss of float32 copies": L1Losses,
    "both": type("Both", (OrdinaryFormat, L1Losses), {}),
    "float32 instead of autocast": Float32,
    "float32, channels first, l1_loss": type("All", (OrdinaryFormat, Float32, L1Losses), {}),
    "S(x) computed twice": SegmentorTwice,
    "optimisers with foreach": Foreach,
    "torch.compile": Compiled,
}

for workload in (
    Workload(batch=int(sys.argv[1]) if len(sys.argv) > 1 else 8),
    Workload(patch=(64, 64, 64), batch=2, width=32),
):
    batch = workload.make_batch()
    trainers = {name: build(trainer, workload) for name, trainer in VARIANTS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for step in range(STEPS + 1):
        for name in VARIANTS:
            time = step_seconds(trainers[name], dict(batch))
            if step:
                seconds[name].append(time)
    own = statistics.median(seconds["the step as it is"])
    print(f"{workload}\n\n| variant | s, median | fastest–slowest | times our step's | memory of tensors, MiB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, times in seconds.items():
        memory = tensor_memory(trainers[name], dict(batch))
        row = [f"{statistics.median(times):.3f}", f"{min(times):.3f}–{max(times):.3f}"]
        print(" | ".join(["| " + name, *row, f"{statistics.median(times) / own:.2f}", f"{memory:.0f} |"]))
    print(flush=True)
