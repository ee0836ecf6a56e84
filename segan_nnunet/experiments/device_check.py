"""`benchmark -o`: all that a device decides, written to one folder as Markdown and JSON."""

import json
import os
import platform
import re
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.data.environment import device_here, number_of_processes
from segan_nnunet.data.releases.simulation import simulate_release
from segan_nnunet.errors import InputError
from segan_nnunet.experiments import benchmark as bench
from segan_nnunet.experiments.benchmark.candidates import CANDIDATES, VARIANTS
from segan_nnunet.experiments.demo import nnunet_environment, run
from segan_nnunet.outputs import check_room, made_folder

DATASET_ID = "15"
NNUNET_PLANS = "nnUNetPlans_check"
NAMES = re.compile(r"simulated|(performance|trainings)\.(md|json)|comparison_.+")  # of what it writes
GRIDS = {  # plans: trainers, the baseline last
    "SegANPlans": ("SegAN2000", "Softmax2000"),
    NNUNET_PLANS: ("Beside2000", "Without2000"),
}


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes:
        workload: of the steps.
        steps: timed steps of each candidate.
        seconds: for which each loader is watched.
        cases: simulated.
        width, batch_size: of the networks in the trainings.
        suffix: of the trainers' names.
    """

    workload: bench.Workload
    steps: int
    seconds: float
    cases: int
    width: int
    batch_size: int
    suffix: str


PAPER = Size(bench.Workload(batch=64), steps=20, seconds=8, cases=20, width=64, batch_size=12, suffix="")
SMALL = Size(bench.Workload((64, 64), 4, 8), steps=3, seconds=2, cases=5, width=4, batch_size=4, suffix="_1epochs")


def check_device(folder: Path, device: str = "cuda", small: bool = False) -> Path | None:
    """Measure steps, loaders and inference on a device, and train on a simulated cohort there.

    Args:
        folder: without files of an earlier call, and made where it is missing; gets performance.md and trainings.md,
            the same as JSON, and the comparisons with their pictures.
        device: cuda or cpu.
        small: sizes that two cores do in a few minutes, instead of the paper's.

    Returns:
        The folder; None where the device is not there, which is no error: a sentence says so.

    Raises:
        InputError: the folder holds files of these names or cannot be written; or a part failed, and the other parts
            are there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA GPU here, so nothing was run. `-device cpu` runs what a CPU can show of it.")
        return None
    device_here(device)
    with made_folder(folder):
        check_room(folder, NAMES)
    folder = folder.resolve()
    simulated = folder / "simulated"
    size = SMALL if small else PAPER
    size = replace(size, workload=replace(size.workload, device=device))
    parts: dict[str, Callable[[], tuple[str, Any]]] = {
        "performance": lambda: performance(size),
        "trainings": lambda: trainings(simulated, folder, device, size),
    }
    failed = []
    for name, part in parts.items():
        begun = time.monotonic()
        try:
            text, found = part()
        except Exception:  # the other parts are worth having: all that failed is told at the end
            traceback.print_exc()
            failed.append(name)
            continue
        minutes = (time.monotonic() - begun) / 60
        machine = machine_of(device)
        said = f"{machine['name']}, torch {machine['torch']}, {machine['cores']} cores, in {minutes:.1f} minutes."
        (folder / f"{name}.md").write_text(f"{said}\n\n{text}")
        (folder / f"{name}.json").write_text(json.dumps({"machine": machine, "minutes": minutes, **found}, indent=1))
        print(text, flush=True)
    if failed:
        raise InputError(f"failed: {' and '.join(failed)}; the errors are above. What else was measured is in {folder}")
    print(f"All of it is in {folder}")
    return folder


def machine_of(device: str) -> dict[str, Any]:
    """The machine, in words and numbers."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return {"device": device, "name": name, "torch": torch.__version__, "cuda": torch.version.cuda,
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}  # fmt: skip


def performance(size: Size) -> tuple[str, dict[str, Any]]:
    """The benchmark's tables: steps, loaders, inference."""
    workload = size.workload
    candidates = (*CANDIDATES, *(VARIANTS if workload.device == "cuda" else ()))
    rows = bench.benchmark(workload, size.steps, candidates)
    print(bench.step_table(workload, rows), flush=True)
    loaders = bench.pipeline(workload, seconds=size.seconds)
    predicted = bench.inference(workload, size.steps)
    text = [bench.step_table(workload, rows), bench.pipeline_lines(workload, loaders, rows)]
    found = {
        "workload": asdict(workload),
        "steps": [{**asdict(row), "median": row.median, "floor": row.floor} for row in rows],
        "loaders": [asdict(one) for one in loaders],
        "inference": [{**asdict(one), "median": one.median} for one in predicted],
    }
    return "\n".join([*text, bench.inference_table(predicted)]), found


def trainings(work: Path, folder: Path, device: str, size: Size) -> tuple[str, dict[str, Any]]:
    """Train two pairs on a simulated cohort: on a GPU all at once, since none fills it; on a CPU two at once."""
    release = simulate_release(work, size.cases, seed=0)
    environment = nnunet_environment(work)
    environment["nnUNet_extTrainer"] = os.pathsep.join(
        map(str, (catalogue_folder("trainers"), Path(__file__).parent / "device_trainers"))
    )
    run(["segan_nnunet", "convert", "brats2015", str(release), "-d", DATASET_ID], environment)
    sizes = ["--width", str(size.width), "--batch-size", str(size.batch_size)]
    run(["segan_nnunet", "plan", "-d", DATASET_ID, *sizes], environment)
    own = ["--network", "nnunet", "--width", str(max(1, size.width // 2)), "--batch-size", str(size.batch_size)]
    run(["segan_nnunet", "plan", "-d", DATASET_ID, *own, "--plans-name", NNUNET_PLANS], environment)
    run(["segan_nnunet", "split", "-d", DATASET_ID], environment)
    jobs = [(plans, name + size.suffix) for plans, names in GRIDS.items() for name in names]
    at_once = len(jobs) if device == "cuda" else 2
    environment["nnUNet_n_proc_DA"] = str(max(1, number_of_processes() // at_once))

    def train(job: tuple[str, str]) -> float:
        plans, name = job
        begun = time.monotonic()
        run(["nnUNetv2_train", DATASET_ID, "2d", "0", "-tr", name, "-p", plans, "-device", device], environment)
        return time.monotonic() - begun

    with ThreadPoolExecutor(at_once) as pool:
        seconds = list(pool.map(train, jobs))
    text, tables = [], {}
    for plans, names in GRIDS.items():
        trainers = [name + size.suffix for name in names]
        output = folder / f"comparison_{plans}"
        compare = ["segan_nnunet", "compare", "-d", DATASET_ID, "-c", "2d", "-p", plans, "-tr", *trainers]
        run([*compare, "--baseline", trainers[-1], "-o", str(output)], environment)
        tables[plans] = table = (output / "table1.md").read_text()
        text.append(table)
    taken = dict(zip((name for _, name in jobs), seconds, strict=True))
    lines = [f"- {name}: {time:.0f} s, with its start and the validation of its fold" for name, time in taken.items()]
    return "\n".join([*text, *lines]) + "\n", {"seconds": taken, "tables": tables}
