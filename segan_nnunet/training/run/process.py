"""What a process of nnUNetv2_train needs: its precision, its threads, and how it prints a refusal."""

import sys
from types import TracebackType
from typing import Any

import torch

from segan_nnunet.data.environment import omp_threads
from segan_nnunet.errors import describe, has_remedy


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the precision in which a device trains fastest without harm, or None for float32 throughout.

    CUDA: bfloat16 where it is native, else float16 as nnU-Net has it. CPU: bfloat16 where the processor has
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


def respect_omp_num_threads(device: torch.device) -> None:
    """Give torch as many threads as OMP_NUM_THREADS says, where it is set and the training is on the CPU.

    nnU-Net takes as many as the machine has cores. Of two trainings at once on one machine, each then waits for the
    other's threads: SegAN's steps took four to five times as long as with a core for each.
    """
    if device.type == "cpu" and (wanted := omp_threads()):
        torch.set_num_threads(wanted)


def print_refusals() -> None:
    """Print an error with a remedy that ends this process as one message, and every other error as before."""
    print_others = sys.excepthook
    if print_others.__module__ == __name__:
        return

    def print_error(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if has_remedy(error):
            # with the name of the class: scripts look for it in the output of nnUNetv2_train
            print(f"segan_nnunet: {kind.__name__}: {describe(error)}", file=sys.stderr)
        else:
            print_others(kind, error, traceback)

    sys.excepthook = print_error
