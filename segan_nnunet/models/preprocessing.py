"""nnU-Net's preprocessing, where it is missing; and what was changed since in the files that it was made from."""

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

PIECE = 2**16  # bytes


def preprocess_with_nnunet(preprocessed: Path, plans: dict[str, Any], configuration: str, num_processes: int) -> None:
    """Preprocess a configuration of any plans with nnU-Net, unless all training cases are there.

    Raises:
        InputError: the data that are there belong to other plans, images or labels were changed since, are gone or
            behind links that point nowhere, or a running training reads the data that would be replaced.
    """
    check_preprocessed_under(preprocessed, plans, configuration)
    folder, raw = preprocessed / data_identifier(plans, configuration), raw_folder(preprocessed)
    done = preprocessed_cases(folder)
    record = Record(settings=preprocessing_settings(plans, configuration), plans=plans["plans_name"])
    cases = raw_cases(raw, optional_object(preprocessed / "dataset.json"))
    if problem := wrong_number(preprocessed / "dataset.json", cases or known_cases(preprocessed)):
        print(f"WARNING: {problem}. Correct it")
    lacking = sorted(cases - done.keys())
    if done and not lacking:
        check_sources(folder, raw, list(done.values()), record)
        return
    if not lacking:
        raw = nnunet_folder("nnUNet_raw") / preprocessed.name  # says so where the variable is not set
        raise InputError(
            f"there are no preprocessed data in {folder}, and no training cases in {raw} to make them from"
        )
    if done:
        check_nobody_reads(preprocessed, folder, lacking)
    check_links(nnunet_folder("nnUNet_raw") / preprocessed.name)
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    remove_changed_labels(preprocessed / "gt_segmentations", raw)
    with nnunet_refusals(preprocessed.name):
        nnunet.preprocess([dataset_number(preprocessed.name)], plans["plans_name"], [configuration], [num_processes])
    record_sources(folder, raw, record)


@contextmanager
def nnunet_refusals(dataset: str) -> Iterator[None]:
    """Turn what nnU-Net raises over a dataset into one message, with the file that cannot be read, if there is one.

    Raises:
        InputError: it raised something.
    """
    try:
        yield
    except (AssertionError, RuntimeError, OSError, ValueError, LookupError) as error:
        check_readable(sources(nnunet_folder("nnUNet_raw") / dataset))
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"nnU-Net refuses {dataset}: {said} What it printed above says which files it means; correct them, and "
            "give the command again"
        ) from error


def check_readable(paths: Iterable[Path]) -> None:
    """Check that images and labels can be read; pictures are left out, of which nnU-Net reads more kinds than we do.

    Raises:
        InputError: one cannot be.
    """
    for path in paths:
        if not is_picture(path):
            read_volume(path, dimensions=(2, 3))


def wrong_number(described: Path, cases: set[str]) -> str:
    """Say that a dataset.json counts other training cases than there are; nothing where it is right.

    Args:
        described: a dataset.json.
        cases: the training cases; none are known where this is empty.
    """
    number = optional_object(described).get("numTraining")
    if not cases or number is None or str(number) == str(len(cases)):
        return ""
    return f'{described} says "numTraining": {number}, and the dataset has {len(cases)} training cases'


def check_nobody_reads(preprocessed: Path, folder: Path, lacking: list[str]) -> None:
    """Check that no running training reads preprocessed data that are about to be replaced.

    Raises:
        InputError: one does.
    """
    results = folder_variable("nnUNet_results")
    for fold in sorted((results / preprocessed.name).glob("*__*__*/fold_*")) if results else ():
        model = model_parts(fold.parent.name)
        try:
            read = data_identifier(optional_object(preprocessed / f"{model.plans}.json"), model.configuration)
        except (InputError, KeyError):  # of plans that are gone: it may read these data
            read = folder.name
        if read == folder.name and is_locked(fold / FOLD_LOCK):
            raise InputError(
                f"{folder} lacks {len(lacking)} training cases, the first {lacking[0]}, and {fold} is being trained on "
                "the others, which nnU-Net would remove to preprocess all of them. Give the command again when that "
                "training has ended"
            )


def check_sources(folder: Path, raw: Path, done: list[Path], record: Record) -> None:
    """Check that preprocessed data are of the files that are in nnUNet_raw now; record what is not recorded yet.

    What nnU-Net preprocessed by itself has no record: then files that are newer are named, and if none is, these are
    taken for the ones.

    Args:
        folder: of the preprocessed data.
        raw: the dataset in nnUNet_raw; nothing is checked where it is gone.
        done: one of the preprocessed files of each case.
        record: to be written where there is none, or one of an earlier version.

    Raises:
        InputError: files were changed since.
    """
    recorded = read_record(folder, done)
    if recorded.files:
        now = digests(raw)
        if changed := [name for name, was in recorded.files.items() if now.get(name, was) != was]:
            raise InputError(
                f"{len(changed)} files of {raw}, the first {changed[0]}, were changed since {folder} was preprocessed "
                f"from them. Remove {folder} and give the command again, to preprocess them anew, or bring them back"
            )
        if not recorded.settings:
            write_record(folder, replace(record, files=recorded.files))
    elif later := newer(raw, min((path.stat().st_mtime for path in done), default=0)):
        print(
            f"WARNING: {len(later)} files of the dataset, the first {later[0]}, are newer than what was "
            f"preprocessed from them. If they were changed, remove {folder} and give the command again."
        )
    else:
        record_sources(folder, raw, record)


def record_sources(folder: Path, raw: Path, record: Record) -> None:
    """Record how data were preprocessed, and from which files."""
    write_record(folder, replace(record, files=digests(raw)))


def sources(raw: Path) -> list[Path]:
    """Images and labels of the training cases of a dataset."""
    found = [path for part in ("imagesTr", "labelsTr") for path in sorted((raw / part).glob("*"))]
    return [path for path in found if path.is_file() and not is_hidden(path)]


def digests(raw: Path) -> dict[str, str]:
    """Digests of a dataset's images and labels by their path in it: of whole labels, and of pieces of the images."""
    return {
        str(path.relative_to(raw)): file_digest(path) if path.parent.name == "labelsTr" else digest_of_pieces(path)
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
        if label.is_file() and file_digest(label) != file_digest(path):
            path.unlink()


def check_links(dataset: Path) -> None:
    """Check that nnU-Net can read the images of a dataset: that links point to files, and what the names are.

    Raises:
        InputError: images were moved since the conversion, a name is not UTF-8, a Mac left files of its own, which
            nnU-Net takes for images, or a file was cut off.
    """
    links = [path for part in ("imagesTr", "labelsTr", "imagesTs") for path in sorted((dataset / part).glob("*"))]
    for path in links:
        check_name(path)
    if hidden := [path for path in links if path.name.startswith("._")]:
        raise InputError(
            f"{len(hidden)} files of {dataset} hold a Mac's attributes of others, the first {hidden[0]}, and nnU-Net "
            f"would take them for images. Remove them: find {dataset} -name '._*' -delete"
        )
    gone = [path for path in links if not path.exists()]
    if gone:
        raise InputError(
            f"{len(gone)} links of {dataset} point to files that are not there, the first {gone[0]} to "
            f"{os.readlink(gone[0])}. Bring them back, or remove the dataset and convert again from where they are now "
            "(--copy makes it independent of them)"
        )
    for path in links:
        if path.is_file() and not is_hidden(path):
            check_file(path)
            check_end(path)
