"""Measure where nnUNetv2_predict spends its time, and the effect of its options, on two networks at 2 mm.

usage: python studies/performance/prediction.py PATIENTS FOLDER
    PATIENTS  MICCAI_BraTS_2018_Data_Training
    FOLDER    a new folder for nnU-Net's three folders
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from segan_nnunet.experiments.demo import nnunet_environment

DATASET, NAME, TRAINER, PLANS = "23", "Dataset023_BraTS2018", "SegANTrainer_short_1epoch", "SegANPlans_2mm"
CONFIGURATIONS = {  # as in studies/paper, and as in three_dimensions.sh
    "2d": ("--patch-size", "96", "80", "--width", "16", "--batch-size", "8"),
    "3d_fullres": ("--patch-size", "64", "64", "64", "--width", "16", "--batch-size", "2"),
}
SEGAN = [sys.executable, "-m", "segan_nnunet"]
TORCH_RESAMPLING = {
    "resampling_fn_probabilities": "resample_torch_fornnunet",
    "resampling_fn_probabilities_kwargs": {
        "is_seg": False, "force_separate_z": False, "memefficient_seg_resampling": False
    },
}  # fmt: skip
VARIANTS: dict[str, tuple[bool, tuple[str, ...]]] = {  # torch's resampling, and options of nnUNetv2_predict
    "the command as it is": (False, ()),
    "`-npp 1 -nps 2`": (False, ("-npp", "1", "-nps", "2")),
    "`--disable_tta`": (False, ("--disable_tta",)),
    "torch's resampling in the model's plans.json": (True, ()),
    "torch's resampling, `--disable_tta`, `-npp 1 -nps 1`": (True, ("--disable_tta", "-npp", "1", "-nps", "1")),
}


def main() -> None:
    """Train the networks, time the parts of a prediction and then the command with its options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patients", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    os.environ |= nnunet_environment(folder)
    train(arguments.patients, folder / "log.txt")
    images = folder / "nnUNet_raw" / NAME / "imagesTr"
    cases = sorted({path.name.rpartition("_")[0] for path in images.iterdir()})
    for configuration in CONFIGURATIONS:
        model = folder / "nnUNet_results" / NAME / f"{TRAINER}__{PLANS}__{configuration}"
        resampled_by_torch = copy_with(model, TORCH_RESAMPLING)
        print_parts(configuration, model, resampled_by_torch, images, cases)
        print_commands(configuration, model, resampled_by_torch, images, cases, folder / f"predicted_{configuration}")


def train(patients: Path, log: Path) -> None:
    """Convert, plan at 2 mm and train each network for an epoch: its weights do not change the time of a prediction."""
    commands = [[*SEGAN, "convert", "brats2018", str(patients), "-d", DATASET]]
    for name, options in CONFIGURATIONS.items():
        commands += [[*SEGAN, "plan", "-d", DATASET, "-c", name, "--spacing", "2", "2", "2", *options]]
    commands += [[*SEGAN, "split", "-d", DATASET]]
    for name in CONFIGURATIONS:
        commands += [["nnUNetv2_train", DATASET, name, "0", "-tr", TRAINER, "-p", PLANS, "-device", "cpu"]]
    with log.open("a") as output:
        for command in commands:
            subprocess.run(command, check=True, stdout=output, stderr=output)


def copy_with(model: Path, settings: dict[str, Any]) -> Path:
    """Copy a trained model and change settings of its configuration in plans.json."""
    copy = model.with_name(f"{model.name}_changed")
    shutil.copytree(model, copy, ignore=shutil.ignore_patterns("validation"))
    plans = json.loads((copy / "plans.json").read_text())
    plans["configurations"][model.name.rpartition("__")[2]].update(settings)
    (copy / "plans.json").write_text(json.dumps(plans))
    return copy


