"""How many training images per second nnU-Net's loaders make."""

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

CASE_SHAPE = (138, 172, 140)  # voxels of a BRATS case after nnU-Net has cropped it to the brain, about
CASES = 4


class WithPaperAugmentation(PaperAugmentation, AdversarialTrainer):
    """The paper's random crops alone."""


AUGMENTATIONS = {"nnU-Net's augmentation": AdversarialTrainer, "the paper's random crops": WithPaperAugmentation}


@dataclass(frozen=True)
class Pipeline:
    """One way of loading.

    Attributes:
        augmentation: in words.
        processes: that load and augment.
        images_per_second: with nothing else running.
    """

    augmentation: str
    processes: int
    images_per_second: float

    def __str__(self) -> str:
        """In words."""
        return f"{self.augmentation}, {self.processes} processes"


def pipeline(workload: Workload, processes: int | None = None, seconds: float = 20) -> list[Pipeline]:
    """Time nnU-Net's loaders on cases of BRATS' size, with nnU-Net's augmentation and with the paper's.

    Args:
        workload: decides patch, batch, channels and regions.
        processes: that load and augment; by default nnUNet_n_proc_DA, or one per processor.
        seconds: how long each is watched, after the batches that were ready at the start are used up.
    """
    processes = processes or number_variable(AUGMENTERS, 0) or usable_cores()
    found = []
    with nnunet_folders() as cases, environment(**{AUGMENTERS: str(processes)}):
        write_cases(cases, workload)
        for augmentation, trainer in AUGMENTATIONS.items():
            with redirect_stdout(io.StringIO()):
                loader, validation = initialized(trainer, workload).get_dataloaders()
            try:
                for _ in range(max(6, processes) + processes):  # what nnU-Net keeps ready, and what is being made
                    next(loader)
                started, batches = time.perf_counter(), 0
                while batches < processes or time.perf_counter() - started < seconds:
                    next(loader)
                    batches += 1
                rate = batches * workload.batch / (time.perf_counter() - started)
            finally:
                loader._finish()
                validation._finish()
            found.append(Pipeline(augmentation, processes, rate))
    return found


def write_cases(folder: Path, workload: Workload) -> None:
    """Write preprocessed cases of noise around nested balls, as nnU-Net's preprocessor does."""
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
