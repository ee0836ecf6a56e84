"""Run the trainings of protocol.md, from the folder of patients to scores.csv.

After an interruption, the same command continues. To continue with another OUTPUT, copy scores.csv into it: trainings
in scores.csv are not repeated.

usage: python studies/paper/run.py PATIENTS OUTPUT [--steps 1000] [--hours 8] [--arms ARM ...]
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
from analysis import ARMS, DIALS, FOLDS, HERE, SEEDS, TUNED, TUNING_FOLDS, TUNING_SEED, UNCHOSEN, choose, planned

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.data.labelling import read_labelling
from segan_nnunet.data.volumes import read_labels
from segan_nnunet.evaluation.scores.definitions import Hd95, LesionRule, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.lesions import components
from segan_nnunet.evaluation.scores.measurement import Case, measure
from segan_nnunet.evaluation.scores.scores import add_scores
from segan_nnunet.evaluation.scores.surfaces import surface_elements, surface_voxels
from segan_nnunet.folds.checkpoint import read_fold
from segan_nnunet.grid.checks import check_trainers, make_grid
from segan_nnunet.grid.fold_records import check_folds
from segan_nnunet.grid.local import run_locally

DATASET, PLANS = 18, "SegANPlans_2mm"
PLAN = ("--spacing", "2", "2", "2", "--patch-size", "96", "80", "--width", "16", "--batch-size", "8")
AT_ONCE, FEWER_STEPS, OVERHEAD = 2, 600, 1.3  # OVERHEAD: time with start and validation, divided by the epochs' time
GROUPS = (  # what decides most comes first; within a group all arms of a seed before the next seed
    ("SegAN", "Softmax"), ("SegAN_PaperDA", "Softmax_PaperDA", "DiceCE_PaperDA"),
    ("AsPublished", "SegANDice", "DiceCE"), ("s0", "s3"), ("S1_1C", "S3_1C"), ("frozen",),
)  # fmt: skip
COLUMNS = ["TP", "FP", "FN", "TN", "Dice", "Precision", "Sensitivity", "HD95_mm", "prediction_ml", "reference_ml"]
KEYS = ["arm", "setting", "steps", "seed", "fold"]
ANY_PART = LesionRule("none: components of 26 neighbours", Hd95.DIRECTED_MAX, penalty_mm=0)

Training = tuple[str, str, int, int, int]  # arm, setting, steps, seed, fold


def main() -> None:
    """Prepare, tune, choose, confirm; scores.csv grows after every group of trainings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patients", type=Path, help="MICCAI_BraTS_2018_Data_Training of the twenty patients")
    parser.add_argument("output", type=Path, help="nnU-Net's three folders, and scores.csv")
    parser.add_argument("--steps", type=int, default=1000, help="of a training")
    longer = f"if the confirmation would take longer, its trainings have {FEWER_STEPS} steps"
    parser.add_argument("--hours", type=float, default=8.0, help=longer)
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS, help="confirm only these")
    arguments = parser.parse_args()
    out = arguments.output.resolve()
    set_environment(out)
    prepare(arguments.patients)
    tuning = [
        (arm, setting, arguments.steps, TUNING_SEED, fold)
        for fold in TUNING_FOLDS for arm, settings in TUNED.items() for setting in settings
    ]  # fmt: skip
    scores = train(tuning, out)
    chosen, steps = choose(scores), confirmation_steps(scores, arguments.steps, arguments.hours)
    if missing := [arm for arm in ARMS if arm not in chosen]:
        sys.exit(f"the tuning of {', '.join(missing)} is not complete; see the failed trainings above, and start again")
    print(f"chosen: {chosen}; {steps} steps", flush=True)
    for group in GROUPS:
        for seed in SEEDS:
            arms = [arm for arm in group if arm in arguments.arms]
            wanted = [(arm, chosen[arm], steps, s, fold) for arm in arms for _, s, fold in planned(arm) if s == seed]
            if "SegAN" in arms and chosen["SegAN"] in DIALS[1:]:
                wanted += [("SegAN", DIALS[0], steps, seed, fold) for fold in UNCHOSEN]
            if wanted:
                scores = train(sorted(wanted, key=lambda training: training[-1]), out)
    print(f"{out / 'scores.csv'}: {len(scores)} rows; next: python {HERE / 'analysis.py'} {out / 'scores.csv'}")


def set_environment(out: Path) -> None:
    """Put nnU-Net's folders into OUTPUT, the study's trainers beside the catalogue's; one thread for each training."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (out / name).mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(out / name)
    os.environ["nnUNet_extTrainer"] = os.pathsep.join(map(str, (catalogue_folder("trainers"), HERE / "trainers")))
    # no workers: on one thread a training is then repeated bit for bit
    os.environ |= {"OMP_NUM_THREADS": "1", "nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "2"}


def prepare(patients: Path) -> None:
    """Convert, plan at 2 mm, preprocess and split into five folds, unless it was done."""
    dataset = str(DATASET)
    if list(nnunet_folder("nnUNet_preprocessed").glob(f"Dataset{DATASET:03d}_*/splits_final.json")):
        return
    commands = [["plan", "-d", dataset, *PLAN], ["split", "-d", dataset, "-k", str(len(FOLDS))]]
    if not list(nnunet_folder("nnUNet_raw").glob(f"Dataset{DATASET:03d}_*")):
        commands.insert(0, ["convert", "brats2018", str(patients), "-d", dataset])
    for command in commands:
        subprocess.run([sys.executable, "-m", "segan_nnunet", *command], check=True)


def trainer_of(training: Training) -> str:
    """Return the name of a training's trainer, without its seed."""
    arm, setting, steps, *_ = training
    paper_da = "_PaperDA" if arm.endswith("_PaperDA") else ""
    return f"{arm.removesuffix('_PaperDA')}_{setting}_{steps}{paper_da}"


