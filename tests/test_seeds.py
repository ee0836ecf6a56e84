"""Trainers with a seed, and means over the seeds of a trainer."""

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.conclusions import scores_of_seeds
from segan_nnunet.evaluation.presentation.table_notes import seed_notes
from segan_nnunet.evaluation.scores.scores import SCORES
from segan_nnunet.evaluation.scores.seeds import UNSEEDED, seed_means
from segan_nnunet.models.plans import spacing_suffix
from segan_nnunet.trainer_names import ModelName, model_parts, seeded, unseeded
from segan_nnunet.training import AdversarialTrainer, SoftmaxTrainer, composed_trainer
from segan_nnunet.validations.trained_models import find_models
from tests.small_trainers import build, same


def test_a_name_with_a_seed_survives_a_round_trip() -> None:
    assert unseeded(seeded("SegANTrainer_short", 3)) == ("SegANTrainer_short", 3)
    assert unseeded("SegANTrainer_short") == ("SegANTrainer_short", None)
    assert unseeded("nnUNetTrainer_until35_seed3") == ("nnUNetTrainer_until35", 3), "with any base name"


def test_the_seed_determines_the_weights_of_both_players(nnunet_folders: Path) -> None:
    catalogue = {"Game": AdversarialTrainer}
    first, again, other = (build(composed_trainer(f"Game_seed{s}", catalogue), nnunet_folders) for s in (1, 1, 2))
    for player in ("network", "critic"):
        one, two, three = (getattr(trainer, player) for trainer in (first, again, other))
        assert same(one, two) and not same(one, three), player


def test_composing_refuses_an_unknown_trainer_name() -> None:
    with pytest.raises(AttributeError, match="no trainer Unknown"):
        composed_trainer("Unknown", {})


def test_seeds_of_a_trainer_share_a_row_unless_requested_by_name(tmp_path: Path) -> None:
    for name in ("A_seed0", "A_seed1", "B"):
        summary = tmp_path / f"{name}__P__2d" / "fold_0" / "validation" / "summary.json"
        summary.parent.mkdir(parents=True)
        summary.touch()
    assert {m.name: m.method for m in find_models(tmp_path, ["2d"], None, None)} == {
        "A_seed0": "A", "A_seed1": "A", "B": "B",
    }  # fmt: skip
    assert [(m.method, m.seed) for m in find_models(tmp_path, ["2d"], ["A_seed1"], None)] == [("A_seed1", UNSEEDED)]
    assert [m.seed for m in find_models(tmp_path, ["2d"], ["A"], None, [1])] == [1]
    with pytest.raises(InputError, match="A_seed7"):
        find_models(tmp_path, ["2d"], ["A"], None, [7])


def test_a_trainer_name_may_contain_two_underscores(tmp_path: Path) -> None:
    assert model_parts("My__Net_seed0__SegANPlans__3d_fullres") == ("My__Net_seed0", "SegANPlans", "3d_fullres")
    assert str(ModelName("My__Net", "P", "2d")) == "My__Net__P__2d"
    (tmp_path / "My__Net__P__2d" / "fold_0" / "validation").mkdir(parents=True)
    (tmp_path / "My__Net__P__2d" / "fold_0" / "validation" / "summary.json").touch()
    assert [model.name for model in find_models(tmp_path, ["2d"], ["My__Net"], ["P"])] == ["My__Net"]


@pytest.mark.parametrize(("spacing", "suffix"), [(None, ""), ((2, 2, 2), "_2mm"), ((3, 1.5, 1.5), "_3x1.5x1.5mm")])
def test_the_plans_suffix_names_the_voxel_size(spacing: tuple[float, ...] | None, suffix: str) -> None:
    assert spacing_suffix(spacing) == suffix


def test_a_voxel_size_must_be_three_positive_numbers() -> None:
    for wrong in ((2, 2), (0, 1, 1), (float("nan"), 1, 1)):
        with pytest.raises(InputError, match="--spacing 2 2 2"):
            spacing_suffix(wrong)


def test_merging_seeds_averages_the_scores_per_case_and_keeps_other_methods() -> None:
    rows = [
        ("A", 0, "a", 0.8, 2.0), ("A", 0, "b", 0.4, np.nan),
        ("A", 1, "a", 0.6, 4.0), ("A", 1, "b", 0.2, 6.0),
        ("B", UNSEEDED, "a", 0.5, 1.0), ("B", UNSEEDED, "b", 0.3, 1.0),
    ]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["method", "seed", "case", "Dice", "HD95_mm"]).assign(
        region="whole", grade="HGG"
    )
    for score in SCORES:
        scores[score.column] = scores.get(score.column, 0.0)
    averaged = seed_means(scores)
    assert list(averaged["method"].unique()) == ["A", "B"] and "seed" not in averaged
    by_case = averaged.set_index(["method", "case"])
    assert by_case["Dice"].to_dict() == pytest.approx({
        ("A", "a"): 0.7, ("A", "b"): 0.3, ("B", "a"): 0.5, ("B", "b"): 0.3,
    })  # fmt: skip
    # one seed defines no distance, so the distance of the other seed counts
    assert by_case["HD95_mm"].loc["A"].to_list() == [3.0, 6.0]
    assert scores_of_seeds(scores, SCORES).set_index("seed")["Dice"].to_dict() == pytest.approx({0: 0.6, 1: 0.4})
    assert seed_notes(scores) == ["A is the mean over the seeds 0, 1 of each case."]


@pytest.mark.parametrize("trainer", [AdversarialTrainer, composed_trainer("Theirs_seed1", {"Theirs": SoftmaxTrainer})])
def test_a_training_uses_the_threads_of_omp_num_threads(
    trainer: Any, nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    try:
        for value in ("1", "3", "none"):
            monkeypatch.setenv("OMP_NUM_THREADS", value)
            torch.set_num_threads(2)  # as nnU-Net does
            build(trainer, nnunet_folders)
            assert torch.get_num_threads() == (2 if value == "none" else int(value))
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's memory is set")
def test_a_training_on_the_cpu_keeps_freed_memory() -> None:
    """In a new process, memory that was freed and is allocated again causes no page faults."""
    code = """
import resource, numpy, torch
from segan_nnunet.training.run.process import set_up_cpu
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        numpy.ones(2**23)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
set_up_cpu(torch.device("cuda"))
given_back = faults()
set_up_cpu(torch.device("cpu"))
faults()
print(given_back, faults())
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    given_back, kept = map(int, printed.split())
    assert kept < 100 < given_back
