"""A progress bar for work that is done case by case."""

from collections.abc import Callable, Iterator
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
