"""Where the two catalogues lie: `trainers/` and `dataset_conversion/`, which users read and extend."""

from pathlib import Path

CATALOGUES = ("trainers", "dataset_conversion")


def catalogue_folder(name: str) -> Path:
    """Return the folder of a catalogue, in an installed wheel or in a checkout.

    A wheel holds the catalogues inside the package; in a checkout they stand beside it.

    Args:
        name: `trainers` (what nnUNet_extTrainer points at) or `dataset_conversion` (the release tables).

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    if name not in CATALOGUES:
        raise ValueError(f"there is no catalogue '{name}'; there are {', '.join(CATALOGUES)}")
    package = Path(__file__).resolve().parent
    for folder in (package / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"the folder '{name}' of segan_nnunet is missing beside {package}; install the package again"
    )
