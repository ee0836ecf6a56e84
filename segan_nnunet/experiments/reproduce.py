"""`reproduce`: set up the paper's experiment: Table 1 and the ablations of Figure 2, from the files of BRATS 2015."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segan_nnunet.data.case_table import CASE_TABLE
from segan_nnunet.data.conversion import convert
from segan_nnunet.data.environment import existing_datasets, nnunet_folder
from segan_nnunet.data.releases.tables import load_release
from segan_nnunet.data.splits import write_splits
from segan_nnunet.errors import InputError
from segan_nnunet.experiments.demo import BATCH_SIZE as SHORT_BATCH_SIZE
from segan_nnunet.experiments.demo import WIDTH as SHORT_WIDTH
from segan_nnunet.grid.checks import check_trainers, make_grid
from segan_nnunet.grid.jobs import Grid
from segan_nnunet.models.configurations import PAPER_WIDTH
from segan_nnunet.models.plans import SEGAN_PLANS, plan

# Table 1's two methods (with SegAN as recommended and as published), Figure 2's ablations (Section 3.1) and nnU-Net's
# loss on the same network, all with the paper's only augmentation, the random crop
TRAINERS = (
    "SegANTrainer_PaperDA",
    "SegANTrainer_asPublished_PaperDA",
    "SegANTrainer_S1_1C_PaperDA",
    "SegANTrainer_S3_1C_PaperDA",
    "SegANTrainer_s0_PaperDA",
    "SegANTrainer_s3_PaperDA",
    "UNetSoftmaxTrainer_PaperDA",
    "UNetDiceCETrainer_PaperDA",
)
SHORT = "_short"
RELEASE = "brats2015"
CONFIGURATION = "2d"
BASELINE = "UNetSoftmaxTrainer_PaperDA"  # of Table 1


def paper_grid(
    source: Path,
    dataset_id: int,
    folds: int | None = None,
    short: bool = False,
    device: str = "cuda",
    num_gpus: int = 1,
    trainers: Sequence[str] = (),
) -> Grid:
    """Convert, split and plan BRATS 2015 unless that is done, and return the grid of the paper's trainings.

    Args:
        source: the folder of the unpacked release.
        dataset_id: nnU-Net's number for the dataset, new or from an earlier call.
        folds: number of folds of a cross-validation. The default is the paper's holdout, 9:1 for each grade.
        short: whether to train short variants on the demo's narrow network. This is a trial, not the paper's result.
        device, num_gpus: as for `nnUNetv2_train`.
        trainers: names of the trainers. The default is `TRAINERS`, with `_short` if `short` is True.

    Raises:
        InputError: a trainer or a folder is missing, or the data break a rule. All checks precede the trainings.
    """
    trainers = trainers or paper_trainers(short)
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        nnunet_folder(variable)
    check_trainers(trainers)
    convert_once(source, dataset_id)
    try:
        print(write_splits(dataset_id, folds or 1, scheme="kfold" if folds else "holdout").to_string(index=False))
    except InputError as error:
        raise InputError(
            f"{error} In `reproduce` give --folds 5 instead of --scheme kfold. `reproduce` never replaces the split of "
            "an earlier call"
        ) from error
    width, batch_size = (SHORT_WIDTH, SHORT_BATCH_SIZE) if short else (PAPER_WIDTH, None)
    print(plan(dataset_id, [CONFIGURATION], width, batch_size))
    grid = make_grid(dataset_id, trainers, [SEGAN_PLANS], None, CONFIGURATION, device, num_gpus)
    baseline = next((name for name in trainers if name.removesuffix(SHORT) == BASELINE), None)
    return replace(grid, baseline=baseline, published=True)


def paper_trainers(short: bool) -> list[str]:
    """Return the names of the trainers that reproduce the paper."""
    return [name + SHORT if short else name for name in TRAINERS]


def convert_once(source: Path, dataset_id: int) -> None:
    """Convert BRATS 2015, unless an earlier call has converted it.

    Raises:
        InputError: the id belongs to another dataset, or the data break a rule.
    """
    release = load_release(RELEASE)
    folder = nnunet_folder("nnUNet_raw") / f"Dataset{dataset_id:03d}_{release.name}"
    if (folder / CASE_TABLE).is_file():
        print(f"{folder} already exists and is used without changes")
        return
    if taken := [path for path in existing_datasets(dataset_id) if path.name != folder.name]:
        raise InputError(f"dataset id {dataset_id} is taken by {taken[0]}; choose another -d")
    dataset = convert(release, source, dataset_id)
    print(f"{dataset.folder}: {len(dataset.training)} training cases")
