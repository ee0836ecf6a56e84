"""Preprocess with nnU-Net where needed, and find source files that were changed since."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from segan_nnunet.data.environment import dataset_number, folder_variable, nnunet_folder
from segan_nnunet.data.planned.cases import known_cases, preprocessed_cases, raw_cases, raw_folder
from segan_nnunet.data.planned.plans import data_identifier
from segan_nnunet.data.planned.preprocessed_data import (
    Record,
    check_preprocessed_under,
    preprocessing_settings,
    read_record,
    write_record,
)
from segan_nnunet.data.volumes import read_volume
from segan_nnunet.data.volumes.pictures import is_picture
from segan_nnunet.data.volumes.whole_files import check_end, check_file
from segan_nnunet.errors import InputError
from segan_nnunet.file_kinds import check_name, is_hidden
from segan_nnunet.folds.locks import FOLD_LOCK, is_locked
from segan_nnunet.folds.record import file_digest
from segan_nnunet.text_files import optional_object
from segan_nnunet.trainer_names import model_parts

PIECE = 2**16  # bytes of an image that a digest reads at each place


def preprocess_with_nnunet(preprocessed: Path, plans: dict[str, Any], configuration: str, num_processes: int) -> None:
    """Preprocess a configuration of any plans with nnU-Net, unless all training cases are preprocessed.

    Raises:
        InputError: the existing data belong to other plans; images or labels were changed since, are missing or are
            broken links; or a running training reads the data that would be replaced.
    """
    check_preprocessed_under(preprocessed, plans, configuration)
    folder, raw = preprocessed / data_identifier(plans, configuration), raw_folder(preprocessed)
    done = preprocessed_cases(folder)
    record = Record(settings=preprocessing_settings(plans, configuration), plans=plans["plans_name"])
    cases = raw_cases(raw, optional_object(preprocessed / "dataset.json"))
    if problem := describe_wrong_number(preprocessed / "dataset.json", cases or known_cases(preprocessed)):
        print(f"WARNING: {problem}. Correct it")
    missing = sorted(cases - done.keys())
    if done and not missing:
        check_sources(folder, raw, list(done.values()), record)
        return
    if not missing:
        raw = nnunet_folder("nnUNet_raw") / preprocessed.name  # refuses a variable that is not set
        raise InputError(
            f"there are no preprocessed data in {folder}, and no training cases in {raw} to make them from. Set "
            "nnUNet_raw to the folder with this dataset, or restore its images"
        )
    if done:
        check_unused(preprocessed, folder, missing)
    check_links(nnunet_folder("nnUNet_raw") / preprocessed.name)
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    remove_changed_labels(preprocessed / "gt_segmentations", raw)
    with nnunet_refusals(preprocessed.name):
        nnunet.preprocess([dataset_number(preprocessed.name)], plans["plans_name"], [configuration], [num_processes])
    write_record(folder, replace(record, files=digests(raw)))


@contextmanager
def nnunet_refusals(dataset: str) -> Iterator[None]:
    """Turn nnU-Net's exception about a dataset into one message, about an unreadable file if there is one.

    Raises:
        InputError: nnU-Net raised an exception.
    """
    try:
        yield
    except (AssertionError, RuntimeError, OSError, ValueError, LookupError) as error:
        check_readable(sources(nnunet_folder("nnUNet_raw") / dataset))
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"nnU-Net refuses {dataset}: {reason.rstrip('.')}. Its output above names the files. Correct them, and "
            "give the command again"
        ) from error


def check_readable(paths: Iterable[Path]) -> None:
    """Check that images and labels can be read. PNG, BMP and TIFF are not checked: nnU-Net reads more kinds of them.

    Raises:
        InputError: a file cannot be read.
    """
    for path in paths:
        if not is_picture(path):
            read_volume(path, dimensions=(2, 3))


def describe_wrong_number(dataset_json: Path, cases: set[str]) -> str:
    """Say that a dataset.json states a wrong number of training cases; empty if it is right or no case is known."""
    number = optional_object(dataset_json).get("numTraining")
    if not cases or number is None or str(number) == str(len(cases)):
        return ""
    return f'{dataset_json} says "numTraining": {number}, and the dataset has {len(cases)} training cases'


def check_unused(preprocessed: Path, folder: Path, missing: list[str]) -> None:
    """Check that no running training reads the preprocessed data in `folder`, which are about to be replaced.

    Raises:
        InputError: a training reads them.
    """
    results = folder_variable("nnUNet_results")
    for fold in sorted((results / preprocessed.name).glob("*__*__*/fold_*")) if results else ():
        model = model_parts(fold.parent.name)
        try:
            data = data_identifier(optional_object(preprocessed / f"{model.plans}.json"), model.configuration)
        except (InputError, KeyError):  # the plans are gone, so the training may read these data
            data = folder.name
        if data == folder.name and is_locked(fold / FOLD_LOCK):
            raise InputError(
                f"{folder} lacks {len(missing)} training cases, the first {missing[0]}. nnU-Net would remove the "
                f"existing data and preprocess all cases, but {fold} is being trained on the existing data. Give the "
                "command again when that training has ended"
            )


def check_sources(folder: Path, raw: Path, done: list[Path], record: Record) -> None:
    """Check that preprocessed data were made from the present files in nnUNet_raw, and record these if needed.

    Data that nnU-Net preprocessed by itself have no record. If a source file is newer than they are, a warning names
    it. Otherwise the present files count as the sources and are recorded.

    Args:
        folder: the preprocessed data.
        raw: the dataset in nnUNet_raw; if it is missing, nothing is checked.
        done: one preprocessed file of each case.
        record: the record to write if there is none or an earlier version's.

    Raises:
        InputError: source files were changed since.
    """
    recorded, oldest = read_record(folder, done), min((path.stat().st_mtime for path in done), default=0)
    if recorded.files:
        now = digests(raw)
        if changed := [name for name, digest in recorded.files.items() if now.get(name, digest) != digest]:
            raise InputError(
                f"{len(changed)} files of {raw}, the first {changed[0]}, were changed since {folder} was preprocessed "
                f"from them. Remove {folder} and give the command again to preprocess anew, or restore the files"
            )
        if not recorded.settings:
            write_record(folder, replace(record, files=recorded.files))
    elif newer := [path for path in sources(raw) if path.stat().st_mtime > oldest]:
        print(
            f"WARNING: {len(newer)} files of the dataset, the first {newer[0]}, are newer than the data that were "
            f"preprocessed from them. If their content was changed, remove {folder} and give the command again."
        )
    else:
        write_record(folder, replace(record, files=digests(raw)))


def sources(raw: Path) -> list[Path]:
    """Return the images and labels of a dataset's training cases."""
    paths = [path for part in ("imagesTr", "labelsTr") for path in sorted((raw / part).glob("*"))]
    return [path for path in paths if path.is_file() and not is_hidden(path)]


