"""The study of protocol_beside.md, whole. Given again after an interruption, it goes on.

usage: python docs/beside_study.py BRATS2018 OUTPUT [SEEDS]
    BRATS2018   MICCAI_BraTS_2018_Data_Training of the twenty patients
    OUTPUT      a folder: nnU-Net's three folders, the comparisons, and results.md
    SEEDS       how many; 3 by default

beside_scores.csv, beside this file, has every patient's scores of the seeds that were finished: they are not trained
again. OUTPUT/scores.csv is that file with what was added; without the file the study begins anew.
"""

import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage, stats
from statsmodels.stats.multitest import multipletests
from study import TWENTY, run, set_environment
from study import train as train_grid

PLANS = "nnUNetPlans_2mm_width8"
ARMS = ("Beside", "Beside_full", "Beside_decays", "Beside_late")
LATE = "DiceCE_1000:7"
SAME_SITES, OTHER_SITE, UNSEEN = range(5), (5, 6), (2, 3, 4)
SITE = "CBICA"
SCORES = ("Dice", "HD95_mm", "Precision", "Sensitivity", "false lesions")
RESAMPLES = 4000
FINISHED = Path(__file__).resolve().parent / "beside_scores.csv"


def main(brats2018: str, output: str, number_of_seeds: str = "3") -> None:
    """Run what is missing of the study, and write results.md."""
    out, seeds = Path(output).resolve(), range(int(number_of_seeds))
    start = time.monotonic()
    set_environment(out)
    prepare(out, brats2018)

    if known("choice", (0,)).empty:
        train(["DiceCE_1000", *(f"{arm}_1000" for arm in ARMS if arm != "Beside_late")], (0, 1), (0,))
        train(["Beside_late_1000"], (0, 1), (0,), "--from", LATE)
    choice = scores(out, "choice", ["DiceCE_1000", *(f"{arm}_1000" for arm in ARMS)], (0, 1), (0,))
    chosen = max((f"{arm}_1000" for arm in ARMS), key=lambda name: choice[choice["trainer"] == name]["Dice"].mean())
    start_of = ("--from", LATE) if chosen == "Beside_late_1000" else ()
    frozen = chosen.replace("_1000", "_frozen_1000")

    for seed in seeds:  # all arms of a seed before the next one, so that an interrupted study says something
        if not known("other_site", (seed,)).empty:
            continue
        train([chosen, frozen], SAME_SITES, (seed,), *start_of)
        train(["DiceCE_1000", "DiceCE_1400"], SAME_SITES, (seed,))
        train([chosen], OTHER_SITE, (seed,), *start_of)
        train(["DiceCE_1000", "DiceCE_1400"], OTHER_SITE, (seed,))
    same = scores(out, "same_sites", ["DiceCE_1000", "DiceCE_1400", chosen, frozen], SAME_SITES, seeds)
    other = scores(out, "other_site", ["DiceCE_1000", "DiceCE_1400", chosen], OTHER_SITE, seeds)
    pairs = [
        (same, "same sites, the adversary", chosen, frozen),
        (same, "same sites, equal steps", chosen, "DiceCE_1000"),
        (same, "same sites, equal time", chosen, "DiceCE_1400"),
        (other, "another site, equal steps", chosen, "DiceCE_1000"),
        (other, "another site, equal time", chosen, "DiceCE_1400"),
    ]
    parts = {"choice": choice, "same_sites": same, "other_site": other}
    table = pd.concat([of.assign(part=part) for part, of in parts.items()])
    table[["part", "trainer", "seed", "case", *SCORES]].to_csv(out / "scores.csv", index=False, float_format="%.5g")
    unseen = {case for fold in UNSEEN for case in read_splits(out)[fold]["val"]}
    text = [
        f"Choice: folds 0 and 1, 1,000 steps, seed 0\n\n{means_table(choice)}",
        f"Same sites: five folds\n\n{means_table(same)}",
        f"Another site\n\n{means_table(other)}",
        differences_table(pairs),
        "The same sites' patients of folds 2 to 4, on which nothing was chosen\n\n"
        + differences_table([(found[found["case"].isin(unseen)], *of) for found, *of in pairs[:3]]),
        f"Seed by seed, Dice\n\n{seeds_table(pairs)}",
        f"Time\n\n{times_table(out)}",
    ]
    (out / "results.md").write_text("\n\n".join(text) + "\n")
    if "late" not in chosen:
        longer = [chosen.replace("_1000", "_3000"), "DiceCE_4200"]
        train(longer, UNSEEN, (0,))
        long = scores(out, "longer", longer, UNSEEN, (0,))
        text += [
            f"Longer: folds 2 to 4, seed 0\n\n{means_table(long)}",
            differences_table([(long, "longer, equal time", *longer)]),
        ]
    (out / "results.md").write_text("\n\n".join(text) + "\n")
    print((out / "results.md").read_text(), f"{(time.monotonic() - start) / 60:.0f} minutes", sep="\n")


