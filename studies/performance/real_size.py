"""Measure `convert`, `compare` and the grid's commands at the size of BraTS 2021, beside nnU-Net's own tools.

The 1,251 cases are links to the images of a few real patients. Each case has another combination of their channels,
so that no two cases are the same. No data are copied, except by nnU-Net's script.

usage: python studies/performance/real_size.py PATIENTS FOLDER [--cases 1251] [--parts parts convert compare grid]
    PATIENTS  MICCAI_BraTS_2018_Data_Training
    FOLDER    a new folder; 10 GB for nnU-Net's copies
"""

import argparse
import gzip
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from nnunetv2.dataset_conversion import Dataset137_BraTS21
from scipy import ndimage

from segan_nnunet.data.checks import check_case
from segan_nnunet.data.conversion import rewrite_labels
from segan_nnunet.data.processes import keep_freed_memory
from segan_nnunet.data.releases.tables import load_release
from segan_nnunet.data.volumes import read_volume
from segan_nnunet.data.volumes.whole_files import whole_content
from segan_nnunet.experiments.demo import nnunet_environment
from segan_nnunet.grid.fold_records import record_start
from segan_nnunet.grid.jobs import Grid
from segan_nnunet.grid.objectives import make_trainer

CASES, PROCESSES, METHODS = 1251, "2", ("larger", "smaller", "shifted")
CHANNELS = {"t1": "flair", "t1ce": "t1ce", "t2": "t2", "flair": "flair"}  # the shared patients have no T1
PATH_IN_SCRIPT = "/home/isensee/drives/E132-Rohdaten/BraTS_2021/training"
TRAINERS = (
    "SegANTrainer", "SegANTrainer_asPublished", "SegANTrainer_s0", "SegANTrainer_s3", "SegANTrainer_frozen",
    "SegANTrainer_S3_1C", "SegANDiceTrainer", "UNetSoftmaxTrainer", "UNetDiceCETrainer",
    "nnUNetTrainerNoDeepSupervision",
)  # fmt: skip
SEGAN = [sys.executable, "-m", "segan_nnunet"]


def main() -> None:
    """Make the release, and measure the requested parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patients", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--parts", nargs="*", default=["parts", "convert", "compare", "grid"])
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    os.environ |= nnunet_environment(folder) | {"nnUNet_def_n_proc": PROCESSES}
    print(f"{os.cpu_count()} cores, {arguments.cases} cases\n\n| task | time, s | ms per case | memory, MiB |")
    print("| --- | ---: | ---: | ---: |", flush=True)
    release = folder / "BraTS2021_Training_Data"
    if not release.is_dir():
        link_release(arguments.patients.resolve(), release, arguments.cases)
    if "parts" in arguments.parts:
        measure_parts(release)
    if "convert" in arguments.parts:
        measure_convert(release, folder, arguments.cases)
    if "compare" in arguments.parts:
        measure_compare(folder, arguments.cases)
    if "grid" in arguments.parts:
        measure_grid(folder, arguments.cases)


def link_release(patients: Path, release: Path, cases: int) -> None:
    """Link the images of real patients under the names of BraTS 2021."""
    folders = sorted(path for path in patients.glob("*/*") if path.is_dir())
    for index in range(cases):
        first, shift = index % len(folders), index // len(folders)
        case = release / f"BraTS2021_{index:05}"
        case.mkdir(parents=True)
        shifts = {"t1": 1, "t1ce": shift, "t2": shift // len(folders), "flair": 0, "seg": 0}
        for name, by in shifts.items():
            source = folders[(first + by) % len(folders)]
            (image,) = source.glob(f"*_{CHANNELS.get(name, name)}.nii.gz")
            (case / f"{case.name}_{name}.nii.gz").symlink_to(image)


def measure_parts(release: Path, cases: int = 20) -> None:
    """Print the time of each part of a conversion, on one core."""
    keep_freed_memory()  # as in the processes of `convert`
    table = load_release("brats2021")
    found, _ = table.find_cases(release)
    some = list(found.values())[:cases]
    files = [paths[0] for case in some for paths in (*case.images.values(), case.truth)]
    content = [file.read_bytes() for file in files]
    report(f"decompressing the 5 files of a case with Python's gzip, {cases} cases, one core", cases, timed(
        lambda: [gzip.decompress(one) for one in content]))  # fmt: skip
    report("the same with zlib-ng, and reading the file", cases, timed(lambda: [whole_content(file) for file in files]))
    report("the same and all checks", cases, timed(
        lambda: [check_case(case, list(table.channels), table, False) for case in some]))  # fmt: skip
    target = release.parent / "labels.nii.gz"
    grid = read_volume(some[0].truth[0]).grid
    report("reading the truth again, and writing it with nnU-Net's values", cases, timed(
        lambda: [rewrite_labels(case.truth[0], target, table.label_mapping, grid) for case in some]))  # fmt: skip


def measure_convert(release: Path, folder: Path, cases: int) -> None:
    """Print the time of `convert` and of nnU-Net's script for the same release, and compare the labels."""
    channels = ["--channels", *load_release("brats2021").channels]
    run("segan_nnunet convert brats2021", cases, [*SEGAN, "convert", "brats2021", str(release), "-d", "21", *channels])
    script = Path(Dataset137_BraTS21.__file__).read_text()
    assert PATH_IN_SCRIPT in script
    (folder / "nnunet.py").write_text(script.replace(PATH_IN_SCRIPT, str(release)))
    run("nnU-Net's Dataset137_BraTS21.py", cases, [sys.executable, str(folder / "nnunet.py")])
    datasets = [folder / "nnUNet_raw" / name for name in ("Dataset021_BraTS2021", "Dataset137_BraTS2021")]
    for dataset in datasets:
        print(f"\n{dataset.name}: {size_on_disk(dataset) / 1e6:.0f} MB on the disk")
    ours, theirs = (dataset / "labelsTr" for dataset in datasets)
    names = sorted(path.name for path in theirs.iterdir())
    equal = sum(same_voxels(ours / name, theirs / name) for name in names[:20])
    print(f"\n{equal} of the first {len(names[:20])} label maps are equal\n", flush=True)


