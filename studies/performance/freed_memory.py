"""Time training steps on the CPU with and without `keep_freed_memory`, in new processes that take turns.

usage: python studies/performance/freed_memory.py
"""

import statistics
import subprocess
import sys
from collections import defaultdict

ROUNDS, STEPS, WARM_UP = 3, 9, 3
SIZES = {"96x80, batch 8, width 16": ((96, 80), 8, 16), "160x160, batch 8, width 64": ((160, 160), 8, 64),
         "64x64x64, batch 2, width 16": ((64, 64, 64), 2, 16)}  # fmt: skip
TRAINERS = ("SegANTrainer", "UNetSoftmaxTrainer")


def main() -> None:
    """Print a table of the median times."""
    seconds = defaultdict(list)
    for _ in range(ROUNDS):
        for keep in ("", "keep"):
            lines = subprocess.run(
                [sys.executable, __file__, "steps", keep], capture_output=True, text=True, check=True
            )
            for line in lines.stdout.splitlines():
                size, trainer, *times, memory = line.split(";")
                seconds[size, trainer, keep] += [float(time) for time in times]
                seconds[size, trainer, keep, "MiB"].append(int(memory))
    print("| size | trainer | as glibc does, ms | kept, ms | ratio | peak of the process, MiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for size in SIZES:
        for trainer in TRAINERS:
            before, after = (1000 * statistics.median(seconds[size, trainer, keep]) for keep in ("", "keep"))
            peaks = " → ".join(str(max(seconds[size, trainer, keep, "MiB"])) for keep in ("", "keep"))
            print(f"| {size} | {trainer} | {before:.0f} | {after:.0f} | {after / before:.2f} | {peaks} |")


def steps(keep: bool) -> None:
    """Print the times of steps and the peak memory, a line per size and trainer."""
    from segan_nnunet.experiments.benchmark import Workload
    from segan_nnunet.experiments.benchmark.candidates import CANDIDATES, batch_for, build
    from segan_nnunet.experiments.benchmark.steps import peak_memory, step_seconds
    from segan_nnunet.training.run import process

    if not keep:
        process.keep_freed_memory = lambda: None
    for size, (patch, batch_size, width) in SIZES.items():
        workload = Workload(patch=patch, batch=batch_size, width=width)
        batch = workload.make_batch()
        for name in TRAINERS:
            trainer = build(CANDIDATES[name], workload)
            of_trainer = batch_for(trainer, batch)
            times = [step_seconds(trainer, of_trainer) for _ in range(WARM_UP + STEPS)][WARM_UP:]
            print(f"{size};{name};{';'.join(map(str, times))};{peak_memory() // 2**20}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["steps"]:
        steps(keep=sys.argv[2] == "keep")
    else:
        main()
