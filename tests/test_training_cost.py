"""The cost of trainings, computed from nnU-Net's logs."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from segan_nnunet.evaluation.methods.methods_on_cases import Folders, Predictions, compared_folders
from segan_nnunet.evaluation.methods.training import TrainedFold, TrainingCost
from segan_nnunet.evaluation.presentation.result_folder import write_comparison
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.measurement import measure
from segan_nnunet.evaluation.scores.scores import add_scores
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.evaluation.statistics.training_cost import (
    add_cost_ratios,
    cost_column,
    cost_notes,
    equal_time,
    training_costs,
)
from segan_nnunet.validations.training_records import read_cost
from tests.hand_made_results import cubes, write_folder

pytestmark = pytest.mark.usefixtures("quick_correction")


def trained(folder: Path, name: str, epochs: int, epoch_s: float, method: str = "") -> Predictions:
    fold = folder / name / "fold_0"
    fold.mkdir(parents=True)
    (fold / "debug.json").write_text(json.dumps({"num_iterations_per_epoch": "50"}))
    starts = [100.0 + 20 * epoch for epoch in range(epochs)]  # with pauses between them
    log = {"epoch_start_timestamps": starts, "epoch_end_timestamps": [start + epoch_s for start in starts]}
    torch.save({"logging": log}, fold / "checkpoint_final.pth")
    return Predictions(name, {}, method or name, trained_folds=[TrainedFold(0, [], fold, cost=read_cost(fold))])


def test_the_cost_has_the_steps_and_times_computed_by_hand(tmp_path: Path) -> None:
    methods = [
        trained(tmp_path, "A", 10, 9.0),
        trained(tmp_path, "B_seed0", 10, 12.0, "B"),
        trained(tmp_path, "B_seed1", 10, 15.0, "B"),
        trained(tmp_path, "C", 15, 6.25),
        Predictions("a folder of predictions", {}, "a folder of predictions"),
    ]
    costs = training_costs(methods)
    assert costs.set_index("method").to_dict("index") == {
        "A": {"trainings": 1, "steps": 500, "seconds": 90},
        "B": {"trainings": 2, "steps": 500, "seconds": 135},
        "C": {"trainings": 1, "steps": 750, "seconds": 93.75},
    }
    assert cost_notes(costs, "A") == [
        "Training, per fold: A 500 steps in 1.5 min; B equal steps, 1.50 times the time; C 1.50 times the steps, equal "
        "time."
    ]
    assert cost_column(costs) == {"A": "500 steps, 1.5 min", "B": "500 steps, 2.2 min", "C": "750 steps, 1.6 min"}
    pairs = pd.DataFrame({"method": ["B", "C", "a folder of predictions"], "baseline": ["A", "B", "A"]})
    with_ratios = add_cost_ratios(pairs, costs)
    assert with_ratios["steps_ratio"].tolist()[:2] == [1, 1.5] and with_ratios["steps_ratio"].isna()[2]
    assert with_ratios["time_ratio"].tolist()[:2] == [1.5, 93.75 / 135]


def test_a_fold_without_logs_has_no_cost(tmp_path: Path) -> None:
    fold = tmp_path / "A" / "fold_0"
    fold.mkdir(parents=True)
    nothing = training_costs(
        [Predictions("A", {}, "A", trained_folds=[TrainedFold(0, [], fold, cost=read_cost(fold))])]
    )
    assert nothing.empty and cost_notes(nothing, "A") == [] and cost_column(nothing) == {}
    assert cost_notes(pd.DataFrame([{"method": "A", "steps": 5, "seconds": 1.0}]), "A") == []


def test_methods_of_similar_time_form_a_group() -> None:
    costs = pd.DataFrame({"method": list("ABCDE"), "steps": 1, "seconds": [300.0, 100.0, 109.9, 111.0, 320.0]})
    assert equal_time(costs) == [["B", "C"], ["A", "E"]], "D is close to C, but not to B, the fastest"
    assert equal_time(costs.iloc[[0, 1]]) == [] == equal_time(costs.iloc[:0])


def test_methods_of_similar_time_have_a_separate_table(tmp_path: Path) -> None:
    volumes = {"a": cubes(4, 2), "b": cubes(5, 3)}
    truth = write_folder(tmp_path / "truth", volumes)
    folders = {name: write_folder(tmp_path / name, {"a": cubes(5, 2), "b": cubes(5, 2)}) for name in ("A", "B", "C")}
    compared = compared_folders(None, Folders(folders, truth))
    scores = compared.complete(add_scores(measure(compared.cases, compared.labelling), EmptyPolicy.NNUNET))
    settings = Settings(all_pairs=True).resolved(list(compared.methods), compared.labelling)
    for seconds, expected in (((90.0, 300.0, 305.0), {"B", "C"}), ((90.0, 91.0, 92.0), set())):
        costs = [TrainingCost(*cost) for cost in zip((50, 150, 100), seconds, strict=True)]
        predictions = [
            replace(each, trained_folds=[TrainedFold(0, [], truth, cost=cost)])
            for each, cost in zip(compared.predictions, costs, strict=True)
        ]
        output = tmp_path / f"{len(expected)}"
        write_comparison(replace(compared, predictions=predictions), scores, output, settings)
        tables = {path.name for path in output.glob("*equal_time*.md")}
        assert tables == ({"table1_equal_time1.md"} if expected else set())
        if expected:
            table = (output / "table1_equal_time1.md").read_text()
            assert {name for name in "ABC" if f"| {name} |" in table} == expected
            assert "within 10%" in table and "150 steps, 5.0 min" in table
            page = (output / "report.html").read_text()
            assert (
                "equal time of training" in page
                and "150 steps, 5.0 min".replace(" ", "\u00a0").replace(",\u00a0", ", ") in page
            )
            # below three tables in the text, and once on the page
            notes = [line for line in (output / "table1.md").read_text().splitlines() if "Empty masks" in line]
            assert page.count("Empty masks, policy") == len(notes) == 1
