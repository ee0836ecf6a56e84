"""`benchmark`: measure the cost of a training step against its floor, the authors' loop and nnU-Net's own step.

One run measures all candidates in turns, so a drift of the machine affects all of them equally.
"""

from segan_nnunet.experiments.benchmark.inference import inference
from segan_nnunet.experiments.benchmark.pipeline import pipeline
from segan_nnunet.experiments.benchmark.steps import benchmark
from segan_nnunet.experiments.benchmark.tables import inference_table, pipeline_lines, step_table
from segan_nnunet.experiments.benchmark.workload import Workload

__all__ = ["Workload", "benchmark", "inference", "inference_table", "pipeline", "pipeline_lines", "step_table"]
