"""Set up a process of nnUNetv2_train: its precision, its threads, and how it prints errors."""

import sys
from types import TracebackType
from typing import Any

import torch

from segan_nnunet.data.environment import omp_threads
from segan_nnunet.data.processes import keep_freed_memory
from segan_nnunet.errors import describe, has_remedy


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the precision for autocast on a device, or None for float32 throughout.

    CUDA: bfloat16 if the GPU supports it natively, else float16, as in nnU-Net. CPU: bfloat16 if the processor has
    instructions for it. mps: float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        # get_capabilities is newer than the oldest torch that nnU-Net accepts
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
            return torch.bfloat16
    return None


def set_up_cpu(device: torch.device) -> None:
    """Set torch's threads and the memory of this process for a training on the CPU. Do nothing for other devices."""
    if device.type == "cpu":
        respect_omp_num_threads()
        keep_freed_memory()


def respect_omp_num_threads() -> None:
    """Set the number of torch's threads to OMP_NUM_THREADS, if it is set.

    nnU-Net uses as many threads as the machine has cores. Two trainings on one machine then wait for each other's
    threads: SegAN's steps took four to five times as long as with one core for each training.
    """
    if wanted := omp_threads():
        torch.set_num_threads(wanted)


def print_refusals() -> None:
    """Print an error that ends this process as one message if it has a remedy. Print other errors as before."""
    previous_hook = sys.excepthook
    if previous_hook.__module__ == __name__:
        return

    def print_error(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if has_remedy(error):
            # include the class name: scripts search for it in the output of nnUNetv2_train
            print(f"segan_nnunet: {kind.__name__}: {describe(error)}", file=sys.stderr)
        else:
            previous_hook(kind, error, traceback)

    sys.excepthook = print_error
