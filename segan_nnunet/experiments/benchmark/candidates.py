"""Build the trainers that the benchmark compares, with plans made for a workload."""

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from segan_nnunet.experiments.benchmark.workload import Workload
from segan_nnunet.models.configurations import segan_configuration
from segan_nnunet.networks.critic import Encoder
from segan_nnunet.objective import mask_image, rescale_intensities
from segan_nnunet.training import AdversarialTrainer, CriticBesideTrainer, PaperTrainer, SoftmaxTrainer, WithCritics

NAME = "Dataset001_Benchmark"
DATA = "preprocessed"


class AuthorsLoop(AdversarialTrainer):
    """The authors' released loop, transcribed without optimisation, with one critic per region as in the paper.

    The segmentor runs twice per step, no player is frozen, the precision is float32, all parameters of a critic are
    clamped, and tensors have PyTorch's default memory format.
    """

    critic_batch_norm_clamp = AdversarialTrainer.critic_clamp

    def initialize(self) -> None:
        """Build both players in PyTorch's default memory format."""
        super().initialize()
        use_default_format(self.network, self.critic)

    @staticmethod
    def compile_is_requested() -> bool:
        """Return False: the authors ran their loop in eager mode."""
        return False

    def train_step(self, batch: dict) -> dict[str, Any]:
        """Train the critics and then the segmentor, as in the released loop."""
        image, target = batch["data"].to(self.device), batch["target"].to(self.device).float()
        seen = rescale_intensities(image)
        self.critic.zero_grad()
        predicted = torch.sigmoid(self.network(image)).detach()
        (-self.distance(seen, predicted, target)).backward()
        self.critic_optimizer.step()
        self.clamp_critic()
        self.network.zero_grad()
        loss = self.distance(seen, torch.sigmoid(self.network(image)), target)
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def distance(self, seen: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return Eq. 2, averaged over all critics, a scalar."""
        distances = []
        for region, part in enumerate(self.critic.critics):
            critic = part.get_submodule("critic")
            maps = (mask_image(seen, masks[:, region : region + 1]) for masks in (predicted, truth))
            features = (critic(masked) for masked in maps)
            distances += [self.difference(a, b) for a, b in zip(*features, strict=True)]
        return torch.stack(distances).mean()

    def difference(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the term of Eq. 3 for one layer's features of both masked images, a scalar."""
        return (one - other).abs().mean()


class Float32(AdversarialTrainer):
    """SegANTrainer in the precision of the authors' loop."""

    def initialize(self) -> None:
        """Switch autocast off."""
        self.autocast_dtype = None
        super().initialize()


class Compiled(AdversarialTrainer):
    """SegANTrainer with both players compiled, as with nnUNet_compile=true."""

    @staticmethod
    def compile_is_requested() -> bool:
        """Return True: compile both players."""
        return True


class CompiledBeside(CriticBesideTrainer):
    """nnUNetTrainerSegAN with compiled critics, as with nnUNet_compile=true."""

    compile_is_requested = staticmethod(Compiled.compile_is_requested)


class WeightsChannelsLast(AdversarialTrainer):
    """SegANTrainer with weights in the channels-last memory format, which its activations already have."""

    def initialize(self) -> None:
        """Convert the weights to the channels-last format."""
        super().initialize()
        dimension = len(self.configuration_manager.patch_size)
        order = torch.channels_last if dimension == 2 else torch.channels_last_3d
        for player in (self.network, self.critic):
            player.to(memory_format=order)


def use_default_format(*players: nn.Module) -> None:
    """Make the encoders keep PyTorch's default memory format, channels first."""
    for player in players:
        for module in player.modules():
            if isinstance(module, Encoder):
                module.memory_format = torch.contiguous_format


CANDIDATES: dict[str, type[nnUNetTrainer]] = {
    "authors' loop": AuthorsLoop,
    "SegANTrainer": AdversarialTrainer,
    "SegANTrainer in float32": Float32,
    "UNetSoftmaxTrainer": SoftmaxTrainer,
    "nnUNetTrainer, nnU-Net's network": nnUNetTrainer,
    "nnUNetTrainerSegAN, nnU-Net's network": CriticBesideTrainer,
}

VARIANTS: dict[str, type[nnUNetTrainer]] = {
    "SegANTrainer, compiled": Compiled,
    "nnUNetTrainerSegAN, critics compiled": CompiledBeside,
    "SegANTrainer, weights channels last": WeightsChannelsLast,
}


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables inside this context, and restore them afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def nnunet_folders() -> Iterator[Path]:
    """Set nnU-Net's three folders to one temporary folder. Yield the empty folder of the preprocessed cases."""
    with (
        tempfile.TemporaryDirectory() as folder,
        environment(nnUNet_raw=folder, nnUNet_preprocessed=folder, nnUNet_results=folder),
    ):
        cases = Path(folder) / NAME / DATA
        cases.mkdir(parents=True)
        yield cases


def build(trainer: type[nnUNetTrainer], workload: Workload) -> Any:
    """Return an initialized trainer for the workload."""
    with nnunet_folders() as cases:
        (cases / "case.b2nd").touch()  # nnU-Net infers the data format from a file's name
        return initialized(trainer, workload)


def initialized(trainer: type[nnUNetTrainer], workload: Workload) -> Any:
    """Return an initialized trainer. Call this inside `nnunet_folders` with at least one case."""
    with redirect_stdout(io.StringIO()):
        candidate: Any = trainer(
            make_plans(workload, nnunet_network=not issubclass(trainer, PaperTrainer)),
            "benchmark",
            "all",
            workload.dataset_json(),
            torch.device(workload.device),
        )
        candidate.initialize()
    candidate.log_file = os.devnull
    candidate.network.train()
    if isinstance(candidate, CriticBesideTrainer):
        candidate.fraction = candidate.critic_fraction
    if isinstance(candidate, WithCritics):
        candidate.critic.train()
        # skip the measurement of an epoch's first step
        candidate.layer_shares = torch.zeros(len(candidate.critic.layers))
    return candidate


def make_plans(workload: Workload, nnunet_network: bool) -> dict[str, Any]:
    """Return plans for the workload.

    Args:
        workload: sets patch, batch and width.
        nnunet_network: whether to plan nnU-Net's network instead of Figure 1's.
    """
    planned = {
        "data_identifier": DATA,
        "patch_size": list(workload.patch),
        "batch_size": workload.batch,
        "use_mask_for_norm": [False] * workload.channels,
    }
    if nnunet_network:
        dimension, features = len(workload.patch), planned_features(workload.patch)
        configuration = {**planned, "architecture": nnunet_architecture(dimension, features), "batch_dice": True}
    else:
        configuration = segan_configuration(planned, workload.width, workload.batch, workload.patch)
    return {
        "dataset_name": NAME,
        "plans_name": "benchmark",
        "configurations": {"benchmark": configuration},
        "continue_training": False,
    }


def planned_features(patch: Sequence[int]) -> list[int]:
    """Return the features per stage that nnU-Net plans for isotropic voxels.

    The planner halves the patch as long as at least 4 voxels remain, and doubles the features up to a limit.
    """
    halvings = 0
    while all(size % 2 ** (halvings + 1) == 0 and size / 2 ** (halvings + 1) >= 4 for size in patch):
        halvings += 1
    limit = 512 if len(patch) == 2 else 320
    return [min(32 * 2**stage, limit) for stage in range(halvings + 1)]


def nnunet_architecture(dimension: int, features: Sequence[int], convolutions: int = 2) -> dict[str, Any]:
    """Return the entry of nnU-Net's plans that describes its plain U-Net for isotropic voxels.

    Args:
        dimension: 2 or 3.
        features: feature maps per stage. Each stage after the first halves the patch.
        convolutions: number of convolutions per stage.
    """
    stages = len(features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(features),
            "conv_op": f"torch.nn.modules.conv.Conv{dimension}d",
            "kernel_sizes": [[3] * dimension] * stages,
            "strides": [[1] * dimension] + [[2] * dimension] * (stages - 1),
            "n_conv_per_stage": [convolutions] * stages,
            "n_conv_per_stage_decoder": [convolutions] * (stages - 1),
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimension}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def precision(trainer: Any) -> torch.dtype:
    """Return the precision of a trainer's convolutions."""
    if isinstance(trainer, AuthorsLoop):
        return torch.float32
    if isinstance(trainer, (AdversarialTrainer, SoftmaxTrainer)):
        return trainer.autocast_dtype or torch.float32
    return torch.float16 if trainer.device.type == "cuda" else torch.float32


def batch_for(trainer: Any, batch: dict[str, Tensor]) -> dict[str, Any]:
    """Return the batch in the form that a trainer's loader gives.

    With deep supervision it has the truth in several sizes. For a GPU these are in pinned memory.
    """
    if not trainer.enable_deep_supervision:
        return dict(batch)
    truth = batch["target"].float()
    scaled = [F.interpolate(truth, scale_factor=tuple(scale)) for scale in trainer._get_deep_supervision_scales()]
    return {**batch, "target": [part.pin_memory() for part in scaled] if trainer.device.type == "cuda" else scaled}
