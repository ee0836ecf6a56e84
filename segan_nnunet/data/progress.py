"""How long work will still take: a bar for work that is done case by case, and an estimate for epochs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar with the time left; what it yields moves the bar by one, from any thread."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # a notebook without widgets would get a warning at every step
    silent = get_console().is_jupyter and find_spec("ipywidgets") is None
    with Progress(*columns, transient=True, disable=silent) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def seconds_left(durations: Sequence[float], left: int, window: int = 10) -> float:
    """Estimate how many seconds the epochs that are left will take, from the mean of the last durations.

    Args:
        durations: of the epochs that are done, in s; at least one.
        left: number of epochs.
        window: number of durations that count.
    """
    recent = durations[-window:]
    return sum(recent) / len(recent) * left
