"""What was measured, as Markdown."""

import math
from collections.abc import Sequence

from segan_nnunet.experiments.benchmark.pipeline import Pipeline
from segan_nnunet.experiments.benchmark.steps import Measured
from segan_nnunet.experiments.benchmark.timing import Timed
from segan_nnunet.experiments.benchmark.workload import Workload


def step_table(workload: Workload, rows: Sequence[Measured]) -> str:
    """The table of steps: times, operations, floors and memory, and each row's ratio to the first."""
    with_process = all(row.process_mib is not None for row in rows)
    heads = ["s, median", "fastest–slowest", "times faster than the first", "Gflop", "floor, s", "of the floor's rate"]
    heads += ["memory of tensors, MiB", *["of the process"] * with_process]
    lines = [str(workload), "", "| step | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    for row in rows:
        cells = [
            in_seconds(row.median),
            f"{in_seconds(min(row.seconds))}–{in_seconds(max(row.seconds))}",
            f"{rows[0].median / row.median:.2f}",
            f"{row.flop / 1e9:.0f}",
            in_seconds(row.floor),
            f"{row.floor / row.median:.0%}",
            f"{row.tensor_mib:.0f}",
            *([f"{row.process_mib:.0f}"] if with_process else []),
        ]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    rates = ", ".join(sorted({f"{row.rate / 1e9:.0f} Gflop/s" for row in rows}))
    steps = len(rows[0].seconds)
    lines += ["", f"Medians of {steps} steps, the candidates taking turns. Attainable rates, by precision: {rates}."]
    return "\n".join(lines) + "\n"


def in_seconds(time: float) -> str:
    """A time, with digits enough for a GPU."""
    return f"{time:.3f}" if time >= 0.1 else f"{time:.4f}"


def pipeline_lines(workload: Workload, found: Sequence[Pipeline], rows: Sequence[Measured]) -> str:
    """How many images per second the loaders make, beside what the steps consume, and which of the two waits."""
    lines = [f"- nnU-Net's loader, {one}: {one.images_per_second:.1f} images per second" for one in found]
    consumed = {row.name: workload.batch / row.median for row in rows}
    rates = ", ".join(f"{name} {rate:.1f}" for name, rate in consumed.items())
    lines.append(f"- consumed per second, with nothing beside it: {rates}")
    fastest = max(consumed, key=lambda name: consumed[name])
    for one in found:
        needed = math.ceil(consumed[fastest] * one.processes / one.images_per_second)
        limit = "loader" if needed > one.processes else "step"
        lines.append(
            f"- {one.augmentation}: the {limit} is the limit; the fastest of these steps ({fastest}) is kept busy by "
            f"{needed} process{'es' * (needed > 1)} (nnUNet_n_proc_DA={needed})"
        )
    return "\n".join(lines) + "\n"


def inference_table(found: Sequence[Timed]) -> str:
    """Time of inference with each trainer's network, and its ratio to the first."""
    lines = [
        "| network as built by | s, median | fastest–slowest | times the first's |",
        "| --- | ---: | ---: | ---: |",
    ]
    for one in found:
        spread = f"{in_seconds(min(one.seconds))}–{in_seconds(max(one.seconds))}"
        lines.append(f"| {one.name} | {in_seconds(one.median)} | {spread} | {one.median / found[0].median:.2f} |")
    return "\n".join(lines) + "\n"
