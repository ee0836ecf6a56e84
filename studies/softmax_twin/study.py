"""The study of protocol.md, whole: data, choice, comparison. Given again after an interruption, it goes on.

usage: python docs/study.py BRATS2018 BRATS2015 OUTPUT
    BRATS2018   MICCAI_BraTS_2018_Data_Training of the twenty patients
    BRATS2015   the six patients: brats_2013_pat0001_1/ ...
    OUTPUT      a folder: nnU-Net's three folders, the comparisons choice/, long/, adversary/, six/, and results.md
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from segan_nnunet.catalogues import catalogue_folder

HERE = Path(__file__).resolve().parent
SEGAN, SOFTMAX = ("SegAN", "SegAN_critic1e4", "SegAN_Eq3"), ("Softmax", "Softmax_lr3e3", "Softmax_lr3e4")
CONTROL = "SegAN_before"
FROZEN = {"SegAN": "SegAN_frozen", "SegAN_critic1e4": "SegAN_frozen", "SegAN_Eq3": "SegAN_Eq3_frozen"}
TWENTY, SIX = "18", "16"
PLANS = "SegANPlans_2mm"
SMALL = ("--patch-size", "96", "80", "--width", "16", "--batch-size", "8")


def main(brats2018: str, brats2015: str, output: str) -> None:
    """Run what is missing of the study, and write results.md."""
    out = Path(output).resolve()
    start = time.monotonic()
    set_environment(out)
    prepare(TWENTY, out, ["brats2018", brats2018], folds=5)
    prepare(SIX, out, [brats2015, "--layout", str(HERE / "six_patients.toml")], folds=3)

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
    unseen = {case for fold in (2, 3, 4) for case in validation_cases(out, fold)}
    text = [
        f"Choice: folds 0 and 1, 600 steps, seed 0\n\n{means_table(choice)}",
        f"Comparison: five folds, 1,000 steps, seeds 0 to 2\n\n{means_table(long)}",
        differences_table(long, *finalists),
        f"The same on the patients of folds 2 to 4\n\n{differences_table(only(long, unseen), *finalists)}",
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
    """Put nnU-Net's folders into OUTPUT, and the study's trainers beside the catalogue's."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (out / name).mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(out / name)
    os.environ["nnUNet_extTrainer"] = os.pathsep.join(map(str, (catalogue_folder("trainers"), HERE / "trainers")))
    os.environ["nnUNet_def_n_proc"] = "2"
    os.environ["nnUNet_n_proc_DA"] = "1"  # two trainings run at a time


def run(*command: str) -> None:
    """Run one of our commands; stop the study where it fails."""
    print("segan_nnunet", *command, flush=True)
    subprocess.run([sys.executable, "-m", "segan_nnunet", *command], check=True)


def prepare(dataset: str, out: Path, source: list[str], folds: int) -> None:
    """Convert, plan at half resolution, preprocess, and split, unless it was done."""
    if list((out / "nnUNet_preprocessed").glob(f"Dataset0{dataset}_*/splits_final.json")):
        return
    if not list((out / "nnUNet_raw").glob(f"Dataset0{dataset}_*")):
        run("convert", *source, "-d", dataset)
    run("plan", "-d", dataset, "--spacing", "2", "2", "2", *SMALL)
    run("split", "-d", dataset, "-k", str(folds))


def train(dataset: str, trainers: Sequence[str], *options: str, plans: str = PLANS) -> None:
    """Train what is missing of a grid, two at a time."""
    run("crossval", "-d", dataset, "-tr", *trainers, "-p", plans, *options, "--jobs", "2", "-device", "cpu")


def compare(dataset: str, trainers: list[str], folder: Path, *options: str) -> Path:
    """Compare under BraTS's policy, in which every case has every score; return the table of cases."""
    run("compare", "-d", dataset, "-tr", *trainers, "-p", PLANS, *options, "--empty", "brats", "-o", str(folder))
    return folder / "cases.csv"