def prepare(out: Path, source: str) -> None:
    """Convert, plan, split into five folds, and add the two folds of sites, unless it was done."""
    if not list((out / "nnUNet_raw").glob(f"Dataset0{TWENTY}_*")):
        run("convert", "brats2018", source, "-d", TWENTY)
    size = ("--width", "8", "--batch-size", "4")
    run("plan", "-d", TWENTY, "--spacing", "2", "2", "2", "--network", "nnunet", *size)
    if not splits_file(out).is_file():
        run("split", "-d", TWENTY, "-k", "5")
    splits = read_splits(out)[:5]
    cases = sorted(splits[0]["train"] + splits[0]["val"])
    site, others = ([case for case in cases if (SITE in case) == here] for here in (True, False))
    splits += [{"train": site, "val": others}, {"train": others, "val": site}]
    if splits != read_splits(out):
        splits_file(out).write_text(json.dumps(splits, indent=4))


def splits_file(out: Path) -> Path:
    """The twenty patients' splits_final.json."""
    (folder,) = (out / "nnUNet_preprocessed").glob(f"Dataset0{TWENTY}_*")
    return folder / "splits_final.json"


def read_splits(out: Path) -> list[dict[str, list[str]]]:
    """Training and validation cases of every fold."""
    return json.loads(splits_file(out).read_text())


def train(trainers: Sequence[str], folds: Sequence[int], seeds: Sequence[int], *options: str) -> None:
    """Train what is missing of a grid of the twenty patients."""
    grid = ("--folds", *map(str, folds), "--seeds", *map(str, seeds))
    train_grid(TWENTY, trainers, *grid, *options, plans=PLANS)


def known(part: str, seeds: Sequence[int]) -> pd.DataFrame:
    """The scores of seeds that were finished before, of all trainers of a part of the study; empty without any."""
    table = pd.read_csv(FINISHED) if FINISHED.is_file() else pd.DataFrame({"part": [], "seed": []})
    return table[(table["part"] == part) & table["seed"].isin(seeds)].drop(columns="part")


def scores(out: Path, part: str, trainers: Sequence[str], folds: Sequence[int], seeds: Sequence[int]) -> pd.DataFrame:
    """One row per trainer, seed and case: the scores' means over the regions, and the number of false lesions."""
    before = known(part, seeds)
    names = {f"{trainer}_seed{s}": (trainer, s) for trainer in trainers for s in set(seeds) - set(before["seed"])}
    if not names:
        return before
    options = ["-p", PLANS, "--folds", *map(str, folds), "--empty", "brats", "-o", str(out / part)]
    run("compare", "-d", TWENTY, "-tr", *names, *options)
    table = pd.read_csv(out / part / "cases.csv")
    found = table.groupby(["method", "case"], as_index=False)[list(SCORES[:-1])].mean()
    found["trainer"] = found["method"].map(lambda name: names[name][0])
    found["seed"] = found["method"].map(lambda name: names[name][1])
    lesions = {(name, case): count for name in names for case, count in false_lesions(out, name, folds)}
    found["false lesions"] = [lesions[row.method, row.case] for row in found.itertuples()]
    return pd.concat([before, found], ignore_index=True)


