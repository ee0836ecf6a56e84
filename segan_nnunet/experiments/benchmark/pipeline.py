"""Measure how many training images per second nnU-Net's loaders produce."""

import io
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2

from segan_nnunet.data.environment import AUGMENTERS, number_variable, usable_cores
from segan_nnunet.experiments.benchmark.candidates import environment, initialized, nnunet_folders
from segan_nnunet.experiments.benchmark.workload import Workload
from segan_nnunet.training import AdversarialTrainer, PaperAugmentation

CASE_SHAPE = (138, 172, 140)  # typical size in voxels of a BRATS case after nnU-Net has cropped it to the brain
CASES = 4


class WithPaperAugmentation(PaperAugmentation, AdversarialTrainer):
    """SegANTrainer with the paper's random crops as its only augmentation."""


AUGMENTATIONS = {"nnU-Net's augmentation": AdversarialTrainer, "the paper's random crops": WithPaperAugmentation}


@dataclass(frozen=True)
class Pipeline:
    """The measured throughput of a loader.

    Attributes:
        augmentation: name of the augmentation.
        processes: number of processes that load and augment.
        images_per_second: throughput while no training runs.
    """

    augmentation: str
    processes: int
    images_per_second: float

    def __str__(self) -> str:
        """Return the augmentation and the number of processes."""
        return f"{self.augmentation}, {self.processes} processes"


def pipeline(workload: Workload, processes: int | None = None, seconds: float = 20) -> list[Pipeline]:
    """Time nnU-Net's loaders on cases of the size of BRATS, with nnU-Net's augmentation and with the paper's.

    Args:
        workload: sets patch, batch, channels and regions.
        processes: number of processes that load and augment. The default is nnUNet_n_proc_DA, or one per processor.
        seconds: measured time per loader, after the batches that were ready at the start are used up.
    """
    processes = processes or number_variable(AUGMENTERS, 0) or usable_cores()
    measured = []
    with nnunet_folders() as cases, environment(**{AUGMENTERS: str(processes)}):
        write_cases(cases, workload)
        for augmentation, trainer in AUGMENTATIONS.items():
            with redirect_stdout(io.StringIO()):
                loader, validation = initialized(trainer, workload).get_dataloaders()
            try:
                # the batches that nnU-Net keeps ready, and those in production
                for _ in range(max(6, processes) + processes):
                    next(loader)
                started, batches = time.perf_counter(), 0
                while batches < processes or time.perf_counter() - started < seconds:
                    next(loader)
                    batches += 1
                rate = batches * workload.batch / (time.perf_counter() - started)
            finally:
                loader._finish()
                validation._finish()
            measured.append(Pipeline(augmentation, processes, rate))
    return measured


def write_cases(folder: Path, workload: Workload) -> None:
    """Write preprocessed cases of noise around nested balls, in the format of nnU-Net's preprocessor."""
    random = np.random.default_rng(0)
    middle = np.array(CASE_SHAPE).reshape(3, 1, 1, 1) / 2
    distance = np.sqrt(((np.indices(CASE_SHAPE) - middle) ** 2).sum(0))
    depth = np.clip(np.ceil((40 - distance) / 40 * workload.regions), 0, workload.regions)
    truth = depth[None].astype(np.int8)
    regions = [tuple(range(value, workload.regions + 1)) for value in range(1, workload.regions + 1)]
    locations = DefaultPreprocessor._sample_foreground_locations(truth, regions)
    patch = workload.patch if len(workload.patch) == 3 else (1, *workload.patch)
    for index in range(CASES):
        data = random.normal(truth, 1, (workload.channels, *CASE_SHAPE)).astype(np.float32)
        layouts = [comp_blosc2_params(array.shape, patch, array.itemsize) for array in (data, truth)]
        (blocks, chunks), (truth_blocks, truth_chunks) = layouts
        nnUNetDatasetBlosc2.save_case(
            data, truth, {"class_locations": locations}, str(folder / f"case_{index}"),
            chunks=chunks, blocks=blocks, chunks_seg=truth_chunks, blocks_seg=truth_blocks,
        )  # fmt: skip
