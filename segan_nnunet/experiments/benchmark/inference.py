"""Time inference with the networks of our trainers and of a stock trainer."""

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
    """Time nnU-Net's sliding window over one case, with Figure 1's segmentor from each trainer in turns.

    Args:
        workload: sets patch, width, channels and regions. The case has a few slices (2-D) or is one patch (3-D).
        repetitions: timed runs per trainer, after one warm-up run.
    """
    depth = () if len(workload.patch) == 3 else (SLICES,)
    image = torch.randn(workload.channels, *depth, *workload.patch)
    with redirect_stdout(io.StringIO()):
        predictors = {name: predictor(trainer, workload) for name, trainer in TRAINERS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in predictors}
    for repetition in range(repetitions + 1):
        for name, one_predictor in predictors.items():
            with redirect_stdout(io.StringIO()):
                run_seconds = seconds_of(
                    partial(one_predictor.predict_sliding_window_return_logits, image), workload.device
                )
            if repetition:
                seconds[name].append(run_seconds)
    return [Timed(name, times) for name, times in seconds.items()]


def predictor(trainer: type[nnUNetTrainer], workload: Workload) -> nnUNetPredictor:
    """Return nnU-Net's predictor with the network that a trainer builds."""
    manager = PlansManager(make_plans(workload, nnunet_network=False))
    configuration = manager.get_configuration("benchmark")
    network = trainer.build_network_architecture(
        manager, configuration, workload.channels, workload.regions, enable_deep_supervision=False
    )
    nnunet_predictor = nnUNetPredictor(device=torch.device(workload.device), allow_tqdm=False)
    nnunet_predictor.manual_initialization(
        network.to(workload.device), manager, configuration, None, workload.dataset_json(), trainer.__name__, (0, 1)
    )
    return nnunet_predictor
