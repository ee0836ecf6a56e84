"""Check under which plans data were preprocessed. Plans that share a folder must preprocess in the same way.

`plan` and `crossval` write a record beside the folder. Data that nnU-Net preprocessed by itself have no record. Then
the size of a case is compared, which shows the voxel size.
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
    "preprocessor_name", "spacing", "normalization_schemes", "use_mask_for_norm",
    "resampling_fn_data", "resampling_fn_data_kwargs", "resampling_fn_seg", "resampling_fn_seg_kwargs",
)  # fmt: skip
PREPROCESSORS = (None, "DefaultPreprocessor")  # their data have the planned voxel size
NO_RESAMPLING = "no_resampling_hack"  # nnU-Net's function that keeps the voxel size
INTENSITIES = "foreground_intensity_properties_per_channel"
# normalisations that do not use the dataset's intensities
WITHOUT_INTENSITIES = {"ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization", "RGBTo01Normalization"}


@dataclass(frozen=True)
class Record:
    """How data were preprocessed.

    Attributes:
        files: digests of the source files in nnUNet_raw, by their path in the dataset.
        settings: as `preprocessing_settings` returns them; empty in a record of an earlier version.
        plans: the name of the plans that were used.
    """

    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    plans: str = ""


def record_path(folder: Path) -> Path:
    """Return the path of the record: beside the folder of the data, in which nnU-Net wants no other file."""
    return folder.with_name(f"{folder.name}_sources.json")


def read_record(folder: Path, done: Iterable[Path]) -> Record:
    """Read the record of preprocessed data; an empty one if nnU-Net has preprocessed by itself since.

    Args:
        folder: of the preprocessed data.
        done: one file of each case in it.
    """
    path = record_path(folder)
    if not path.is_file() or path.stat().st_mtime < max((one.stat().st_mtime for one in done), default=0):
        return Record()
    content = optional_object(path)
    if "settings" not in content:
        return Record(content)  # earlier versions wrote only the digests
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
    """Check that the preprocessed data of a configuration, if it has any, were made with the settings of its plans.

    Args:
        preprocessed: the dataset's folder in nnUNet_preprocessed.
        plans: as `read_plans` returns them.
        configuration: of these plans.

    Raises:
        InputError: the data were preprocessed under other settings, or their settings are not known.
    """
    folder = preprocessed / data_identifier(dict(plans), configuration)
    done = preprocessed_cases(folder)
    if not done:
        return
    record, settings = read_record(folder, done.values()), preprocessing_settings(plans, configuration)
    name = plans["plans_name"]
    if record.settings:
        problem = settings_difference(record, settings, name)
    elif not (problem := size_difference(folder, plans, configuration)) and (
        others := other_plans_of_folder(preprocessed, folder, settings)
    ):
        problem = f"no record says whether {name} or {others[0]} preprocessed it, and these two preprocess differently"
    if problem:
        raise InputError(
            f"{folder} does not belong to {name}: {problem}. Plans that preprocess differently need folders of their "
            f'own: set another "data_identifier" in {preprocessed / name}.json (nnUNetv2_move_plans_between_datasets '
            f"does so with -tp NEWNAME). Or remove {folder}, and give the command again to preprocess under {name}"
        )


def settings_difference(record: Record, settings: dict[str, Any], name: str) -> str:
    """Describe the settings in which data and the plans of a name differ; return an empty text if none do."""
    if not (differing := differing_settings(record.settings, settings)):
        return ""
    used, planned = (
        ", ".join(setting if setting == INTENSITIES else f"{setting} {values.get(setting)}" for setting in differing)
        for values in (record.settings, settings)
    )
    return f"it was preprocessed under {record.plans} with {used}, and {name} ask for {planned}"


def size_difference(folder: Path, plans: Mapping[str, Any], configuration: str) -> str:
    """Describe how the first preprocessed case differs in size from the plans; return an empty text if it does not.

    The size is not compared if the voxel size does not determine it, or if nnU-Net would not read the case.
    """
    from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class  # takes a second

    case = next(iter(preprocessed_cases(folder)))
    try:
        data, *_, properties = infer_dataset_class(str(folder))(str(folder), [case]).load_case(case)
        size = [int(length) for length in data.shape[1:]]
        before = properties["shape_after_cropping_and_before_resampling"]
        spacing = [properties["spacing"][axis] for axis in plans["transpose_forward"]]
        planned = resolved(plans["configurations"], configuration)
        target = planned["spacing"]
    except (AssertionError, KeyError, IndexError, OSError, RuntimeError, TypeError, ValueError, pickle.PickleError):
        return ""  # nnU-Net reports such a case
    if planned.get("resampling_fn_data") == NO_RESAMPLING or planned.get("preprocessor_name") not in PREPROCESSORS:
        return ""
    target = [*spacing[: len(spacing) - len(target)], *target]  # 2-D plans keep the spacing between slices
    expected = [round(a / b * length) for a, b, length in zip(spacing, target, before, strict=True)]
    if size == expected:
        return ""
    shown, expected_shown = (" x ".join(map(str, lengths)) for lengths in (size, expected))
    return f"{case} has {shown} voxels there, and would have {expected_shown} at the plans' voxel size"


def other_plans_of_folder(preprocessed: Path, folder: Path, settings: dict[str, Any]) -> list[str]:
    """Return the names of plans that use a folder with other settings, but with the size of its first case."""
    names = []
    for path in sorted(preprocessed.glob("*.json")):
        plans = optional_object(path)
        for configuration in plans.get("configurations") or ():
            try:
                has_same_folder = data_identifier(plans, configuration) == folder.name
                differs = has_same_folder and preprocessing_settings(plans, configuration) != settings
                if differs and not size_difference(folder, plans, configuration):
                    names.append(path.stem)
            except (InputError, KeyError, TypeError):  # a configuration without data, or a file without plans
                continue
    return names