def train(wanted: Sequence[Training], out: Path) -> pd.DataFrame:
    """Train what scores.csv lacks, two at a time, add its scores to scores.csv, and return all scores."""
    table = out / "scores.csv"
    scores = pd.read_csv(table) if table.is_file() else pd.DataFrame(columns=KEYS)
    known = set(scores[KEYS].itertuples(index=False, name=None))
    jobs = {}
    for training in wanted:
        if training not in known:
            *_, seed, fold = training
            grid = make_grid(DATASET, [trainer_of(training)], [PLANS], [fold], device="cpu", seeds=[seed])
            jobs[training] = grid, grid.jobs()[0]
    if not jobs:
        return scores
    check_trainers([job.trainer for _, job in jobs.values()])
    check_folds([job for _, job in jobs.values()])
    run_locally([job for grid, _ in jobs.values() for job in grid.open_jobs()], AT_ONCE)
    for training, (grid, job) in jobs.items():
        if not grid.open_jobs():
            scores = pd.concat([scores, scores_of(training, job.folder)], ignore_index=True)
            scores.to_csv(table.with_suffix(".part"), index=False, float_format="%.6g")
            table.with_suffix(".part").replace(table)
    return scores


def scores_of(training: Training, folder: Path) -> pd.DataFrame:
    """Return one row per case and region of a finished training."""
    preprocessed = nnunet_folder("nnUNet_preprocessed") / dataset_name(DATASET)
    labelling = read_labelling(preprocessed / "dataset.json")
    cases = [
        Case(path.name.removesuffix(".nii.gz"), preprocessed / "gt_segmentations" / path.name, {"": path})
        for path in sorted((folder / "validation").glob("*.nii.gz"))
    ]
    scores = add_scores(measure(cases, labelling, 1, Measures(nsd_mm=())), EmptyPolicy.BRATS)
    noise = {}
    for case in cases:
        truth = read_labels(case.reference, labelling)
        predicted = read_labels(case.predictions[""], labelling, truth.grid).voxels
        for region, values in labelling.regions.items():
            masks = np.isin(predicted, values), np.isin(truth.voxels, values)
            noise[case.case_id, region] = noise_of(*masks, truth.grid.spacing[::-1])
    pairs = zip(scores["case"], scores["region"], strict=True)
    scores[["FalseComponents", "SurfacePerVolume"]] = [noise[pair] for pair in pairs]
    keys = dict(zip(KEYS, training, strict=True))
    kept, log = ["case", "region", *COLUMNS, "FalseComponents", "SurfacePerVolume"], log_of(folder)
    return scores.assign(**keys, **log)[[*keys, *kept, *log]]


def noise_of(predicted: np.ndarray, true: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[int, float]:
    """Return the number of predicted components without a true voxel, and surface per volume against the truth's.

    The ratio is NaN where one of the masks is empty.
    """
    false = int((~components(predicted, true, ANY_PART).touching.any(axis=0)).sum())
    if not (predicted.any() and true.any()):
        return false, np.nan
    areas = [surface_elements(mask, surface_voxels(mask), spacing_mm).areas.sum() for mask in (predicted, true)]
    return false, float(areas[0] / predicted.sum() / (areas[1] / true.sum()))


def log_of(folder: Path) -> dict[str, object]:
    """Return what a training's log says: when it began, seconds of its epochs, pseudo Dice, the segmentor's loss."""
    log = (read_fold(folder) or {})["logging"]
    dice, loss = (np.array(log[key], dtype=float) for key in ("mean_fg_dice", "train_losses"))
    begins, ends = (np.array(log[f"epoch_{when}_timestamps"], dtype=float) for when in ("start", "end"))
    return {
        "begun": datetime.fromtimestamp(begins[0], timezone.utc).isoformat(timespec="seconds"),
        "seconds": float((ends - begins[: len(ends)]).sum()),
        "best_minus_last": float(dice.max() - dice[-1]),
        "loss_max": float(loss.max()),
        "loss_change": float(loss[-1] - loss[-2]) if len(loss) > 1 else np.nan,
    }


def confirmation_steps(scores: pd.DataFrame, steps: int, hours: float) -> int:
    """Return the number of steps of the confirmation: at most FEWER_STEPS if it would take more than `hours`."""
    tuning = scores[(scores["seed"] == TUNING_SEED) & (scores["steps"] == steps)]
    seconds = tuning.drop_duplicates(["arm", "setting", "fold"])["seconds"].median()
    number = sum(len(planned(arm)) for arm in ARMS)
    projected = number * seconds * OVERHEAD / AT_ONCE / 3600
    print(f"confirmation: {number} trainings, about {projected:.1f} hours with {steps} steps", flush=True)
    return steps if projected <= hours else min(steps, FEWER_STEPS)


if __name__ == "__main__":
    main()