def size_on_disk(folder: Path) -> int:
    """Return the disk space of a folder in bytes, without following links."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def same_voxels(one: Path, other: Path) -> bool:
    """Return whether two images have the same voxels."""
    return np.array_equal(*(sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (one, other)))


def measure_compare(folder: Path, cases: int) -> None:
    """Print the time of `compare` and of nnU-Net's evaluation, on three methods that differ from the truth."""
    labels = folder / "nnUNet_raw" / "Dataset021_BraTS2021" / "labelsTr"
    references = sorted(labels.glob("*.nii.gz"))[:cases]
    prediction_files = folder / "predictions"
    prediction_files.mkdir()
    random = np.random.default_rng(0)
    number = min(20, cases)  # the truths of the patients; the others are the same
    for reference in references[:number]:
        image = sitk.ReadImage(str(reference))
        voxels = sitk.GetArrayFromImage(image)
        for method in METHODS:
            predicted = sitk.GetImageFromArray(predict(voxels, method, random))
            predicted.CopyInformation(image)
            sitk.WriteImage(predicted, str(prediction_files / f"{method}_{reference.name}"), True)
    for method in METHODS:
        for index, reference in enumerate(references):
            target = folder / method / reference.name
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(prediction_files / f"{method}_{references[index % number].name}")
    plans = {"plans_name": "nnUNetPlans", "dataset_name": "Dataset021_BraTS2021", "configurations": {}}
    (folder / "plans.json").write_text(json.dumps({**plans, "label_manager": "LabelManager"}))
    dataset_json = labels.parent / "dataset.json"
    for part in sorted({cases // 10, cases}):
        subset = folder / f"references_{part}"
        subset.mkdir()
        for reference in references[:part]:
            (subset / reference.name).symlink_to(reference)
        folders_by_method = [f"{method}={folder / method}" for method in METHODS]
        run(f"segan_nnunet compare, {len(METHODS)} methods, lesions of 2023, report; {part} cases", part, [
            *SEGAN, "compare", "--predictions", *folders_by_method, "--reference", str(subset),
            "--dataset-json", str(dataset_json), "--protocol", "brats2023-gli", "-np", PROCESSES,
            "-o", str(folder / f"comparison_{part}"), "--intersection",
        ])  # fmt: skip
    report_page = folder / f"comparison_{cases}" / "report.html"
    print(f"\nreport.html: {report_page.stat().st_size / 1e6:.1f} MB\n", flush=True)
    run("nnUNetv2_evaluate_folder, one method; Dice and counts", cases, [
        "nnUNetv2_evaluate_folder", str(folder / f"references_{cases}"), str(folder / METHODS[0]), "-djfile",
        str(dataset_json), "-pfile", str(folder / "plans.json"), "-np", PROCESSES,
    ])  # fmt: skip


def predict(labels: np.ndarray, method: str, random: np.random.Generator) -> np.ndarray:
    """Return labels that differ from the truth as a method's predictions do, with some false components."""
    tumour = labels > 0
    if method == "smaller":
        predicted = labels * ndimage.binary_erosion(tumour, iterations=2)
    elif method == "larger":
        predicted = np.where(ndimage.binary_dilation(tumour, iterations=2) & ~tumour, 1, labels)
    else:
        predicted = np.roll(labels, (0, 2, -3), (0, 1, 2))
    for corner in random.integers(30, 110, (5, 3)):
        predicted[tuple(slice(c, c + 4) for c in corner)] = random.integers(1, 4)
    return predicted.astype(labels.dtype)


def measure_grid(folder: Path, cases: int) -> None:
    """Print the time of `plan`, `split`, `crossval --dry-run` and `--status` on many small cases and 150 jobs.

    Six simulated cases are converted and preprocessed. The others are links to the files of the first one.
    """
    small = folder / "small"
    subprocess.run([*SEGAN, "simulate", "brats2021", str(small), "--cases", "6"], check=True, stdout=subprocess.DEVNULL)
    run("convert, 6 small cases", 6, [*SEGAN, "convert", "brats2021", str(small), "-d", "22"])
    plan = [*SEGAN, "plan", "-d", "22", "--width", "16", "--patch-size", "96", "96"]
    run("plan and preprocess, 6 small cases", 6, plan)
    raw, preprocessed = (folder / name / "Dataset022_BraTS2021" for name in ("nnUNet_raw", "nnUNet_preprocessed"))
    table = pd.read_csv(raw / "cases.csv", dtype=str)
    first = table["case"][0]
    ids = [f"BraTS2021_{index:05}" for index in range(10_000, 10_000 + cases - len(table))]
    for path in [*raw.rglob(f"{first}*"), *preprocessed.rglob(f"{first}*")]:
        for case in ids:
            path.with_name(path.name.replace(first, case)).symlink_to(path)
    more = table.iloc[[0] * len(ids)].assign(case=ids, patient=ids)
    pd.concat([table, more]).to_csv(raw / "cases.csv", index=False)
    for path in (raw / "dataset.json", preprocessed / "dataset.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "numTraining": cases}))
    run("plan, with all cases preprocessed", cases, plan)
    run("split", cases, [*SEGAN, "split", "-d", "22"])
    measure_crossval("none started", cases)
    # a new process, because nnU-Net reads the variables of its folders when it is imported
    start = multiprocessing.get_context("spawn").Process(target=start_all)
    start.start()
    start.join()
    if start.exitcode:
        sys.exit("the files of the started trainings could not be written; see the message above")
    measure_crossval("all started", cases)


def measure_crossval(state: str, cases: int) -> None:
    """Print the time of `crossval --dry-run` and `--status` for 150 jobs."""
    crossval = [*SEGAN, "crossval", "-d", "22", "-tr", *TRAINERS, "--seeds", "1", "2", "3", "-device", "cpu"]
    for option in ("--dry-run", "--status"):
        run(f"crossval {option}, {len(TRAINERS)} trainers x 5 folds x 3 seeds, {state}", cases, [*crossval, option])


def start_all() -> None:
    """Write the files of a started training for each of the 150 jobs: record, checkpoint and a log of 500 epochs."""
    grid = Grid("Dataset022_BraTS2021", TRAINERS, ("SegANPlans",), folds=tuple(range(5)), device="cpu", seeds=(1, 2, 3))
    log = "".join(f"2026-01-01: Epoch {epoch} \n2026-01-01: Epoch time: 100.0 s\n" for epoch in range(500))
    for job in grid.jobs():
        job.folder.mkdir(parents=True)
        record_start(job)
        trainer = make_trainer(job)
        trainer.initialize()
        trainer.current_epoch = 500
        trainer.save_checkpoint(str(job.folder / "checkpoint_latest.pth"))
        (job.folder / "training_log_2026_1_1.txt").write_text(log)


def timed(work: Callable[[], object], repetitions: int = 3) -> float:
    """Return the median time of some work, in s."""
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def run(title: str, cases: int, command: Sequence[str]) -> None:
    """Run a command, and print its time and memory: the largest sum over its processes, four times per second."""
    started = time.monotonic()
    with (Path(os.environ["nnUNet_raw"]).parent / "log.txt").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        peak = [0]
        watcher = threading.Thread(target=watch, args=(process, peak))
        watcher.start()
        status = process.wait()
        watcher.join()
    if status:
        sys.exit(f"{' '.join(command)}: status {status}; see {log.name}")
    report(title, cases, time.monotonic() - started, peak[0] / 2**20)


def watch(process: subprocess.Popen, peak: list[int]) -> None:
    """Measure the memory of a process and its children until it ends; shared pages count in each process."""
    while process.poll() is None:
        family = [process.pid, *map(int, subprocess.getoutput(f"pgrep -P {process.pid}").split())]
        peak[0] = max(peak[0], sum(resident(pid) for pid in family))
        time.sleep(0.25)


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def report(title: str, cases: int, seconds: float, memory: float | None = None) -> None:
    """Print a row of the table."""
    print(
        f"| {title} | {seconds:.0f} | {1000 * seconds / cases:.0f} | {f'{memory:.0f}' if memory else ''} |", flush=True
    )


if __name__ == "__main__":
    main()
