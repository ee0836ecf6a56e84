"""Time an action on a CPU or a GPU."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Timed:
    """Repeated times of one candidate.

    Attributes:
        name: name of the candidate.
        seconds: time of each repetition, in s.
    """

    name: str
    seconds: list[float]

    @property
    def median(self) -> float:
        """Return the median time, in s."""
        return statistics.median(self.seconds)


def seconds_of(action: Callable[[], Any], device: str) -> float:
    """Return the time of one action, in s, including its work on a GPU."""
    wait(device)
    started = time.perf_counter()
    action()
    wait(device)
    return time.perf_counter() - started


def wait(device: str) -> None:
    """Wait until a GPU has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()
