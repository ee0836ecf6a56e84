"""`benchmark`: what a training step costs, beside its floor, the authors' loop, and nnU-Net's own step.

Everything is measured in one run, the candidates taking turns, so that a machine's drift falls on all of them alike.
"""

from segan_nnunet.experiments.benchmark.inference import inference
from segan_nnunet.experiments.benchmark.pipeline import pipeline
from segan_nnunet.experiments.benchmark.steps import benchmark
from segan_nnunet.experiments.benchmark.tables import inference_table, pipeline_lines, step_table
from segan_nnunet.experiments.benchmark.workload import Workload

__all__ = ["Workload", "benchmark", "inference", "inference_table", "pipeline", "pipeline_lines", "step_table"]
