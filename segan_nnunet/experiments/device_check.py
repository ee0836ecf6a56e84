"""`benchmark -o`: measure everything that depends on the device, and write it to one folder as Markdown and JSON."""

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
from segan_nnunet.data.environment import default_processes, device_here
from segan_nnunet.data.releases.simulation import simulate_release
from segan_nnunet.errors import InputError
from segan_nnunet.experiments import benchmark as bench
from segan_nnunet.experiments.benchmark.candidates import CANDIDATES, VARIANTS
from segan_nnunet.experiments.demo import nnunet_environment, run
from segan_nnunet.outputs import check_room, made_folder

DATASET_ID = "15"
NNUNET_PLANS = "nnUNetPlans_check"
NAMES = re.compile(r"simulated|(performance|trainings)\.(md|json)|comparison_.+")  # of the files written here
GRIDS = {  # plans: trainers, the baseline last
    "SegANPlans": ("SegAN2000", "Softmax2000"),
    NNUNET_PLANS: ("Beside2000", "Without2000"),
}


@dataclass(frozen=True)
class Size:
    """The sizes of the measurements and trainings.

    Attributes:
        workload: workload of the timed steps.
        steps: timed steps per candidate.
        seconds: measured time per loader.
        cases: number of simulated cases.
        width: width of the networks in the trainings.
        batch_size: batch size of the trainings.
        suffix: suffix of the trainers' names.
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
    """Measure steps, loaders and inference on a device, and train on a simulated cohort on it.

    Args:
        folder: folder without files of an earlier call; created if it is missing. It gets performance.md and
            trainings.md, the same as JSON, and the comparisons with their pictures.
        device: cuda or cpu.
        small: whether to use small sizes, which take two cores a few minutes, instead of the paper's.

    Returns:
        The folder, or None if the device is missing. That is not an error: the command prints it.

    Raises:
        InputError: the folder holds files with these names or cannot be written, or a part fails. The other parts are
            then written.
    """
    if device == "cuda" and not torch.cuda.is_available():
        print("This machine has no CUDA GPU, so no check was run. `-device cpu` runs the checks that work on a CPU.")
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
            text, measurements = part()
        except Exception:  # run the other parts, and report all failures at the end
            traceback.print_exc()
            failed.append(name)
            continue
        minutes = (time.monotonic() - begun) / 60
        machine = machine_of(device)
        heading = f"{machine['name']}, torch {machine['torch']}, {machine['cores']} cores, in {minutes:.1f} minutes."
        (folder / f"{name}.md").write_text(f"{heading}\n\n{text}")
        record = {"machine": machine, "minutes": minutes, **measurements}
        (folder / f"{name}.json").write_text(json.dumps(record, indent=1))
        print(text, flush=True)
    if failed:
        raise InputError(f"failed: {' and '.join(failed)}. The errors are above. The other results are in {folder}")
    print(f"All results are in {folder}")
    return folder


def machine_of(device: str) -> dict[str, Any]:
    """Return the names and versions of the device and of torch, and the number of cores."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return {"device": device, "name": name, "torch": torch.__version__, "cuda": torch.version.cuda,
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}  # fmt: skip


def performance(size: Size) -> tuple[str, dict[str, Any]]:
    """Return the benchmark's tables of steps, loaders and inference as Markdown, and their values."""
    workload = size.workload
    candidates = (*CANDIDATES, *(VARIANTS if workload.device == "cuda" else ()))
    rows = bench.benchmark(workload, size.steps, candidates)
    print(bench.step_table(workload, rows), flush=True)
    loaders = bench.pipeline(workload, seconds=size.seconds)
    predicted = bench.inference(workload, size.steps)
    text = [bench.step_table(workload, rows), bench.pipeline_lines(workload, loaders, rows)]
    measurements = {
        "workload": asdict(workload),
        "steps": [{**asdict(row), "median": row.median, "floor": row.floor} for row in rows],
        "loaders": [asdict(loader) for loader in loaders],
        "inference": [{**asdict(row), "median": row.median} for row in predicted],
    }
    return "\n".join([*text, bench.inference_table(predicted)]), measurements


def trainings(work: Path, folder: Path, device: str, size: Size) -> tuple[str, dict[str, Any]]:
    """Train and compare two pairs of trainers on a simulated cohort. Return the tables and the times.

    All four trainings run at once on a GPU, because one does not fill it. On a CPU two run at once.
    """
    release = simulate_release(work, size.cases, seed=0)
    environment = nnunet_environment(work)
    environment["nnUNet_extTrainer"] = os.pathsep.join(
        map(str, (catalogue_folder("trainers"), Path(__file__).parent / "device_trainers"))
    )
    run(["segan_nnunet", "convert", "brats2015", str(release), "-d", DATASET_ID], environment)
    sizes = ["--width", str(size.width), "--batch-size", str(size.batch_size)]
    run(["segan_nnunet", "plan", "-d", DATASET_ID, *sizes], environment)
    nnunet = ["--network", "nnunet", "--width", str(max(1, size.width // 2)), "--batch-size", str(size.batch_size)]
    run(["segan_nnunet", "plan", "-d", DATASET_ID, *nnunet, "--plans-name", NNUNET_PLANS], environment)
    run(["segan_nnunet", "split", "-d", DATASET_ID], environment)
    jobs = [(plans, name + size.suffix) for plans, names in GRIDS.items() for name in names]
    at_once = len(jobs) if device == "cuda" else 2
    environment["nnUNet_n_proc_DA"] = str(max(1, default_processes() // at_once))

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
    times = dict(zip((name for _, name in jobs), seconds, strict=True))
    lines = [f"- {name}: {time:.0f} s, including start and validation of its fold" for name, time in times.items()]
    return "\n".join([*text, *lines]) + "\n", {"seconds": times, "tables": tables}