def print_parts(name: str, model: Path, resampled_by_torch: Path, images: Path, cases: list[str]) -> None:
    """Print the median time of each part of a case's prediction, in one process on one core."""
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    torch.set_num_threads(1)
    predictor, by_torch = (nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False) for _ in range(2))
    predictor.initialize_from_trained_model_folder(str(model), (0,), "checkpoint_final.pth")
    by_torch.initialize_from_trained_model_folder(str(resampled_by_torch), (0,), "checkpoint_final.pth")
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    preprocessor = configuration.preprocessor_class(verbose=False)
    reader = plans.image_reader_writer_class()
    times: dict[str, list[float]] = defaultdict(list)

    def timed(part: str, work: Callable[..., Any], *values: Any) -> Any:
        started = time.perf_counter()
        result = work(*values)
        times[part].append(time.perf_counter() - started)
        return result

    for case in cases[:10]:
        files = [str(path) for path in sorted(images.glob(f"{case}_*"))]
        raw, properties = timed("reading the images", reader.read_images, files)
        data, _, properties = timed(
            "cropping, normalising and resampling them", preprocessor.run_case_npy,
            raw, None, properties, plans, configuration, predictor.dataset_json,
        )  # fmt: skip
        for part, mirrored in (("the network, with mirroring", True), ("the network, without", False)):
            predictor.use_mirroring = mirrored
            logits = timed(part, predictor.predict_logits_from_preprocessed_data, torch.from_numpy(data))
        for function, one in (("scikit-image", predictor), ("torch", by_torch)):
            segmentation = timed(
                f"resampling the output, {function}", convert_predicted_logits_to_segmentation_with_correct_shape,
                logits.numpy(), plans, one.configuration_manager, one.label_manager, properties, False, 1,
            )  # fmt: skip
        target = str(images.parents[2] / "segmentation.nii.gz")
        timed("writing the segmentation", reader.write_seg, segmentation, target, properties)
    print(f"\n{name}: parts of one case, one core\n\n| part | ms per case |\n| --- | ---: |")
    for part, seconds in times.items():
        print(f"| {part} | {1000 * statistics.median(seconds):.0f} |")
    sys.stdout.flush()


def print_commands(
    name: str, model: Path, resampled_by_torch: Path, images: Path, cases: list[str], output: Path
) -> None:
    """Print the time of nnUNetv2_predict for all cases with each variant, and how far its labels are the same."""
    print(f"\n{name}: nnUNetv2_predict_from_modelfolder, {len(cases)} cases\n")
    print("| variant | time, s | s per case | voxels of tumour with the same label |\n| --- | ---: | ---: | ---: |")
    for index, (variant, (by_torch, options)) in enumerate(VARIANTS.items()):
        folder = output / str(index)
        seconds = predict(resampled_by_torch if by_torch else model, images, folder, options)
        equal = same(output / "0", folder)
        print(f"| {variant} | {seconds:.0f} | {seconds / len(cases):.1f} | {equal:.2%} |", flush=True)
    one_case = output / "images"
    one_case.mkdir()
    for path in images.glob(f"{cases[0]}_*"):
        (one_case / path.name).symlink_to(path.resolve())
    seconds = predict(model, one_case, output / "one", ())
    print(f"| the command as it is, one case | {seconds:.0f} | {seconds:.1f} | |", flush=True)


def predict(model: Path, images: Path, output: Path, options: tuple[str, ...]) -> float:
    """Return the seconds of a prediction by nnU-Net's command."""
    command = ["nnUNetv2_predict_from_modelfolder", "-i", str(images), "-o", str(output), "-m", str(model), "-f", "0"]
    started = time.perf_counter()
    subprocess.run([*command, "-device", "cpu", *options], check=True, capture_output=True)
    return time.perf_counter() - started


def same(folder: Path, other: Path) -> float:
    """Return the share of equal labels among the voxels that are tumour in either of two folders."""
    equal = total = 0
    for path in folder.glob("*.nii.gz"):
        one, two = (sitk.GetArrayFromImage(sitk.ReadImage(str(p / path.name))) for p in (folder, other))
        tumour = np.maximum(one, two) > 0
        equal, total = equal + int((one == two)[tumour].sum()), total + int(tumour.sum())
    return equal / total if total else 1.0


if __name__ == "__main__":
    main()
