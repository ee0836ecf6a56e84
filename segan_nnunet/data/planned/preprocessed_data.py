"""Under which plans data were preprocessed: several plans may name one folder, and must agree in what made it.

`plan` and `crossval` record it beside the folder. What nnU-Net preprocessed by itself has no record: then the size of
a case is compared, which tells the voxel size.
"""

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segan_nnunet.data.planned.cases import preprocessed_cases
from segan_nnunet.data.planned.plans import data_identifier
from segan_nnunet.errors import InputError
from segan_nnunet.folds.record import differing_settings, resolved
from segan_nnunet.text_files import optional_object, write_json

SETTINGS = (
    "preprocessor_name",
    "spacing",
    "normalization_schemes",
    "use_mask_for_norm",
    "resampling_fn_data",
    "resampling_fn_data_kwargs",
    "resampling_fn_seg",
    "resampling_fn_seg_kwargs",
)
PREPROCESSORS = (None, "DefaultPreprocessor")  # those whose data have the planned voxel size
NO_RESAMPLING = "no_resampling_hack"  # nnU-Net's function that leaves the voxel size as it is
INTENSITIES = "foreground_intensity_properties_per_channel"
# normalisations that do not look at the dataset's intensities
WITHOUT_INTENSITIES = {
    "ZScoreNormalization",
    "NoNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
}


@dataclass(frozen=True)
class Record:
    """How data were preprocessed.

    Attributes:
        files: digests of the files in nnUNet_raw that they were made from, by their path in the dataset.
        settings: as `preprocessing_settings` has them; empty in a record of an earlier version.
        plans: the name of the plans that were used.
    """

    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    plans: str = ""


def record_path(folder: Path) -> Path:
    """Where the record is kept: beside the folder of the data, in which nnU-Net wants nothing else."""
    return folder.with_name(f"{folder.name}_sources.json")


def read_record(folder: Path, done: Iterable[Path]) -> Record:
    """Read the record of preprocessed data; an empty one where nnU-Net has preprocessed by itself since.

    Args:
        folder: of the preprocessed data.
        done: one of the files of each case in it.
    """
    path = record_path(folder)
    if not path.is_file() or path.stat().st_mtime < max((one.stat().st_mtime for one in done), default=0):
        return Record()
    content = optional_object(path)
    if "settings" not in content:
        return Record(content)  # earlier versions wrote the digests alone
    return Record(content.get("files") or {}, content["settings"], content.get("plans", ""))


def write_record(folder: Path, record: Record) -> None:
    """Write the record of preprocessed data, atomically."""
    write_json(record_path(folder), vars(record), indent=4)


def preprocessing_settings(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """Return the settings of plans on which preprocessed data depend."""
    planned = resolved(plans["configurations"], configuration)
    settings = {name: planned[name] for name in SETTINGS if name in planned}
    settings["transpose_forward"] = plans.get("transpose_forward")
    if set(planned.get("normalization_schemes", ())) - WITHOUT_INTENSITIES:
        settings[INTENSITIES] = plans.get(INTENSITIES)
    return settings


def check_preprocessed_under(preprocessed: Path, plans: Mapping[str, Any], configuration: str) -> None:
    """Check that the preprocessed data of a configuration, if there are any, are of the settings of the plans.

    Args:
        preprocessed: the dataset's folder in nnUNet_preprocessed.
        plans: as `read_plans` returns them.
        configuration: of these plans.

    Raises:
        InputError: the data were preprocessed under other settings, or nobody knows under which.
    """
    folder = preprocessed / data_identifier(dict(plans), configuration)
    done = preprocessed_cases(folder)
    if not done:
        return
    record, planned = read_record(folder, done.values()), preprocessing_settings(plans, configuration)
    name = plans["plans_name"]
    if record.settings:
        problem = described_difference(record.settings, planned, record.plans, name)
    elif problem := size_difference(folder, plans, configuration):
        pass
    elif others := sharing_otherwise(preprocessed, folder, planned):
        problem = f"nothing records whether {name} or {others[0]} were used, which preprocess differently"
    if problem:
        raise InputError(
            f"{folder} does not belong to {name}: {problem}. Plans that preprocess differently need folders of their "
            f'own: set another "data_identifier" in {preprocessed / name}.json (nnUNetv2_move_plans_between_datasets '
            f"does so with -tp NEWNAME). Or remove {folder}, and give the command again to preprocess under {name}"
        )


def described_difference(made: dict[str, Any], planned: dict[str, Any], made_under: str, name: str) -> str:
    """Say in which settings data and plans differ; nothing if they do not."""
    if not (differing := differing_settings(made, planned)):
        return ""
    said = [setting if setting == INTENSITIES else f"{setting} {made.get(setting)}" for setting in differing]
    asked = [setting if setting == INTENSITIES else f"{setting} {planned.get(setting)}" for setting in differing]
    return f"it was preprocessed under {made_under} with {', '.join(said)}, and {name} ask for {', '.join(asked)}"


def size_difference(folder: Path, plans: Mapping[str, Any], configuration: str) -> str:
    """Say that the first preprocessed case has another size than plans give it; nothing where that is not known."""
    from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class  # a second, which most need not wait

    case = next(iter(preprocessed_cases(folder)))
    try:
        data, *_, properties = infer_dataset_class(str(folder))(str(folder), [case]).load_case(case)
        size = [int(length) for length in data.shape[1:]]
        before = properties["shape_after_cropping_and_before_resampling"]
        spacing = [properties["spacing"][axis] for axis in plans["transpose_forward"]]
        planned = resolved(plans["configurations"], configuration)
        target = planned["spacing"]
    except (AssertionError, KeyError, IndexError, OSError, RuntimeError, TypeError, ValueError, pickle.PickleError):
        return ""  # not as nnU-Net writes it, which nnU-Net says
    if planned.get("resampling_fn_data") == NO_RESAMPLING or planned.get("preprocessor_name") not in PREPROCESSORS:
        return ""  # of another size than the voxel size tells
    target = [*spacing[: len(spacing) - len(target)], *target]  # in 2-D the slices stay where they are
    expected = [round(a / b * length) for a, b, length in zip(spacing, target, before, strict=True)]
    if size == expected:
        return ""
    return f"{case} has {shown(size)} voxels there, and would have {shown(expected)} at the plans' voxel size"


def shown(size: Iterable[int]) -> str:
    """A size in voxels, such as 29 x 37 x 33."""
    return " x ".join(map(str, size))


def sharing_otherwise(preprocessed: Path, folder: Path, planned: dict[str, Any]) -> list[str]:
    """Return the names of plans that name the same folder, preprocess differently, and to the size that is there."""
    found = []
    for path in sorted(preprocessed.glob("*.json")):
        plans = optional_object(path)
        for configuration in plans.get("configurations") or ():
            try:
                same_folder = data_identifier(plans, configuration) == folder.name
                otherwise = same_folder and preprocessing_settings(plans, configuration) != planned
                if otherwise and not size_difference(folder, plans, configuration):
                    found.append(path.stem)
            except (InputError, KeyError, TypeError):  # a configuration without data of its own, or no plans at all
                continue
    return found
