"""Time `compare` against nnU-Net's evaluation, and the statistics of 1,000 cases and six methods.

usage: python studies/performance/scale_compare.py FOLDER TRUTH.nii.gz [CASES]
    FOLDER  a new folder
    TRUTH   any real truth, 240x240x155

The references are TRUTH, shifted by some voxels. The predictions are the references with displaced borders.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, map_coordinates

from segan_nnunet.data.labelling import read_labelling
from segan_nnunet.evaluation.methods.methods_on_cases import MethodsOnCases, Predictions
from segan_nnunet.evaluation.presentation.result_folder import write_comparison
from segan_nnunet.evaluation.scores.definitions import Lesions, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.measurement import Case, measure
from segan_nnunet.evaluation.scores.scores import add_scores
from segan_nnunet.evaluation.settings import Settings

CASES = 60
PROCESSES = 2
MANY_CASES, METHODS = 1000, 6
REGIONS = {"whole tumor": [1, 2, 3, 4], "tumor core": [1, 3, 4], "enhancing tumor": [4]}


def displaced(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the labels, displaced by a smooth field of some voxels."""
    coarse = random.normal(size=(3, *(size // 8 + 1 for size in labels.shape)))
    field = [gaussian_filter(part, 1.5) * 40 for part in coarse]
    grid = np.indices(labels.shape)
    moved = [
        axis + map_coordinates(part, grid / 8, order=1, mode="nearest") for axis, part in zip(grid, field, strict=True)
    ]
    return map_coordinates(labels, moved, order=0, mode="nearest")


def write_cases(folder: Path, truth: sitk.Image, number: int) -> None:
    """Write references, predictions, and the JSON files that nnU-Net's evaluation needs."""
    labels = sitk.GetArrayFromImage(truth).astype(np.uint8)
    random = np.random.default_rng(0)
    prediction = displaced(labels, random)  # one displacement for all cases: only reading and measuring are timed
    for part in ("references", "predictions"):
        (folder / part).mkdir(parents=True)
    for index in range(number):
        shift = random.integers(-12, 13, 3)
        for part, volume in (("references", labels), ("predictions", prediction)):
            image = sitk.GetImageFromArray(np.roll(volume, shift, (0, 1, 2)))
            image.CopyInformation(truth)
            sitk.WriteImage(image, str(folder / part / f"case_{index:03d}.nii.gz"), True)
    labels_json = {"background": 0, **REGIONS}
    dataset = {
        "channel_names": {"0": "T2"}, "labels": labels_json, "regions_class_order": [2, 1, 4], "numTraining": number,
        "file_ending": ".nii.gz", "overwrite_image_reader_writer": "SimpleITKIO",
    }  # fmt: skip
    plans = {"plans_name": "nnUNetPlans", "dataset_name": "Dataset001_Scale", "configurations": {}}
    for name, content in (("dataset.json", dataset), ("plans.json", {**plans, "label_manager": "LabelManager"})):
        (folder / name).write_text(json.dumps(content))


def processor_seconds() -> float:
    """Return the processor time of this process and its children, in s. On a busy machine it is far below wall time."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def time_command(title: str, number: int, command: list[str]) -> None:
    """Run a command and print its throughput."""
    started, cpu = time.monotonic(), processor_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    report(title, number, time.monotonic() - started, processor_seconds() - cpu)


def report(title: str, number: int, seconds: float, cpu: float) -> None:
    """Print a throughput."""
    rate = f"{number / seconds:.2f} cases per second, {cpu / number:.2f} s of processor time per case"
    print(f"{title}: {number} cases in {seconds:.0f} s, {rate}", flush=True)


def measuring(folder: Path, number: int) -> None:
    """Time nnU-Net's evaluation, our measuring, and the whole command."""
    references, predictions = folder / "references", folder / "predictions"
    nnunet = ["nnUNetv2_evaluate_folder", str(references), str(predictions), "-djfile", str(folder / "dataset.json")]
    time_command(
        "nnUNetv2_evaluate_folder", number, [*nnunet, "-pfile", str(folder / "plans.json"), "-np", str(PROCESSES)]
    )  # fmt: skip
    names = sorted(path.name for path in references.iterdir())
    cases = [Case(name.split(".")[0], references / name, {"method": predictions / name}) for name in names]
    for definitions, lesions in (("HD95 and NSD included", Lesions.NONE), ("lesions of 2023 too", Lesions.BRATS_2023)):
        started, cpu = time.monotonic(), processor_seconds()
        measure(cases, read_labelling(folder / "dataset.json"), PROCESSES, Measures(lesions=lesions))
        seconds = time.monotonic() - started
        report(f"our measuring, {definitions}", number, seconds, processor_seconds() - cpu)
    ours = [sys.executable, "-m", "segan_nnunet", "compare", "--predictions", f"method={predictions}", "--reference"]
    time_command(
        "segan_nnunet compare, with statistics, pictures and report", number,
        [*ours, str(references), "-np", str(PROCESSES), "-o", str(folder / "comparison")],
    )  # fmt: skip


def statistics(folder: Path) -> None:
    """Time tables, statistics, pictures and report for the scores of many cases and methods."""
    labelling = read_labelling(folder / "dataset.json")
    file = folder / "references" / "case_000.nii.gz"
    ids = [f"case_{index:04d}" for index in range(MANY_CASES)]
    grades = {case: "LGG" if index % 5 == 0 else "HGG" for index, case in enumerate(ids)}
    methods = [Predictions(f"Trainer{index}", dict.fromkeys(ids, file), f"Trainer{index}") for index in range(METHODS)]
    random = np.random.default_rng(0)
    rows = []
    for region, voxels in (("whole tumor", 90_000), ("tumor core", 30_000), ("enhancing tumor", 15_000)):
        sizes = random.lognormal(np.log(voxels), 0.5, MANY_CASES)
        hard = random.beta(8, 2, MANY_CASES)  # mean share of each case that the methods find
        for index, method in enumerate(methods):
            share = np.clip(hard + random.normal(0.005 * index, 0.03, MANY_CASES), 0, 1)
            tp = (sizes * share).astype(int)
            table = {"method": method.name, "case": ids, "region": region, "TP": tp, "FN": sizes.astype(int) - tp}
            table |= {"FP": (sizes * 0.1 * random.random(MANY_CASES)).astype(int), "TN": 8_000_000}
            table |= {"HD95_mm": 30 * (1 - share), "voxel_ml": 0.001, "diagonal_mm": 373.1}
            table |= {"ASSD_mm": 10 * (1 - share)}
            rows.append(pd.DataFrame(table))
    compared = MethodsOnCases(methods, dict.fromkeys(ids, file), labelling, "synthetic scores", grades=grades)
    started, cpu = time.monotonic(), time.process_time()
    scores = compared.complete(add_scores(pd.concat(rows, ignore_index=True), EmptyPolicy.NNUNET))
    settings = Settings().resolved([method.name for method in methods], labelling)
    write_comparison(compared, scores, folder / "many", settings)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    title = f"tables, statistics, pictures, report of {MANY_CASES} cases x {METHODS} methods"
    print(f"{title}: {seconds:.0f} s, with {cpu:.0f} s of processor time", flush=True)


def main() -> None:
    """Write the cases and print the measurements."""
    folder, truth = Path(sys.argv[1]), sitk.ReadImage(sys.argv[2])
    number = int(sys.argv[3]) if len(sys.argv) > 3 else CASES
    print(
        f"{os.cpu_count()} cores, {PROCESSES} processes, volumes of {' x '.join(map(str, truth.GetSize()))}", flush=True
    )
    write_cases(folder, truth, number)
    statistics(folder)
    measuring(folder, number)


if __name__ == "__main__":
    main()
