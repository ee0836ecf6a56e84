"""Files beside the report, one per case, that its viewer loads: scripts, as a page on a disk may load nothing else."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from segan_nnunet.data.environment import number_of_processes
from segan_nnunet.data.progress import progress_bar
from segan_nnunet.evaluation.presentation.report.slices import case_data
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase

CASES_FOLDER = "report_cases"


def write_case_files(
    folder: Path,
    cases: Sequence[str],
    load: Callable[[str], ShownCase],
    outermost: Sequence[int],
    processes: int | None = None,
) -> list[Path]:
    """Write CASE.js for each case, which hands the case's slices to the viewer.

    Args:
        folder: of the report.
        cases: their names.
        load: reads what is shown of a case.
        outermost: label values of the outermost region.
        processes: cases that are written at once.

    Returns:
        The folder of the files; nothing where there is no case.
    """
    if not cases:
        return []
    target = folder / CASES_FOLDER
    target.mkdir()

    def write(case: str) -> None:
        text = json.dumps(case_data(load(case), outermost), separators=(",", ":"))
        (target / f"{case}.js").write_text(f"showCase({text});\n", encoding="utf-8")

    # threads: pictures are packed and unpacked without Python's lock
    with (
        progress_bar("slices of cases", len(cases)) as advance,
        ThreadPoolExecutor(number_of_processes(processes)) as pool,
    ):
        for _ in pool.map(write, cases):
            advance()
    return [target]
