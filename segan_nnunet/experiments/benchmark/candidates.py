"""The trainers that are compared, ready to step on plans made for a workload."""

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
    """A plain transcription of the authors' released loop, with a critic per region as in the paper.

    The segmentor runs twice a step, nothing is frozen, everything is float32, every parameter of a critic is clamped,
    and tensors have PyTorch's ordinary memory format.
    """

    critic_batch_norm_clamp = AdversarialTrainer.critic_clamp

    def initialize(self) -> None:
        """Build both players as they did."""
        super().initialize()
        take_ordinary_format(self.network, self.critic)

    @staticmethod
    def compile_is_asked_for() -> bool:
        """Leave it wholly eager, as they ran it."""
        return False

    def train_step(self, batch: dict) -> dict[str, Any]:
        """One round, as they play it."""
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
        """Eq. 2, over all critics."""
        distances = []
        for region, part in enumerate(self.critic.critics):
            critic = part.get_submodule("critic")
            maps = (mask_image(seen, masks[:, region : region + 1]) for masks in (predicted, truth))
            features = (critic(masked) for masked in maps)
            distances += [self.difference(a, b) for a, b in zip(*features, strict=True)]
        return torch.stack(distances).mean()

    def difference(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the term of Eq. 3 of one layer's two feature maps, a scalar."""
        return (one - other).abs().mean()


class Float32(AdversarialTrainer):
    """SegANTrainer in the precision of the authors' loop."""

    def initialize(self) -> None:
        """Leave autocast out."""
        self.autocast_dtype = None
        super().initialize()


class Compiled(AdversarialTrainer):
    """SegANTrainer as with nnUNet_compile=true."""

    @staticmethod
    def compile_is_asked_for() -> bool:
        """Compile both players."""
        return True


class CompiledBeside(CriticBesideTrainer):
    """nnUNetTrainerSegAN as with nnUNet_compile=true: its critics compiled too."""

    compile_is_asked_for = staticmethod(Compiled.compile_is_asked_for)


class WeightsChannelsLast(AdversarialTrainer):
    """SegANTrainer whose weights, too, have their channels last in memory, as its activations do."""

    def initialize(self) -> None:
        """Bring them into that order."""
        super().initialize()
        dimension = len(self.configuration_manager.patch_size)
        order = torch.channels_last if dimension == 2 else torch.channels_last_3d
        for player in (self.network, self.critic):
            player.to(memory_format=order)


def take_ordinary_format(*players: nn.Module) -> None:
    """Undo what our networks do for speed: PyTorch's ordinary memory format, channels first."""
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
    """Set variables, and give them back as they were."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def nnunet_folders() -> Iterator[Path]:
    """nnU-Net's three folders, all of them one temporary folder; yields that of the preprocessed cases, empty."""
    with (
        tempfile.TemporaryDirectory() as folder,
        environment(nnUNet_raw=folder, nnUNet_preprocessed=folder, nnUNet_results=folder),
    ):
        cases = Path(folder) / NAME / DATA
        cases.mkdir(parents=True)
        yield cases


def build(trainer: type[nnUNetTrainer], workload: Workload) -> Any:
    """A trainer, ready to step."""
    with nnunet_folders() as cases:
        (cases / "case.b2nd").touch()  # nnU-Net tells the format of its data from a file's name
        return initialized(trainer, workload)


def initialized(trainer: type[nnUNetTrainer], workload: Workload) -> Any:
    """A trainer on plans made for the workload, within `nnunet_folders` that hold a case."""
    with redirect_stdout(io.StringIO()):
        made: Any = trainer(
            make_plans(workload, own=not issubclass(trainer, PaperTrainer)),
            "benchmark",
            "all",
            workload.dataset_json(),
            torch.device(workload.device),
        )
        made.initialize()
    made.log_file = os.devnull
    made.network.train()
    if isinstance(made, CriticBesideTrainer):
        made.fraction = made.critic_fraction
    if isinstance(made, WithCritics):
        made.critic.train()
        made.layer_shares = torch.zeros(len(made.critic.layers))  # an epoch's first step, which measures them, is past
    return made


def make_plans(workload: Workload, own: bool) -> dict[str, Any]:
    """Plans for the workload.

    Args:
        workload: decides patch, batch and width.
        own: the network that nnU-Net plans, instead of Figure 1's.
    """
    planned = {
        "data_identifier": DATA,
        "patch_size": list(workload.patch),
        "batch_size": workload.batch,
        "use_mask_for_norm": [False] * workload.channels,
    }
    if own:
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

    The planner halves the patch while 4 voxels are left, and doubles the features up to a limit.
    """
    halvings = 0
    while all(size % 2 ** (halvings + 1) == 0 and size / 2 ** (halvings + 1) >= 4 for size in patch):
        halvings += 1
    limit = 512 if len(patch) == 2 else 320
    return [min(32 * 2**stage, limit) for stage in range(halvings + 1)]


def nnunet_architecture(dimension: int, features: Sequence[int], convolutions: int = 2) -> dict[str, Any]:
    """Return the entry of nnU-Net's plans that describes its plain network for isotropic voxels.

    Args:
        dimension: 2 or 3.
        features: per stage; each stage but the first halves the patch.
        convolutions: per stage.
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
    """The precision in which a trainer's convolutions run."""
    if isinstance(trainer, AuthorsLoop):
        return torch.float32
    if isinstance(trainer, (AdversarialTrainer, SoftmaxTrainer)):
        return trainer.autocast_dtype or torch.float32
    return torch.float16 if trainer.device.type == "cuda" else torch.float32


def batch_for(trainer: Any, batch: dict[str, Tensor]) -> dict[str, Any]:
    """The batch as a trainer's loader gives it.

    With deep supervision the truth comes in several sizes; for a GPU it lies in pinned memory.
    """
    if not trainer.enable_deep_supervision:
        return dict(batch)
    truth = batch["target"].float()
    scaled = [F.interpolate(truth, scale_factor=tuple(scale)) for scale in trainer._get_deep_supervision_scales()]
    return {**batch, "target": [part.pin_memory() for part in scaled] if trainer.device.type == "cuda" else scaled}
