"""How long something takes, on a CPU or a GPU."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Timed:
    """What was timed several times.

    Attributes:
        name: of what was timed.
        seconds: of each time.
    """

    name: str
    seconds: list[float]

    @property
    def median(self) -> float:
        """Median time, in s."""
        return statistics.median(self.seconds)


def seconds_of(action: Callable[[], Any], device: str) -> float:
    """Time of one action, in s, with all that it leaves to a GPU."""
    wait(device)
    started = time.perf_counter()
    action()
    wait(device)
    return time.perf_counter() - started


def wait(device: str) -> None:
    """Let a GPU finish what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
