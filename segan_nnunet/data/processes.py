"""Apply a function to many cases, in parallel processes for many cases, with a progress bar.

Threads would wait for each other: every image is new memory, and the threads of a process take it one after the other.
"""

import ctypes
import functools
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TypeVar

from segan_nnunet.data.environment import default_processes
from segan_nnunet.data.progress import progress_bar
from segan_nnunet.errors import InputError

MOST_PER_CHUNK, CHUNKS_PER_PROCESS = 8, 4
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_cases(
    label: str,
    function: Callable[..., Result],
    cases: Sequence[Item],
    *constants: object,
    processes: int | None = None,
    cases_per_process: int = 1,
) -> list[Result]:
    """Return `function(case, *constants)` of each case, in the order of the cases.

    Args:
        label: of the progress bar.
        function: defined at the top of a module, so that another process finds it.
        cases: the cases.
        constants: further arguments, the same for all cases.
        processes: number of parallel processes; by default nnUNet_def_n_proc, or the usable cores up to 8.
        cases_per_process: number of cases that makes one more process worth its start.

    Raises:
        InputError: a process ended abruptly. Errors of the function pass through.
    """
    processes = min(default_processes(processes), 1 + len(cases) // cases_per_process)
    results: list[Result] = []
    with progress_bar(label, len(cases)) as advance:
        if processes == 1:
            for case in cases:
                results.append(function(case, *constants))
                advance()
            return results
        # spawn, because a thread of the progress bar or a notebook may hold a lock during a fork
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, initializer=keep_freed_memory) as pool:
            chunk = max(1, min(MOST_PER_CHUNK, len(cases) // (CHUNKS_PER_PROCESS * processes)))
            try:
                work = functools.partial(call, function, constants)
                for result in pool.map(work, cases, chunksize=chunk):
                    results.append(result)
                    advance()
            except BrokenProcessPool as error:
                raise InputError(
                    f"a process of '{label}' ended abruptly, perhaps for lack of memory; use fewer: -np 1, or "
                    "nnUNet_def_n_proc=1. Your own script must make this call below `if __name__ == '__main__':`"
                ) from error
    return results


def call(function: Callable[..., Result], constants: Sequence[object], case: object) -> Result:
    """Call a function with a case first."""
    return function(case, *constants)


def keep_freed_memory() -> None:
    """Let glibc keep the memory that this process frees. Do nothing with another C library.

    Images, and the tensors of a training step on the CPU, are large, and are allocated anew for every case or step. By
    default glibc takes such memory from the system each time, which fills it with zeros. Keeping it made training
    steps 6 to 18 % faster, with the same peak memory (docs/performance.md).
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