def false_lesions(out: Path, name: str, folds: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Connected parts of each case's predicted whole tumour that hold no voxel of the true one."""
    for fold in folds:
        model = out / "nnUNet_results" / splits_file(out).parent.name / f"{name}__{PLANS}__2d" / f"fold_{fold}"
        for path in sorted((model / "validation").glob("*.nii.gz")):
            predicted, truth = (read(file) for file in (path, splits_file(out).parent / "gt_segmentations" / path.name))
            parts, number = ndimage.label(predicted, np.ones((3, 3, 3)))
            yield path.name.removesuffix(".nii.gz"), number - len(set(parts[truth]) - {0})


def read(path: Path) -> np.ndarray:
    """The whole tumour of a label volume."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0


def means_table(found: pd.DataFrame) -> str:
    """Means of each trainer over cases and seeds."""
    rows = [f"| trainer | cases | {' | '.join(SCORES)} |", f"| --- | ---: |{' ---: |' * len(SCORES)}"]
    for trainer, of in found.groupby("trainer", sort=False):
        means = " | ".join(f"{of[score].mean():.3f}" for score in SCORES)
        rows.append(f"| {trainer} | {of['case'].nunique()} | {means} |")
    return "\n".join(rows)


Pair = tuple[pd.DataFrame, str, str, str]  # scores, what is compared, trainer, the other


def differences(found: pd.DataFrame, trainer: str, other: str, score: str) -> np.ndarray:
    """Paired differences, (seeds, cases)."""
    one, two = (
        found[found["trainer"] == name].pivot(index="seed", columns="case", values=score) for name in (trainer, other)
    )
    return (one - two).to_numpy()


def interval(values: np.ndarray) -> tuple[float, float]:
    """Of the mean: seeds and cases drawn with replacement, crossed."""
    random = np.random.default_rng(0)
    seeds, cases = (random.integers(0, size, (RESAMPLES, size)) for size in values.shape)
    means = values[seeds[:, :, None], cases[:, None, :]].mean((1, 2))
    low, high = np.percentile(means, [2.5, 97.5])
    return low, high


def differences_table(pairs: Sequence[Pair]) -> str:
    """Paired differences with their intervals; p for Dice, over the cases, with Holm's correction over the pairs."""
    p = [stats.wilcoxon(differences(*of_pair(pair), "Dice").mean(0)).pvalue for pair in pairs]
    corrected = multipletests(p, method="holm")[1]
    rows = [
        "| comparison | score | difference | 95 % | p | Holm | ahead |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for pair, own, holm in zip(pairs, p, corrected, strict=True):
        for score in SCORES:
            values = differences(*of_pair(pair), score)
            low, high = interval(values)
            better = values.mean(0) > 0 if score in ("Dice", "Precision", "Sensitivity") else values.mean(0) < 0
            tests = f"{own:.3f} | {holm:.3f}" if score == "Dice" else " | "
            rows.append(
                f"| {pair[1]}: {pair[2]} − {pair[3]} | {score} | {values.mean():+.3f} | {low:+.3f} to {high:+.3f} "
                f"| {tests} | {better.sum()} of {values.shape[1]} |"
            )
    return "\n".join(rows)


def of_pair(pair: Pair) -> tuple[pd.DataFrame, str, str]:
    """The scores and the two trainers."""
    found, _, trainer, other = pair
    return found, trainer, other


def seeds_table(pairs: Sequence[Pair]) -> str:
    """Mean difference of Dice, seed by seed."""
    rows = ["| comparison | seed by seed |", "| --- | --- |"]
    for pair in pairs:
        means = ", ".join(f"{value:+.3f}" for value in differences(*of_pair(pair), "Dice").mean(1))
        rows.append(f"| {pair[1]}: {pair[2]} − {pair[3]} | {means} |")
    return "\n".join(rows)


def times_table(out: Path) -> str:
    """Seconds of training, epochs without the final validation: the median over a trainer's trainings."""
    from segan_nnunet.fold_checkpoint import read_fold

    seconds: dict[str, list[float]] = defaultdict(list)
    for fold in sorted((out / "nnUNet_results").glob(f"Dataset0{TWENTY}_*/*__{PLANS}__2d/fold_*")):
        if (fold / "checkpoint_final.pth").is_file():
            log = (read_fold(fold) or {})["logging"]
            epochs = zip(log["epoch_start_timestamps"], log["epoch_end_timestamps"], strict=True)
            seconds[fold.parent.name.split("_seed")[0]].append(sum(end - start for start, end in epochs))
    rows = ["| trainer | trainings | seconds, median |", "| --- | ---: | ---: |"]
    rows += [f"| {name} | {len(of)} | {statistics.median(of):.0f} |" for name, of in sorted(seconds.items())]
    return "\n".join(rows)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
