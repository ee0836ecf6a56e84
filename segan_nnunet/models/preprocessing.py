"""nnU-Net's preprocessing, where it is missing; and what was changed since in the files that it was made from."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from segan_nnunet.data.environment import dataset_number, nnunet_folder
from segan_nnunet.data.labelling import read_dataset
from segan_nnunet.data.trained_on import digest
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_name, is_hidden
from segan_nnunet.text_files import optional_object

PIECE = 2**16  # bytes


def preprocess_with_nnunet(preprocessed: Path, plans: dict[str, Any], configuration: str, num_processes: int) -> None:
    """Preprocess a configuration of any plans with nnU-Net, unless all its cases are there.

    Raises:
        InputError: images or labels were changed since, or links to them point nowhere.
    """
    training = read_dataset(preprocessed / "dataset.json", ["numTraining"])["numTraining"]
    folder = preprocessed / data_identifier(plans, configuration)
    raw = Path(os.environ.get("nnUNet_raw", "")) / preprocessed.name
    done = [
        path for path in folder.glob("*.pkl") if not is_hidden(path)
    ]  # nnU-Net writes a case's .pkl after its voxels
    if len(done) == training:
        check_sources(folder, raw, done)
        return
    check_links(nnunet_folder("nnUNet_raw") / preprocessed.name)
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    remove_changed_labels(preprocessed / "gt_segmentations", raw)
    nnunet.preprocess([dataset_number(preprocessed.name)], plans["plans_name"], [configuration], [num_processes])
    record_sources(folder, raw)


def check_sources(folder: Path, raw: Path, done: list[Path]) -> None:
    """Check that preprocessed data are of the files that are in nnUNet_raw now.

    What nnU-Net preprocessed by itself has no record, or an earlier one: then files that are newer are named, and if
    none is, these are taken for the ones.

    Args:
        folder: of the preprocessed data.
        raw: the dataset in nnUNet_raw; nothing is checked where it is gone.
        done: one of the preprocessed files of each case.

    Raises:
        InputError: files were changed since.
    """
    record, times = record_path(folder), [path.stat().st_mtime for path in done]
    if (
        recorded := optional_object(record)
        if record.is_file() and record.stat().st_mtime >= max(times, default=0)
        else {}
    ):
        now = digests(raw)
        if changed := [name for name in recorded if now.get(name, recorded[name]) != recorded[name]]:
            raise InputError(
                f"{len(changed)} files of {raw}, the first {changed[0]}, were changed since {folder} was preprocessed "
                f"from them. Remove {folder} and give the command again, to preprocess them anew, or bring them back"
            )
    elif later := newer(raw, min(times, default=0)):
        print(
            f"WARNING: {len(later)} files of the dataset, the first {later[0]}, are newer than what was "
            f"preprocessed from them. If they were changed, remove {folder} and give the command again."
        )
    else:
        record_sources(folder, raw)


def record_path(folder: Path) -> Path:
    """Where the digests of preprocessed files are kept: beside their folder, in which nnU-Net wants nothing else."""
    return folder.with_name(f"{folder.name}_sources.json")


def record_sources(folder: Path, raw: Path) -> None:
    """Record which files were preprocessed."""
    if found := digests(raw):
        record_path(folder).write_text(json.dumps(found, indent=4))


def sources(raw: Path) -> list[Path]:
    """Images and labels of the training cases of a dataset."""
    found = [path for part in ("imagesTr", "labelsTr") for path in sorted((raw / part).glob("*"))]
    return [path for path in found if path.is_file() and not is_hidden(path)]


def digests(raw: Path) -> dict[str, str]:
    """Digests of a dataset's images and labels by their path in it: of whole labels, and of pieces of the images."""
    return {
        str(path.relative_to(raw)): digest(path) if path.parent.name == "labelsTr" else digest_of_pieces(path)
        for path in sources(raw)
    }


def digest_of_pieces(path: Path) -> str:
    """Tell an image from a changed one by its size, beginning, middle and end, without reading gigabytes.

    Of what is compressed, as nearly all images are, the end holds a checksum of the whole.
    """
    size = path.stat().st_size
    found = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in (0, max(0, size // 2 - PIECE // 2), max(0, size - PIECE)):
            file.seek(start)
            found.update(file.read(PIECE))
    return found.hexdigest()[:16]


def newer(raw: Path, seconds: float) -> list[Path]:
    """Images and labels of a dataset that were written after a time."""
    return [path for path in sources(raw) if path.stat().st_mtime > seconds]


def remove_changed_labels(kept: Path, raw: Path) -> None:
    """Remove copies of labels that are other than the labels now: nnU-Net replaces older copies only."""
    for path in kept.glob("*"):
        label = raw / "labelsTr" / path.name
        if label.is_file() and digest(label) != digest(path):
            path.unlink()


def check_links(dataset: Path) -> None:
    """Check that nnU-Net can read the images of a dataset: that links point to files, and what the names are.

    Raises:
        InputError: images were moved since the conversion, a name is not UTF-8, or a Mac left files of its own, which
            nnU-Net takes for images.
    """
    links = [path for part in ("imagesTr", "labelsTr", "imagesTs") for path in sorted((dataset / part).glob("*"))]
    for path in links:
        check_name(path)
    if hidden := [path for path in links if path.name.startswith("._")]:
        raise InputError(
            f"{len(hidden)} files of {dataset} hold a Mac's attributes of others, the first {hidden[0]}, and nnU-Net "
            f"would take them for images. Remove them: find {dataset} -name '._*' -delete"
        )
    if gone := [path for path in links if not path.exists()]:
        raise InputError(
            f"{len(gone)} links of {dataset} point to files that are not there, the first {gone[0]} to "
            f"{os.readlink(gone[0])}. Bring them back, or remove the dataset and convert again from where they are now "
            "(--copy makes it independent of them)"
        )


def data_identifier(plans: dict[str, Any], configuration: str) -> str:
    """Name of the folder of a configuration's preprocessed data, its own or that of the one it inherits from."""
    settings = plans["configurations"][configuration]
    return settings.get("data_identifier") or data_identifier(plans, settings["inherits_from"])