def digests(raw: Path) -> dict[str, str]:
    """Return digests of a dataset's whole labels and of pieces of its images, by path inside the dataset."""
    return {
        str(path.relative_to(raw)): file_digest(path) if path.parent.name == "labelsTr" else digest_of_pieces(path)
        for path in sources(raw)
    }


def digest_of_pieces(path: Path) -> str:
    """Return a digest of an image's size, start, middle and end, so that gigabytes need not be read.

    Nearly all images are compressed, and the end of a compressed file holds a checksum of the whole.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in (0, max(0, size // 2 - PIECE // 2), max(0, size - PIECE)):
            file.seek(start)
            digest.update(file.read(PIECE))
    return digest.hexdigest()[:16]


def remove_changed_labels(copies: Path, raw: Path) -> None:
    """Remove copies of labels that differ from the labels now: nnU-Net replaces only older copies."""
    for path in copies.glob("*"):
        label = raw / "labelsTr" / path.name
        if label.is_file() and file_digest(label) != file_digest(path):
            path.unlink()


def check_links(dataset: Path) -> None:
    """Check that nnU-Net can read the files of a dataset: their names, that links point to files, and their ends.

    Raises:
        InputError: images were moved since the conversion, a name is not UTF-8, a Mac left files that nnU-Net takes
            for images, or a file was cut off.
    """
    paths = [path for part in ("imagesTr", "labelsTr", "imagesTs") for path in sorted((dataset / part).glob("*"))]
    for path in paths:
        check_name(path)
    if hidden := [path for path in paths if path.name.startswith("._")]:
        raise InputError(
            f"{len(hidden)} files of {dataset} hold a Mac's attributes of others, the first {hidden[0]}, and nnU-Net "
            f"would take them for images. Remove them: find {dataset} -name '._*' -delete"
        )
    if broken := [path for path in paths if not path.exists()]:
        raise InputError(
            f"{len(broken)} links of {dataset} point to missing files, the first {broken[0]} to "
            f"{os.readlink(broken[0])}. Restore the files, or remove the dataset and convert again from their present "
            "folder (--copy makes it independent of them)"
        )
    for path in paths:
        if path.is_file() and not is_hidden(path):
            check_file(path)
            check_end(path)
