"""Turn predictions into what the online evaluation takes: original label values, names, format and geometry."""

import contextlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from segan_nnunet.data.case_table import files_by_case, read_case_table
from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.data.labelling import Labelling, read_labelling
from segan_nnunet.data.releases.release import Release
from segan_nnunet.data.releases.tables import load_release, read_layout
from segan_nnunet.data.volumes import VoxelGrid, read_grid, read_labels, write_volume
from segan_nnunet.errors import InputError, shorten
from segan_nnunet.file_kinds import composed
from segan_nnunet.outputs import output_file, output_folder


@dataclass(frozen=True)
class Upload:
    """The files of a submission.

    Attributes:
        folder: of the files; None if only the archive was requested.
        files: their paths; inside the archive if only the archive was requested.
        archive: the zip of all files.
        absent: names of the labels that are in none of them.
    """

    folder: Path | None
    files: list[Path]
    archive: Path
    absent: list[str]


def make_submission(
    dataset_id: int, predictions: Path, output: Path, description: str = "SegAN", layout: Path | None = None
) -> Upload:
    """Write every prediction as the online evaluation of its release wants it, and one archive of them all.

    Voxels are signed 16-bit, as the evaluation of 2013 and 2015 demands and the others accept. The geometry is that of
    the case's source image.

    Args:
        dataset_id: the dataset that was converted from the release.
        predictions: a folder as nnUNetv2_predict writes it, or a fold's `validation`.
        output: a new or an empty folder, beside which the archive gets its name with .zip; or only the archive, a new
            file that ends in .zip.
        description: for file names that have one.
        layout: the user's own table, if the dataset was converted with it.

    Raises:
        InputError: a description that no file name can hold, no predictions, predictions of unknown cases, test
            cases without one, unknown labels, or a size that is not the source image's; with every problem. The output
            exists or cannot be written. Nothing is left behind.
    """
    if wrong := sorted(set("/\\:\0") & set(description)):
        raise InputError(f"--description '{description}' becomes part of file names, which cannot contain {wrong[0]!r}")
    only_archive = output.suffix.lower() == ".zip"
    named = output.resolve() if output.name in ("", "..") else output
    archive = output if only_archive else named.with_name(f"{named.name}.zip")
    with output_file(archive, ".zip") as packed:
        place = contextlib.nullcontext(packed.with_suffix(".files")) if only_archive else output_folder(output)
        with place as folder:
            files, absent = write_files(dataset_id, predictions, folder, description, layout)
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
                for file in files:
                    zipped.write(folder / file, file)
    if only_archive:
        return Upload(None, files, archive, absent)
    return Upload(output, [output / file for file in files], archive, absent)


def write_files(
    dataset_id: int, predictions: Path, folder: Path, description: str, layout: Path | None
) -> tuple[list[Path], list[str]]:
    """Write the files of an upload into a folder; arguments and errors as in `make_submission`.

    Returns:
        Paths of the files in the folder, and names of the labels that are in none of them.
    """
    raw = nnunet_folder("nnUNet_raw") / dataset_name(dataset_id)
    labelling = read_labelling(raw / "dataset.json")
    release = read_layout(layout) if layout else load_release(labelling.release)
    ending = labelling.file_ending
    cases = read_case_table(raw).set_index("case")
    if "truth" not in cases or not labelling.original:
        raise InputError(
            f"{raw} was not made by `segan_nnunet convert`, which keeps the original labels and sources for an "
            "upload. Convert the release, and predict that dataset"
        )
    name_of = {composed(case): case for case in cases.index}
    files = {name_of.get(composed(case), case): path for case, path in files_by_case(predictions, ending).items()}
    if not files:
        raise InputError(f"there is no prediction, a file ending in {ending}, in {predictions}")
    if unknown := sorted(set(files) - set(cases.index)):
        raise InputError(
            f"{len(unknown)} predictions belong to no case of the dataset (cases.csv), the first is "
            f"{files[unknown[0]]}; move them away"
        )
    test_cases = set(cases.index[cases["truth"] == ""])
    if (missing := sorted(test_cases - set(files))) and len(missing) < len(test_cases):
        raise InputError(
            f"{len(missing)} of {len(test_cases)} test cases have no prediction in {predictions}: "
            f"{shorten(missing)}. The evaluation counts a missing case as wrong; predict all of imagesTs."
        )

    problems: list[str] = []
    values: set[int] = set()
    written: set[Path] = set()
    for case_id, path in files.items():
        name = Path(submission_name(case_id, cases.loc[case_id], release, ending, description))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            grid = read_grid(source_image(raw, case_id, ending, cases.loc[case_id], release))
            values |= write_segmentation(path, folder / name, labelling, grid)
        except InputError as error:
            problems.append(str(error))
        written.add(name)
    if problems:
        raise InputError("the predictions cannot be submitted:\n  " + "\n  ".join(problems))
    if len(written) != len(files):
        raise InputError(
            f"{len(files)} predictions would make {len(written)} files: two cases share a name like "
            f"{min(written)}; the table's [submission] must tell them apart"
        )
    return sorted(written), [name for name, value in release.labels.items() if value not in values]


def source_image(raw: Path, case_id: str, ending: str, case: pd.Series, release: Release) -> Path:
    """Return an image with the voxels of a case: the dataset's own, or else its source."""
    own = [raw / part / f"{case_id}_0000{ending}" for part in ("imagesTs", "imagesTr")]
    sources = [Path(case[name]) for name in release.channels if case.get(name)]
    return next((path for path in (*own, *sources) if path.exists()), own[0])


def submission_name(case_id: str, case: pd.Series, release: Release, ending: str, description: str) -> str:
    """Return the file name that the online evaluation expects of a case."""
    values = {"case": case_id, "ending": ending, "description": description}
    if channel := release.submission.fields_of:
        path = Path(case[channel]).as_posix()
        matches = (pattern.search(path) for name, pattern in release.patterns if name == channel)
        if (match := next(filter(None, matches), None)) is None:
            raise InputError(
                f"cases.csv has no {channel} image of {case_id}, and the number in that image's name is part of the "
                "name of its submission; convert again"
            )
        values |= match.groupdict()
    return release.submission.file.format_map(values)


def write_segmentation(prediction: Path, target: Path, labelling: Labelling, grid: VoxelGrid) -> set[int]:
    """Write one prediction in the release's label values, on its image's grid. Return the values.

    Raises:
        InputError: it does not lie on that grid, or has unknown labels.
    """
    labels = read_labels(prediction, labelling, grid, (3,), "its image").voxels
    largest = max(labelling.original.values())
    values = np.zeros(labels.shape, np.promote_types(np.int16, np.min_scalar_type(largest)))
    written = set()
    for index, value in labelling.original.items():
        if (mask := labels == index).any():
            values[mask] = value
            written.add(value)
    write_volume(values, grid, target)
    return written
