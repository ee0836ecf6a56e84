"""Format the measurements as Markdown."""

import math
from collections.abc import Sequence

from segan_nnunet.experiments.benchmark.pipeline import Pipeline
from segan_nnunet.experiments.benchmark.steps import Measured
from segan_nnunet.experiments.benchmark.timing import Timed
from segan_nnunet.experiments.benchmark.workload import Workload


def step_table(workload: Workload, rows: Sequence[Measured]) -> str:
    """Return the table of steps: times, operations, floors, memory, and the ratio of each row to the first."""
    with_process = all(row.process_mib is not None for row in rows)
    heads = ["s, median", "fastest–slowest", "speed relative to the first row", "Gflop", "floor, s"]
    heads += ["share of the attainable rate"]
    heads += ["memory of tensors, MiB", *["memory of the process, MiB"] * with_process]
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
    """Return a time in s, with four decimals below 0.1 s."""
    return f"{time:.3f}" if time >= 0.1 else f"{time:.4f}"


def pipeline_lines(workload: Workload, loaders: Sequence[Pipeline], rows: Sequence[Measured]) -> str:
    """Return the throughput of the loaders and of the steps as a list, and say which of the two is the limit."""
    lines = [f"- nnU-Net's loader, {loader}: {loader.images_per_second:.1f} images per second" for loader in loaders]
    consumed = {row.name: workload.batch / row.median for row in rows}
    rates = ", ".join(f"{name} {rate:.1f}" for name, rate in consumed.items())
    lines.append(f"- images consumed per second, while nothing else runs: {rates}")
    fastest = max(consumed, key=lambda name: consumed[name])
    for loader in loaders:
        needed = math.ceil(consumed[fastest] * loader.processes / loader.images_per_second)
        limit = "loader" if needed > loader.processes else "step"
        lines.append(
            f"- {loader.augmentation}: the {limit} is the limit; the fastest of these steps ({fastest}) is kept busy "
            f"by {needed} process{'es' * (needed > 1)} (nnUNet_n_proc_DA={needed})"
        )
    return "\n".join(lines) + "\n"


def inference_table(rows: Sequence[Timed]) -> str:
    """Return the table of inference times with each trainer's network, and their ratios to the first."""
    lines = [
        "| network as built by | s, median | fastest–slowest | times the first's |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        spread = f"{in_seconds(min(row.seconds))}–{in_seconds(max(row.seconds))}"
        lines.append(f"| {row.name} | {in_seconds(row.median)} | {spread} | {row.median / rows[0].median:.2f} |")
    return "\n".join(lines) + "\n"
