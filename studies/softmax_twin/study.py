"""Run the whole study of protocol.md: data, choice, comparison. After an interruption, the same command continues.

usage: python studies/softmax_twin/study.py BRATS2018 BRATS2015 OUTPUT
    BRATS2018   MICCAI_BraTS_2018_Data_Training of the twenty patients
    BRATS2015   folder of the six patients: brats_2013_pat0001_1/ ...
    OUTPUT      folder for nnU-Net's three folders, the comparisons choice/, long/, adversary/, six/, and results.md
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from segan_nnunet.catalogues import catalogue_folder
from segan_nnunet.evaluation.scores.scores import DICE, HD95
from segan_nnunet.evaluation.statistics.intervals import mean_interval
from segan_nnunet.evaluation.statistics.paired import wilcoxon

HERE = Path(__file__).resolve().parent
SIX_PATIENTS = HERE.parents[1] / "docs" / "six_patients.toml"
SEGAN, SOFTMAX = ("SegAN", "SegAN_critic1e4", "SegAN_Eq3"), ("Softmax", "Softmax_lr3e3", "Softmax_lr3e4")
CONTROL = "SegAN_before"
FROZEN = {"SegAN": "SegAN_frozen", "SegAN_critic1e4": "SegAN_frozen", "SegAN_Eq3": "SegAN_Eq3_frozen"}
TWENTY, SIX = "18", "16"
PLANS = "SegANPlans_2mm"
SMALL = ("--patch-size", "96", "80", "--width", "16", "--batch-size", "8")


def main(brats2018: str, brats2015: str, output: str) -> None:
    """Run the missing parts of the study, and write results.md."""
    out = Path(output).resolve()
    start = time.monotonic()
    set_environment(out)
    prepare(TWENTY, out, ["brats2018", brats2018], folds=5)
    prepare(SIX, out, [brats2015, "--layout", str(SIX_PATIENTS)], folds=3)

    candidates = [f"{name}_600" for name in (*SEGAN, *SOFTMAX, CONTROL)]
    train(TWENTY, candidates, "--folds", "0", "1", "--seeds", "0")
    choice = scores(compare(TWENTY, candidates, out / "choice", "--folds", "0", "1", "--seeds", "0"))
    segan, softmax = (best(choice, [f"{name}_600" for name in names]) for names in (SEGAN, SOFTMAX))
    frozen = f"{FROZEN[segan]}_1000"

    finalists = [f"{segan}_1000", f"{softmax}_1000"]
    train(TWENTY, finalists, "--seeds", "0", "1", "2")
    train(TWENTY, [frozen], "--seeds", "0", "1")
    longest = [f"{segan}_2400", f"{softmax}_2400"]
    train(TWENTY, longest, "--folds", "2", "--seeds", "0")
    pair = [f"{segan}_600", f"{softmax}_600"]
    train(SIX, pair, "--seeds", "0")

    long = scores(compare(TWENTY, finalists, out / "long", "--seeds", "0", "1", "2"))
    adversary = scores(compare(TWENTY, [finalists[0], frozen], out / "adversary", "--seeds", "0", "1"))
    six = scores(compare(SIX, pair, out / "six", "--seeds", "0"))
    unseen = long[long.index.isin([case for fold in (2, 3, 4) for case in validation_cases(out, fold)], level="case")]
    text = [
        f"Choice: folds 0 and 1, 600 steps, seed 0\n\n{means_table(choice)}",
        f"Comparison: five folds, 1,000 steps, seeds 0 to 2\n\n{means_table(long)}",
        differences_table(long, *finalists),
        f"The same on the patients of folds 2 to 4\n\n{differences_table(unseen, *finalists)}",
        f"Adversary: five folds, 1,000 steps, seeds 0 and 1\n\n{means_table(adversary)}",
        differences_table(adversary, finalists[0], frozen),
        f"Pseudo Dice by epoch, 1,000 steps\n\n{curves_table(out, [*finalists, frozen])}",
        f"Pseudo Dice by epoch, 2,400 steps, fold 2\n\n{curves_table(out, longest)}",
        f"Shares of the gradient, 1,000 steps\n\n{shares_table(out, finalists[0])}",
        f"Six patients: three folds, 600 steps, seed 0\n\n{means_table(six)}",
        differences_table(six, *pair),
    ]
    (out / "results.md").write_text("\n\n".join(text) + "\n")
    print((out / "results.md").read_text(), f"{(time.monotonic() - start) / 60:.0f} minutes", sep="\n")


def set_environment(out: Path) -> None:
    """Set nnU-Net's folders to OUTPUT, and add the study's trainers to nnUNet_extTrainer."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (out / name).mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(out / name)
    os.environ["nnUNet_extTrainer"] = os.pathsep.join(map(str, (catalogue_folder("trainers"), HERE / "trainers")))
    os.environ["nnUNet_def_n_proc"] = "2"
    os.environ["nnUNet_n_proc_DA"] = "1"  # two trainings run at once


def run(*command: str) -> None:
    """Run a command of segan_nnunet. If it fails, stop the study."""
    print("segan_nnunet", *command, flush=True)
    subprocess.run([sys.executable, "-m", "segan_nnunet", *command], check=True)


