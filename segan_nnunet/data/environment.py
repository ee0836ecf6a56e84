"""nnU-Net's folders, asked for before any work begins."""

import os
from pathlib import Path

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_name

MOST_PROCESSES = 8  # nnU-Net's default


def nnunet_folder(variable: str) -> Path:
    """Return the folder that nnUNet_raw, nnUNet_preprocessed or nnUNet_results names.

    Raises:
        InputError: the variable is not set, or its path is not UTF-8.
    """
    value = os.environ.get(variable)
    if not value:
        raise InputError(
            f"{variable} is not set. nnU-Net keeps its data in three folders; name them first: "
            "export nnUNet_raw=... nnUNet_preprocessed=... nnUNet_results=..."
        )
    check_name(value)
    return Path(value)


def existing_datasets(dataset_id: int) -> list[Path]:
    """Folders of a dataset id, in whichever of nnU-Net's three folders are set."""
    found: list[Path] = []
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        if value := os.environ.get(variable):
            found += sorted(path for path in Path(value).glob(f"Dataset{dataset_id:03d}_*") if path.is_dir())
    return found


def dataset_name(dataset_id: int) -> str:
    """Return the name, DatasetXXX_Name, of a dataset that exists.

    Raises:
        InputError: no dataset has this id, or two names share it.
    """
    names = sorted({folder.name for folder in existing_datasets(dataset_id)})
    if not names:
        raise InputError(
            f"there is no dataset {dataset_id} in nnU-Net's folders; make it first: segan_nnunet convert ... -d "
            f"{dataset_id}"
        )
    if len(names) > 1:
        raise InputError(f"dataset id {dataset_id} has {len(names)} names: {', '.join(names)}. Rename or remove one.")
    return names[0]


def dataset_number(name: str) -> int:
    """Return the XXX of DatasetXXX_Name."""
    return int(name.removeprefix("Dataset").split("_")[0])


def usable_cores() -> int:
    """Processor cores that this process may use: of the machine, of taskset or SLURM, of the container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores


def default_processes() -> int:
    """As many worker processes as nnU-Net takes: nnUNet_def_n_proc, or 8; but no more than there are usable cores."""
    return int(os.environ.get("nnUNet_def_n_proc") or min(MOST_PROCESSES, usable_cores()))


def usual_mode(path: Path) -> None:
    """Give a file or folder that was made for its owner alone the mode that others of the user's have."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def default_device() -> str:
    """Return cuda where there is one, else cpu."""
    import torch  # seconds, which most of our commands need not take

    return "cuda" if torch.cuda.is_available() else "cpu"