Scores = dict[str, dict[str, dict[str, float]]]  # trainer: score: case: mean over regions (and seeds, by compare)


def scores(cases: Path) -> Scores:
    """Read Dice and HD95 per case, as means over regions."""
    values: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    with cases.open(newline="") as file:
        for row in csv.DictReader(file):
            for score in ("Dice", "HD95_mm"):
                values[row["method"]][score][row["case"]].append(float(row[score]))
    return {m: {s: {c: statistics.fmean(v) for c, v in of.items()} for s, of in f.items()} for m, f in values.items()}


def best(found: Scores, trainers: Iterable[str]) -> str:
    """The name, without its length, of the trainer with the highest mean Dice."""
    return max(trainers, key=lambda name: statistics.fmean(found[name]["Dice"].values())).removesuffix("_600")


def means_table(found: Scores) -> str:
    """Mean Dice and HD95 of each trainer over its cases."""
    rows = ["| trainer | cases | mean Dice | HD95 (mm) |", "| --- | ---: | ---: | ---: |"]
    for trainer, of in found.items():
        dice, distance = (statistics.fmean(of[score].values()) for score in ("Dice", "HD95_mm"))
        rows.append(f"| {trainer} | {len(of['Dice'])} | {dice:.3f} | {distance:.1f} |")
    return "\n".join(rows)


def validation_cases(out: Path, fold: int) -> list[str]:
    """The twenty patients' validation cases of a fold."""
    (path,) = (out / "nnUNet_preprocessed").glob(f"Dataset0{TWENTY}_*/splits_final.json")
    return json.loads(path.read_text())[fold]["val"]


def only(found: Scores, cases: set[str]) -> Scores:
    """The scores of some cases."""
    return {m: {s: {c: v for c, v in of.items() if c in cases} for s, of in f.items()} for m, f in found.items()}


def differences_table(found: Scores, trainer: str, other: str) -> str:
    """Paired differences over cases, with the bootstrap's 95 % interval and Wilcoxon's p."""
    rows = [f"| {trainer} − {other} | mean | 95 % | p | cases won |", "| --- | ---: | --- | ---: | ---: |"]
    for score in ("Dice", "HD95_mm"):
        cases = sorted(found[trainer][score])
        pairs = np.array([found[trainer][score][case] - found[other][score][case] for case in cases])
        interval = stats.bootstrap((pairs,), np.mean, n_resamples=2000, method="percentile", random_state=0)
        low, high = interval.confidence_interval
        won = int((pairs > 0).sum() if score == "Dice" else (pairs < 0).sum())
        rows.append(
            f"| {score} | {pairs.mean():+.3f} | {low:+.3f} to {high:+.3f} | {stats.wilcoxon(pairs).pvalue:.3f} "
            f"| {won} of {len(pairs)} |"
        )
    return "\n".join(rows)


def logs(out: Path, trainer: str) -> dict[str, list[dict]]:
    """nnU-Net's logs of a trainer's trainings, by the trainer's name with its seed."""
    found: dict[str, list[dict]] = defaultdict(list)
    for path in sorted(
        (out / "nnUNet_results").glob(f"Dataset0{TWENTY}_*/{trainer}_seed*/fold_*/checkpoint_final.pth")
    ):
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        found[path.parents[1].name.split("__")[0]].append(checkpoint["logging"])
    return found


def curves_table(out: Path, trainers: list[str]) -> str:
    """Best and last pseudo Dice of each seed, averaged over folds; and the largest fall of one training."""
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
    """Each layer's share of the gradient at S(x), averaged over each training: mean and smallest over the trainings."""
    shares = np.array(
        [
            np.mean(log["gradient_share_per_layer"], axis=0)
            for of_folds in logs(out, trainer).values()
            for log in of_folds
        ]
    )  # (trainings, layers)
    rows = ["| layer | mean share | smallest of a training |", "| ---: | ---: | ---: |"]
    for layer, of in enumerate(shares.T):
        rows.append(f"| {layer} | {of.mean():.1%} | {of.min():.1%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
