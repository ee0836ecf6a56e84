"""Show how long work will take: a bar for work that is done case by case, and an estimate for epochs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar with the time left. Yield a function that moves the bar by one, from any thread."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # a notebook without widgets would show a warning at every step
    is_silent = get_console().is_jupyter and find_spec("ipywidgets") is None
    with Progress(*columns, transient=True, disable=is_silent) as progress:
        task = progress.add_task(label, total=total)
        yield lambda: progress.advance(task)


def seconds_left(durations: Sequence[float], remaining: int, window: int = 10) -> float:
    """Estimate the duration of the remaining epochs in s, from the mean of the last durations.

    Args:
        durations: of the finished epochs, in s; at least one.
        remaining: number of epochs.
        window: number of durations that count.
    """
    recent = durations[-window:]
    return sum(recent) / len(recent) * remaining
