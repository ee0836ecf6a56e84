"""Finished trainings whose trainer asks for more epochs now: they are not trained on, and that is said."""

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Sequence
from unittest import mock

from segan_nnunet.data.environment import nnunet_folder
from segan_nnunet.fold_checkpoint import read_fold
from segan_nnunet.grid.jobs import Job
from segan_nnunet.grid.run_state import is_finished


def shorter_trainings(jobs: Sequence[Job]) -> list[str]:
    """Say which finished jobs have fewer epochs than their trainers ask for now, and how to go on."""
    asked: dict[tuple[str, str], int | None] = {}
    said = []
    for job in jobs:
        done = (read_fold(job.folder) or {}).get("current_epoch") if is_finished(job.folder) else None
        if done is None:
            continue
        key = job.trainer, job.plans
        if key not in asked:
            asked[key] = epochs_asked(job)
        wanted = asked[key]
        if wanted is not None and done < wanted:
            command = " ".join(word for word in job.command() if word != "--val")
            said.append(
                f"{job} counts as finished after {done} epochs, and its trainer asks for {wanted} now. To train on: "
                f"{command} --c; to train it anew, remove {job.folder}"
            )
    return said


def epochs_asked(job: Job) -> int | None:
    """The number of epochs of a job's trainer, ours or anybody's; None where it cannot be made here.

    Only an instance knows: nnU-Net's own trainers set it in their __init__, which also begins a log. That goes to a
    folder of its own.
    """
    import torch  # seconds to import
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    preprocessed = nnunet_folder("nnUNet_preprocessed") / job.dataset
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.dict(os.environ, {"nnUNet_results": folder, "nnUNet_wandb_enabled": "0"}),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            found = recursive_find_trainer_class_by_name(job.trainer)
            plans = json.loads((preprocessed / f"{job.plans}.json").read_text()) | {"continue_training": False}
            described = json.loads((preprocessed / "dataset.json").read_text())
            trainer = found(plans, job.configuration, job.fold, described, torch.device("cpu"))
            return int(trainer.num_epochs)
    except Exception:  # a user's trainer raises anything; whether it trains at all is not asked here
        return None
