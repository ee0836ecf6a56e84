"""Print the cost of each trainer's step for docs/trainers.md.

usage: python studies/performance/trainer_costs.py

This counts operations. Their number is the same on every machine, and proportional to the batch size.
"""

from segan_nnunet.catalogues import load_trainers
from segan_nnunet.experiments.benchmark import Workload
from segan_nnunet.experiments.benchmark.candidates import build
from segan_nnunet.experiments.benchmark.steps import operations

TRAINERS = (
    "UNetSoftmaxTrainer",
    "SegANTrainer",
    "SegANTrainer_asPublished",
    "SegANTrainer_S1_1C",
    "SegANTrainer_S3_1C",
    "SegANTrainer_s0",
    "SegANTrainer_s3",
    "SegANDiceTrainer",
)

catalogue = load_trainers()
workload = Workload(batch=2)
batch = workload.make_batch()
print("| trainer | Gflop per 160x160 slice | times the baseline's | parameters, S | C |")
print("| --- | ---: | ---: | ---: | ---: |")
baseline = None
for name in TRAINERS:
    trainer = build(getattr(catalogue, name), workload)
    cost = operations(trainer, batch) / workload.batch
    baseline = baseline or cost
    players = (trainer.network, getattr(trainer, "critic", None))
    numbers = [sum(p.numel() for p in player.parameters()) if player else 0 for player in players]
    millions = " | ".join(f"{number / 1e6:.1f} M" if number else "–" for number in numbers)
    print(f"| `{name}` | {cost / 1e9:.1f} | {cost / baseline:.2f} | {millions} |")
