"""Ask trainers for their present objectives. Only an instance knows its objective, and nnU-Net's instances write logs.

So another process makes them, with an empty folder of results: `python -m segan_nnunet.grid.objectives`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segan_nnunet.data.planned.plans import read_plans
from segan_nnunet.folds.record import FoldRecord
from segan_nnunet.grid.jobs import Job
from segan_nnunet.text_files import optional_object, read_object
from segan_nnunet.trainer_search import find_trainer


def current_objectives(jobs: Collection[Job]) -> dict[Job, dict[str, Any] | None]:
    """Return the present objective of each job's trainer; None if it is not ours or cannot be made here."""
    if not jobs:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "objectives.json"
        subprocess.run(
            [sys.executable, "-m", "segan_nnunet.grid.objectives", json.dumps([*map(asdict, jobs)]), str(answer)],
            env={**os.environ, "nnUNet_results": folder, "nnUNet_wandb_enabled": "0"},
            capture_output=True,
            check=False,  # a user's trainer may end the process; then no objective is known
        )
        objectives = optional_object(answer).get("objectives") or [None] * len(jobs)
    return dict(zip(jobs, objectives, strict=True))


def objective_of(job: Job) -> dict[str, Any] | None:
    """Make the trainer of a job and return its objective; None if it has none or cannot be made."""
    try:
        trainer = make_trainer(job)
        if not hasattr(trainer, "objective"):
            return None
        trainer.initialize()
        return FoldRecord(objective=trainer.objective()).content()["objective"]
    except (Exception, SystemExit):  # a user's trainer may raise anything, also about plans
        return None


def make_trainer(job: Job) -> Any:
    """Return an instance of a job's trainer on the CPU, not initialised yet."""
    import torch  # seconds to import

    plans = read_plans(job.preprocessed, job.plans) | {"continue_training": False}
    dataset = read_object(job.preprocessed / "dataset.json")
    return find_trainer(job.trainer)(plans, job.configuration, job.fold, dataset, torch.device("cpu"))


if __name__ == "__main__":
    objectives = [objective_of(Job(**job)) for job in json.loads(sys.argv[1])]
    Path(sys.argv[2]).write_text(json.dumps({"objectives": objectives}))
