"""Read and check environment variables: nnU-Net's folders, numbers of processes and threads. Check devices too."""

import os
import re
from pathlib import Path

from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_name

MOST_PROCESSES = 8  # nnU-Net's default
FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
TRAINER_FOLDERS = "nnUNet_extTrainer"
PROCESSES, AUGMENTERS, THREADS = "nnUNet_def_n_proc", "nnUNet_n_proc_DA", "OMP_NUM_THREADS"
DATASET = re.compile(r"Dataset\d{3,}_.+")
DEVICES = ("cpu", "cuda", "mps")
QUOTES = "'\"\u2018\u2019\u201c\u201d"


def check_variables() -> None:
    """Check all variables that this package or nnU-Net reads. Unset the empty ones, which nnU-Net cannot read.

    Raises:
        InputError: a variable has a value that cannot be used; with the remedy.
    """
    for variable in (*FOLDERS, TRAINER_FOLDERS, PROCESSES, AUGMENTERS, THREADS):
        if not os.environ.get(variable, "unset").strip():
            del os.environ[variable]
    variable_of: dict[Path, str] = {}
    for variable in FOLDERS:
        if path := folder_variable(variable):
            first = variable_of.setdefault(path.resolve(), variable)
            if first != variable:
                raise InputError(
                    f"{first} and {variable} are both {path}, and nnU-Net would mix a dataset with the files that it "
                    "makes from it. Set the two variables to two folders"
                )
    for folder in os.environ.get(TRAINER_FOLDERS, "").split(os.pathsep):
        check_path_text(TRAINER_FOLDERS, folder)
    number_variable(PROCESSES, 1)
    number_variable(AUGMENTERS, 0)
    number_variable(THREADS, 1)  # no list: libraries that nnU-Net imports read one number


def folder_variable(variable: str) -> Path | None:
    """Return the folder that a variable names; None if it is not set.

    Raises:
        InputError: the value is no folder, is the folder of one dataset, or breaks a rule of `check_path_text`.
    """
    value = os.environ.get(variable, "")
    if not value.strip():
        return None
    check_path_text(variable, value)
    if (folder := Path(value)).exists() and not folder.is_dir():
        raise InputError(f"{variable} is {value}, which is not a folder; set it to a folder")
    if DATASET.fullmatch(folder.name):
        raise InputError(
            f"{variable} is {value}, the folder of one dataset, and nnU-Net looks for datasets in it. Set it to the "
            f"folder above: {folder.parent}"
        )
    return folder


def check_path_text(variable: str, value: str) -> None:
    """Check that a variable holds a path and nothing else. nnU-Net reads it too, so it is not corrected here.

    Raises:
        InputError: it has outer white space, quotes, bytes that are not UTF-8, or a ~ or $NAME that the shell left.
    """
    check_name(value)
    if value != value.strip():
        raise InputError(
            f"{variable} is {value!r}, with white space at its start or end: set it without the white space. If a "
            "script with Windows line ends sets it, run `dos2unix SCRIPT`"
        )
    if value[:1] and (value[0] in QUOTES or value[-1] in QUOTES):
        raise InputError(f"{variable} is {value}, and the quotes are part of the value: set it without quotes")
    if value != os.path.expandvars(os.path.expanduser(value)):
        raise InputError(
            f"{variable} is {value}, in which the shell did not replace ~ or $NAME because of quotes: set it again, as "
            f'in export {variable}="$HOME/..."'
        )


def number_variable(variable: str, least: int) -> int | None:
    """Return the whole number in a variable; None if it is not set.

    Raises:
        InputError: it has another value, or a smaller number.
    """
    value = os.environ.get(variable, "")
    if not value.strip():
        return None
    try:
        number = int(value)  # as nnU-Net reads it
    except ValueError:
        number = least - 1
    if number < least:
        raise InputError(
            f"{variable} is {value!r}; it takes a whole number of {least} or more. Set it to one, or unset it"
        )
    return number


def omp_threads() -> int | None:
    """Return the number of threads in OMP_NUM_THREADS; None if it holds no number above 0."""
    value = os.environ.get(THREADS, "").strip()
    return int(value) if value.isdecimal() and int(value) else None


def nnunet_folder(variable: str) -> Path:
    """Return the folder that nnUNet_raw, nnUNet_preprocessed or nnUNet_results names.

    Raises:
        InputError: the variable is not set, or as `folder_variable`.
    """
    folder = folder_variable(variable)
    if folder is None:
        raise InputError(
            f"{variable} is not set. nnU-Net keeps its data in three folders; name them first: "
            "export nnUNet_raw=... nnUNet_preprocessed=... nnUNet_results=..."
        )
    return folder


def existing_datasets(dataset_id: int) -> list[Path]:
    """Return the folders of a dataset id in those of nnU-Net's three folders that are set."""
    folders = [folder for variable in FOLDERS if (folder := folder_variable(variable))]
    paths = [path for folder in folders for path in sorted(folder.glob(f"Dataset{dataset_id:03d}_*"))]
    return [path for path in paths if path.is_dir()]


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
    """Return the number of processor cores that the machine, taskset or SLURM, and the container leave this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores


def default_processes(requested: int | None = None) -> int:
    """Return the requested number of worker processes; by default nnUNet_def_n_proc, or the usable cores up to 8.

    Raises:
        InputError: it is less than 1, or nnUNet_def_n_proc is not a number of processes.
    """
    if requested is not None and requested < 1:
        raise InputError(f"-np takes a number of processes of 1 or more, not {requested}")
    return requested or number_variable(PROCESSES, 1) or min(MOST_PROCESSES, usable_cores())


def apply_umask(path: Path) -> None:
    """Give a temporary file, which only its owner may read, the permissions of the user's new files."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def default_device() -> str:
    """Return cuda if this machine has a GPU, else cpu."""
    import torch  # takes seconds; most commands do not need it

    return "cuda" if torch.cuda.is_available() else "cpu"


def device_here(device: str | None) -> str:
    """Return the requested device of this machine; by default cuda if it has a GPU, else cpu.

    Raises:
        InputError: there is no such device, or this machine has none.
    """
    if device is None:
        return default_device()
    if device not in DEVICES:
        raise InputError(f"there is no device '{device}'; nnU-Net knows {', '.join(DEVICES)}")
    if device == "cuda" and default_device() != "cuda":
        raise InputError("this machine has no GPU that torch can use; take another with -device cpu")
    return device
