"""What was measured, as Markdown."""

from collections.abc import Sequence

from segan_nnunet.experiments.benchmark.pipeline import Pipeline
from segan_nnunet.experiments.benchmark.steps import Measured
from segan_nnunet.experiments.benchmark.timing import Timed
from segan_nnunet.experiments.benchmark.workload import Workload


def step_table(workload: Workload, rows: Sequence[Measured]) -> str:
    """The table of steps: times, operations, floors and memory, and each row's ratio to the first."""
    lines = [
        str(workload),
        "",
        "| step | s, median | fastest–slowest | times faster than the first | Gflop | floor, s | of the floor's rate "
        "| memory of tensors, MiB | of the process |",
        "| --- |" + " ---: |" * 8,
    ]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.median:.3f} | {min(row.seconds):.3f}–{max(row.seconds):.3f} "
            f"| {rows[0].median / row.median:.2f} | {row.flop / 1e9:.0f} | {row.floor:.3f} "
            f"| {row.floor / row.median:.0%} | {row.tensor_mib:.0f} | {row.process_mib:.0f} |"
        )
    rates = ", ".join(sorted({f"{row.rate / 1e9:.0f} Gflop/s" for row in rows}))
    steps = len(rows[0].seconds)
    lines += ["", f"Medians of {steps} steps, the candidates taking turns. Attainable rates, by precision: {rates}."]
    return "\n".join(lines) + "\n"


def pipeline_lines(workload: Workload, found: Sequence[Pipeline], rows: Sequence[Measured]) -> str:
    """How many images per second the loaders make, beside what the steps consume."""
    lines = [f"- nnU-Net's loader, {one}: {one.images_per_second:.1f} images per second" for one in found]
    consumed = ", ".join(f"{row.name} {workload.batch / row.median:.1f}" for row in rows)
    return "\n".join([*lines, f"- consumed per second, with nothing beside it: {consumed}"]) + "\n"


def inference_table(found: Sequence[Timed]) -> str:
    """Time of inference with each trainer's network, and its ratio to the first."""
    lines = [
        "| network as built by | s, median | fastest–slowest | times the first's |",
        "| --- | ---: | ---: | ---: |",
    ]
    for one in found:
        spread = f"{min(one.seconds):.3f}–{max(one.seconds):.3f}"
        lines.append(f"| {one.name} | {one.median:.3f} | {spread} | {one.median / found[0].median:.2f} |")
    return "\n".join(lines) + "\n"
