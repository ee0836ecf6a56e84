"""The rules of the replication (studies/paper/protocol.md): every verdict from hand-made scores, and measurements."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

STUDY = Path(__file__).resolve().parents[1] / "studies" / "paper"


def load(name: str, folder: Path = STUDY) -> Any:
    """Import a file of the study, which is not a package."""
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


analysis = load("analysis")
CASES = [f"case{number:02d}" for number in range(20)]  # four cases per fold
SETTINGS = {"SegAN": "dial50", "Softmax": "lr1e3", "DiceCE": "lr1e3", "AsPublished": "lr1e3", "SegANDice": "own"}
PERFECT = {"best_minus_last": 0.01, "loss_max": 0.7, "loss_change": -0.005, "seconds": 60.0}


def setting(arm: str) -> str:
    return SETTINGS.get(arm.removesuffix("_PaperDA"), "dial50")


def scores_of(
    arms: Mapping[str, Mapping[str, float]], spread: float = 0.004, seeds: tuple[int, ...] = (1, 2, 3)
) -> pd.DataFrame:
    """Return scores of a confirmation: all arms are equal except for the added values and a little noise."""
    random = np.random.default_rng(0)
    alike = {"Dice": 0.7, "Precision": 0.7, "Sensitivity": 0.7, "HD95_mm": 30.0, "FalseComponents": 5.0}
    alike |= {"SurfacePerVolume": 1.2, "TP": 7.0, "FP": 3.0, "FN": 3.0, "TN": 90.0}
    rows = []
    for arm, added in arms.items():
        for seed in seeds[: analysis.ARMS[arm]]:
            for number, case in enumerate(CASES):
                for region in analysis.REGIONS:
                    values = {
                        score: value + added.get(score, 0.0) + added.get(f"{score} {region}", 0.0)
                        + spread * random.normal() * (1 if value < 2 else 100)
                        for score, value in alike.items()
                    }  # fmt: skip
                    keys = {"arm": arm, "setting": setting(arm), "steps": 1000, "seed": seed, "fold": number // 4}
                    rows.append({**keys, "case": case, "region": region, **values, **PERFECT})
    return pd.DataFrame(rows)


def verdict_of(claim: str, rows: pd.DataFrame) -> str:
    return next(judged.verdict for judged in analysis.judge_claims(rows) if judged.name == claim)


@pytest.mark.parametrize(
    "gain, spread, verdict",
    [
        (0.05, 0.004, "supported"),
        (0.0, 0.004, "not supported"),  # the data exclude an advantage of .02
        (-0.05, 0.004, "contradicted"),
        (0.01, 0.15, "not decided by these data"),
    ],
)
def test_the_higher_dice_claim_can_get_every_verdict(gain: float, spread: float, verdict: str) -> None:
    assert verdict_of("C1", scores_of({"SegAN": {"Dice": gain}, "Softmax": {}}, spread)) == verdict


def test_a_missing_training_leaves_only_its_claims_untested() -> None:
    arms = {"SegAN": {"Dice": 0.05}, "Softmax": {}, "s0": {}, "s3": {"Dice": -0.01}}
    rows = scores_of(arms)
    rows = rows[~((rows["arm"] == "s3") & (rows["seed"] == 2) & (rows["fold"] == 4))]
    assert verdict_of("C2", rows) == "not yet tested: 34 of 35 trainings"
    assert verdict_of("C1", rows) == "supported"
    assert verdict_of("C6", rows) == "not yet tested: 0 of 30 trainings"


def test_a_higher_mean_with_a_lower_region_is_not_supported() -> None:
    added = {"Dice whole tumor": 0.1, "Dice tumor core": 0.1, "Dice enhancing tumor": -0.02}
    assert verdict_of("C1", scores_of({"SegAN": added, "Softmax": {}})) == "not supported"


def test_a_gain_on_only_the_tuning_folds_is_not_shown() -> None:
    rows = scores_of({"SegAN": {}, "Softmax": {}})
    chosen_on = rows["fold"].isin([0, 1])
    rows.loc[(rows["arm"] == "SegAN") & chosen_on, "Dice"] += 0.06
    rows.loc[(rows["arm"] == "SegAN") & ~chosen_on, "Dice"] -= 0.004
    assert verdict_of("C1", rows) != "supported"


def test_the_multi_scale_claim_needs_the_largest_gain_inside() -> None:
    inside = {"Dice tumor core": 0.06, "Dice enhancing tumor": 0.06, "Dice whole tumor": 0.03}
    assert verdict_of("C2", scores_of({"SegAN": inside, "s0": {}, "s3": {}})) == "supported"
    outside = {"Dice tumor core": 0.03, "Dice enhancing tumor": 0.03, "Dice whole tumor": 0.09}
    assert verdict_of("C2", scores_of({"SegAN": outside, "s0": {}, "s3": {}})) == "not supported"


@pytest.mark.parametrize(
    "separate, shared, spread, verdict",
    [
        (0.0, -0.05, 0.004, "supported"),
        (0.05, 0.05, 0.004, "contradicted"),  # S1-1C and S3-1C are both better by more than the margin
        (0.0, 0.0, 0.004, "not supported"),  # as good as S1-1C, but not better than S3-1C
        (0.02, -0.05, 0.004, "not decided by these data"),  # exactly at the margin
    ],
)
def test_the_joint_training_claim_needs_equivalence_to_s1_1c_and_a_gain_over_s3_1c(
    separate: float, shared: float, spread: float, verdict: str
) -> None:
    rows = scores_of({"SegAN": {}, "S1_1C": {"Dice": separate}, "S3_1C": {"Dice": shared}}, spread)
    assert verdict_of("C3", rows) == verdict


def test_the_smoother_mask_claim_needs_less_noise_in_every_score() -> None:
    clean = {"FalseComponents": -2.0, "SurfacePerVolume": -0.2, "HD95_mm": -3.0}
    assert verdict_of("C5", scores_of({"SegAN": clean, "Softmax": {}})) == "supported"
    noisy = {score: -value for score, value in clean.items()}
    assert verdict_of("C5", scores_of({"SegAN": noisy, "Softmax": {}})) == "contradicted"
    mixed = {**clean, "FalseComponents": 2.0}
    assert verdict_of("C5", scores_of({"SegAN": mixed, "Softmax": {}})) == "not supported"


@pytest.mark.parametrize(
    "column, value, verdict",
    [
        ("best_minus_last", 0.01, "supported"),
        ("best_minus_last", 0.04, "not supported"),
        ("loss_change", 0.1, "not supported"),
        ("loss_max", 1.01, "contradicted"),
        ("loss_max", np.nan, "contradicted"),
    ],
)
def test_the_stability_claim_needs_a_bounded_loss_and_a_stable_score(column: str, value: float, verdict: str) -> None:
    assert verdict_of("C4", scores_of({"SegAN": {}}).assign(**{column: value})) == verdict


def test_diverged_trainings_invalidate_a_comparison() -> None:
    rows = scores_of({"SegAN": {}, "Softmax": {}})
    rows.loc[(rows["arm"] == "Softmax") & (rows["fold"] == 0), "Dice"] = 0.05
    assert verdict_of("C1", rows) == "invalid: trainings of Softmax diverged"


def test_gains_are_positive_in_the_claimed_direction_and_exclude_undefined_regions() -> None:
    rows = scores_of({"SegAN": {"Dice": 0.1, "HD95_mm": 3.0}, "Softmax": {}}, spread=0.0)
    pair = analysis.Condition("", "SegAN", "Softmax")
    assert analysis.difference(rows, pair).gain == pytest.approx(0.1)
    assert analysis.difference(rows, pair._replace(score="HD95_mm")).gain == pytest.approx(-3)
    # whole tumour of one case: 0.4 more than the 0.1 of the others, but undefined for one seed of the other arm
    first = (rows["case"] == "case00") & (rows["region"] == "whole tumor")
    rows.loc[first & (rows["arm"] == "SegAN"), "Dice"] += 0.4
    assert analysis.difference(rows, pair).gain == pytest.approx(0.1 + 0.4 / 3 / 20)
    rows.loc[first & (rows["arm"] == "Softmax") & (rows["seed"] == 2), "Dice"] = np.nan
    assert analysis.difference(rows, pair).gain == pytest.approx(0.1)
    inner = pair._replace(regions=analysis.INNER, other="SegAN")
    assert analysis.difference(rows, inner).gain == pytest.approx(0)


def tuning(dice: Mapping[str, float], false: Mapping[str, float]) -> pd.DataFrame:
    """Return scores of the tuning. Unnamed settings have a Dice of .5 and 9 false components."""
    rows = []
    for arm, settings in analysis.TUNED.items():
        for name in settings:
            values = {
                "Dice": dice.get(f"{arm} {name}", dice.get(name, 0.5)),
                "FalseComponents": false.get(name, 9.0),
                **PERFECT,
            }
            values |= dict.fromkeys(["HD95_mm", "Precision", "Sensitivity", "SurfacePerVolume"], 1.0)
            rows += [
                {"arm": arm, "setting": name, "steps": 1000, "seed": 0, "fold": fold, "case": f"case{fold * 4:02d}",
                 "region": region, **values}
                for fold in (0, 1) for region in analysis.REGIONS
            ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_choice_has_the_fewest_false_components_among_the_best() -> None:
    dice = {"dial100": 0.66, "dial75": 0.657, "dial50": 0.656, "dial0": 0.65, "lr4e3": 0.7, "lr2e3": 0.694}
    dice |= {"SegAN lr4e3": 0.659, "SegAN lr2e3": 0.5}
    false = {"dial100": 8.0, "dial75": 6.0, "dial50": 5.0, "dial0": 3.0, "lr4e3": 7.0, "lr2e3": 2.0}
    chosen = analysis.choose(tuning({**dice, "letter": 0.1}, false))
    assert (chosen["SegAN"], chosen["s0"], chosen["SegAN_PaperDA"]) == ("dial50", "dial50", "dial50")
    assert (chosen["Softmax"], chosen["DiceCE_PaperDA"]) == ("lr4e3", "lr4e3")
    assert chosen["AsPublished"] == "lr1e3"
    assert analysis.choose(tuning({**dice, "letter": 0.4}, false))["AsPublished"] == "letter"
    scores = tuning(dice, false)
    unfinished = scores[~((scores["setting"] == "dial0") & (scores["fold"] == 1))]
    assert not {"SegAN", "s0", "frozen"} & set(analysis.choose(unfinished))


def test_the_dial_becomes_the_default_only_without_loss_of_dice() -> None:
    chosen = {"SegAN": "dial50"}
    default = scores_of({"SegAN": {}}).assign(setting="dial100")
    for dice, words in ((-0.003, "It becomes the default"), (-0.02, "It does not become the default")):
        helped = scores_of({"SegAN": {"Dice": dice, "FalseComponents": -2.0}})
        assert words in analysis.dial_default(pd.concat([default, helped]), chosen)
    assert analysis.dial_default(default, chosen) == "not yet tested: 9 of 18 trainings"


def test_the_report_accepts_complete_and_partial_scores(tmp_path: Path) -> None:
    best = {"dial50": 0.7, "lr1e3": 0.7}
    whole = pd.concat([tuning({**best, "letter": 0.1}, {}), scores_of({arm: {} for arm in analysis.ARMS})])
    text = analysis.report(whole, tmp_path)
    assert "170 of 170 trainings, 1000 steps" in text and "not yet tested" not in text.split("## The dial")[0]
    assert (tmp_path / "figure2.png").is_file() and "published" in text
    partial = analysis.report(tuning({**best, "letter": 0.1}, {}), tmp_path)
    assert partial.count("not yet tested") == len(analysis.CLAIMS) + 1 and "0 of 170 trainings" in partial


def test_the_report_refuses_mixed_lengths_and_missing_cases() -> None:
    rows = scores_of({"SegAN": {}})
    chosen = {"SegAN": "dial50"}
    with pytest.raises(ValueError, match="600"):
        analysis.confirmation(rows.assign(steps=np.where(rows["seed"] == 1, 600, 1000)), chosen)
    with pytest.raises(ValueError, match="missing"):
        analysis.confirmation(rows.drop(rows.index[0]), chosen)
    with pytest.raises(ValueError, match="twice"):
        analysis.confirmation(pd.concat([rows, rows.iloc[:3].assign(fold=4)]), chosen)


def test_mask_noise_is_false_components_and_the_surface_ratio() -> None:
    run = load("run")
    true = np.zeros((20, 20, 20), bool)
    true[5:15, 5:15, 5:15] = True
    assert run.noise_of(true, true, (1.0, 1.0, 1.0)) == (0, 1.0)
    predicted = true.copy()
    predicted[0, 0, 0] = predicted[19, 19, 19] = True
    false, ratio = run.noise_of(predicted, true, (1.0, 1.0, 1.0))
    assert false == 2 and 1 < ratio < 1.1
    false, ratio = run.noise_of(predicted & ~true, np.zeros_like(true), (1.0, 1.0, 1.0))
    assert false == 2 and np.isnan(ratio)


def test_the_study_builds_trainers_from_their_names() -> None:
    study = load("paper_study", STUDY / "trainers")
    trainer = study.Softmax_lr3e4_1000_PaperDA
    assert (trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.initial_lr) == (10, 100, 3e-4)
    assert trainer.oversample_foreground_percent == 0
    assert study.SegANDice_own_50.initial_lr == 2e-4 and study.SegANDice_own_50.num_iterations_per_epoch == 50
    with pytest.raises(AttributeError):
        _ = study.Softmax_lr9e9_1000


def test_the_committed_results_follow_from_the_committed_scores(tmp_path: Path) -> None:
    scores = pd.read_csv(STUDY / "scores.csv")
    assert analysis.report(scores, tmp_path) == (STUDY / "results.md").read_text(encoding="utf-8")