def prepare(dataset: str, out: Path, source: list[str], folds: int) -> None:
    """Convert, plan at half resolution, preprocess and split, unless this is done."""
    if list((out / "nnUNet_preprocessed").glob(f"Dataset0{dataset}_*/splits_final.json")):
        return
    if not list((out / "nnUNet_raw").glob(f"Dataset0{dataset}_*")):
        run("convert", *source, "-d", dataset)
    run("plan", "-d", dataset, "--spacing", "2", "2", "2", *SMALL)
    run("split", "-d", dataset, "-k", str(folds))


def train(dataset: str, trainers: Sequence[str], *options: str) -> None:
    """Train the missing jobs of a grid, two at once."""
    run("crossval", "-d", dataset, "-tr", *trainers, "-p", PLANS, *options, "--jobs", "2", "-device", "cpu")


def compare(dataset: str, trainers: list[str], folder: Path, *options: str) -> Path:
    """Compare with BraTS's policy for empty masks, which defines every score. Return the table of cases."""
    run("compare", "-d", dataset, "-tr", *trainers, "-p", PLANS, *options, "--empty", "brats", "-o", str(folder))
    return folder / "cases.csv"


def scores(cases: Path) -> pd.DataFrame:
    """Read the mean Dice and HD95 over regions of each method and case. `compare` has averaged the seeds."""
    columns = [DICE.column, HD95.column]
    return pd.read_csv(cases).groupby(["method", "case"], sort=False)[columns].mean()


def best(table: pd.DataFrame, trainers: Iterable[str]) -> str:
    """Return the name, without its length, of the trainer with the highest mean Dice."""
    return max(trainers, key=lambda name: table.loc[name, DICE.column].mean()).removesuffix("_600")


def means_table(table: pd.DataFrame) -> str:
    """Return the mean Dice and HD95 of each trainer over its cases."""
    rows = ["| trainer | cases | mean Dice | HD95 (mm) |", "| --- | ---: | ---: | ---: |"]
    for trainer, of_trainer in table.groupby("method", sort=False):
        dice, distance = of_trainer[DICE.column].mean(), of_trainer[HD95.column].mean()
        rows.append(f"| {trainer} | {len(of_trainer)} | {dice:.3f} | {distance:.1f} |")
    return "\n".join(rows)


def validation_cases(out: Path, fold: int) -> list[str]:
    """Return the validation cases of a fold of the twenty patients."""
    (path,) = (out / "nnUNet_preprocessed").glob(f"Dataset0{TWENTY}_*/splits_final.json")
    return json.loads(path.read_text())[fold]["val"]


def differences_table(table: pd.DataFrame, trainer: str, other: str) -> str:
    """Return the paired differences over cases with Wilcoxon's p and, for ten or more cases, the 95 % interval."""
    rows = [f"| {trainer} − {other} | mean | 95 % | p | cases won |", "| --- | ---: | --- | ---: | ---: |"]
    for score in (DICE, HD95):
        pairs = (table.loc[trainer, score.column] - table.loc[other, score.column]).to_numpy()
        low, high = mean_interval(pairs, score.low - score.high, score.high - score.low)
        interval = "–" if np.isnan(low) else f"{low:+.3f} to {high:+.3f}"
        won = (pairs > 0 if score.higher_is_better else pairs < 0).sum()
        rows.append(
            f"| {score.column} | {pairs.mean():+.3f} | {interval} | {wilcoxon(pairs)[0]:.3f} | {won} of {len(pairs)} |"
        )
    return "\n".join(rows)


def logs(out: Path, trainer: str) -> dict[str, list[dict]]:
    """Return nnU-Net's logs of a trainer's trainings, by the trainer's name with its seed."""
    by_trainer: dict[str, list[dict]] = defaultdict(list)
    for path in sorted(
        (out / "nnUNet_results").glob(f"Dataset0{TWENTY}_*/{trainer}_seed*/fold_*/checkpoint_final.pth")
    ):
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        by_trainer[path.parents[1].name.split("__")[0]].append(checkpoint["logging"])
    return by_trainer


def curves_table(out: Path, trainers: list[str]) -> str:
    """Return the best and last pseudo Dice of each seed, averaged over folds, and the largest fall in one fold."""
    rows = [
        "| seed | best epoch | last epoch | fall | largest fall of one fold |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for trainer in trainers:
        for name, of_folds in sorted(logs(out, trainer).items()):
            curves = np.array([log["mean_fg_dice"] for log in of_folds])  # (folds, epochs)
            mean = curves.mean(0)
            largest = (curves.max(1) - curves[:, -1]).max()
            rows.append(f"| {name} | {mean.max():.3f} | {mean[-1]:.3f} | {mean.max() - mean[-1]:.3f} | {largest:.3f} |")
    return "\n".join(rows)


def shares_table(out: Path, trainer: str) -> str:
    """Return each layer's share of the gradient at S(x): mean and minimum over the trainings."""
    shares = np.array(
        [
            np.mean(log["gradient_share_per_layer"], axis=0)
            for of_folds in logs(out, trainer).values()
            for log in of_folds
        ]
    )  # (trainings, layers)
    rows = ["| layer | mean share | smallest of a training |", "| ---: | ---: | ---: |"]
    for layer, of_layer in enumerate(shares.T):
        rows.append(f"| {layer} | {of_layer.mean():.1%} | {of_layer.min():.1%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
