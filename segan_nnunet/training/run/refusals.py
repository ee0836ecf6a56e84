"""Refusals in a process of nnUNetv2_train: one message, as `segan_nnunet` prints them, without a traceback."""

import sys
from types import TracebackType

from segan_nnunet.errors import describe, has_remedy


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
