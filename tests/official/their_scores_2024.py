"""Compute scores with the package of BraTS 2024 and 2025, in a separate environment with older libraries than ours.

usage: python their_scores_2024.py CLONE FOLDER
    CLONE   a git clone of github.com/rachitsaluja/BraTS-2024-Metrics; it needs pandas, nibabel, scipy, cc3d and medpy
    FOLDER  pairs of label maps: truth/NAME.nii.gz and predicted/NAME.nii.gz

Prints {protocol: {pair: {region: {score: value}}}} as JSON; the protocols are the names of `--protocol`.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from their_scores import allow_old_names  # type: ignore[import-not-found]  # beside this script, run by its path

COMMITS = {  # the commits that the challenges used
    "brats2024": "9a0ab9c7d75f158a3ea685cd44ac059c3a6712a1",
    "brats2025": "9e8879a9201b9b6f2e069eb07e2acb6d4dee34b6",
}
TASKS = {
    "brats2024": ("GLI", "PED", "MEN-RT", "MET", "SSA"),
    "brats2025": ("GLI", "PED", "MEN-RT", "MET", "SSA", "MEN"),
}
COLUMNS = {  # name of the package: our name
    "Legacy_Dice": "Dice",
    "Legacy_HD95": "HD95_mm",
    "Legacy NSD @ 0.5": "NSD_0.5mm",
    "Legacy NSD @ 1.0": "NSD_1mm",
    "LesionWise_Score_Dice": "LesionDice",
    "LesionWise_Score_HD95": "LesionHD95_mm",
    "LesionWise_Score_NSD @ 0.5": "LesionNSD_0.5mm",
    "LesionWise_Score_NSD @ 1.0": "LesionNSD_1mm",
    "Num_TP": "LesionsFound",
    "Num_FN": "LesionsMissed",
    "Num_FP": "LesionsFalse",
}
Scores = dict[str, dict[str, float]]  # region, score


def score(metrics: Any, predicted: Path, truth: Path, task: str) -> Scores:
    """Return the scores of one pair."""
    table, _ = metrics.get_LesionWiseResults(str(predicted), str(truth), f"BraTS-{task}")
    table = table.set_index("Labels").astype(float).rename(columns=COLUMNS)
    return table[[column for column in COLUMNS.values() if column in table]].to_dict("index")


def score_year(clone: str, year: str, pairs: Mapping[str, tuple[Path, Path]], folder: Path) -> dict[str, Any]:
    """Return the scores of all pairs under all tasks of a year. The package keeps files in the working folder."""
    code = folder / year
    code.mkdir()
    archive = subprocess.run(("git", "-C", clone, "archive", COMMITS[year]), capture_output=True, check=True).stdout
    subprocess.run(("tar", "-x", "-C", str(code)), input=archive, check=True)
    sys.path.insert(0, str(code))
    scores = {}
    for task in TASKS[year]:
        name = f"metrics_{task.replace('-', '_')}"
        for module in (name, *(known for known in sys.modules if known.startswith("surface_distance"))):
            sys.modules.pop(module, None)  # modules of the other year
        metrics = importlib.import_module(name)
        of_task = {}
        for pair, (predicted, truth) in pairs.items():
            work = Path(tempfile.mkdtemp(dir=folder))
            os.chdir(work)
            of_task[pair] = score(metrics, predicted, truth, task)
        scores[f"{year}-{task.lower()}"] = of_task
    sys.path.remove(str(code))
    return scores


def main(clone: str, folder: str) -> None:
    """Score every pair under every task of both years."""
    clone, top = os.path.abspath(clone), Path(folder).absolute()
    pairs = {path.name: (top / "predicted" / path.name, path) for path in top.glob("truth/*.nii.gz")}
    with (
        contextlib.redirect_stdout(sys.stderr),
        tempfile.TemporaryDirectory() as work,
    ):  # the packages print to standard output
        allow_old_names()
        pd.options.mode.copy_on_write = False
        scores = {name: of for year in COMMITS for name, of in score_year(clone, year, pairs, Path(work)).items()}
        os.chdir("/")
    print(json.dumps(scores))


if __name__ == "__main__":
    main(*sys.argv[1:])
