"""Whether inference with our trainers' networks costs what it costs with a stock trainer's."""

import io
from contextlib import redirect_stdout
from functools import partial

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from segan_nnunet.experiments.benchmark.candidates import make_plans
from segan_nnunet.experiments.benchmark.timing import Timed, seconds_of
from segan_nnunet.experiments.benchmark.workload import Workload
from segan_nnunet.training import AdversarialTrainer, SoftmaxTrainer

SLICES = 8
TRAINERS: dict[str, type[nnUNetTrainer]] = {
    "nnUNetTrainerNoDeepSupervision": nnUNetTrainer,
    "SegANTrainer": AdversarialTrainer,
    "UNetSoftmaxTrainer": SoftmaxTrainer,
}


def inference(workload: Workload, repetitions: int = 7) -> list[Timed]:
    """Time nnU-Net's sliding window over one case, with Figure 1's segmentor as each trainer builds it, in turns.

    Args:
        workload: decides patch, width, channels and regions. The case has a few slices, or the size of one patch.
        repetitions: timed runs of each, after one that warms up.
    """
    depth = () if len(workload.patch) == 3 else (SLICES,)
    image = torch.randn(workload.channels, *depth, *workload.patch)
    with redirect_stdout(io.StringIO()):
        predictors = {name: predictor(trainer, workload) for name, trainer in TRAINERS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in predictors}
    for repetition in range(repetitions + 1):
        for name, one in predictors.items():
            with redirect_stdout(io.StringIO()):
                taken = seconds_of(partial(one.predict_sliding_window_return_logits, image), workload.device)
            if repetition:
                seconds[name].append(taken)
    return [Timed(name, times) for name, times in seconds.items()]


def predictor(trainer: type[nnUNetTrainer], workload: Workload) -> nnUNetPredictor:
    """nnU-Net's predictor with the network that a trainer builds."""
    manager = PlansManager(make_plans(workload, own=False))
    configuration = manager.get_configuration("benchmark")
    network = trainer.build_network_architecture(
        manager, configuration, workload.channels, workload.regions, enable_deep_supervision=False
    )
    made = nnUNetPredictor(device=torch.device(workload.device), allow_tqdm=False)
    made.manual_initialization(
        network.to(workload.device), manager, configuration, None, workload.dataset_json(), trainer.__name__, (0, 1)
    )
    return made
