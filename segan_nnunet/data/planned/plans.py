"""Read plans, and check that the names inside them agree with their place.

nnU-Net finds the data of a training, and the folder of its results, by the names inside the plans.
"""

from pathlib import Path
from typing import Any

from segan_nnunet.data.environment import dataset_number
from segan_nnunet.errors import InputError
from segan_nnunet.folds.record import resolved
from segan_nnunet.text_files import read_object


def read_plans(preprocessed: Path, name: str) -> dict[str, Any]:
    """Read the plans of a dataset.

    Args:
        preprocessed: the dataset's folder in nnUNet_preprocessed.
        name: of the plans, such as SegANPlans.

    Raises:
        InputError: as `read_plans_file`; or the plans name another dataset than their folder, or other plans than
            their file.
    """
    path = preprocessed / f"{name}.json"
    plans = read_plans_file(path)
    if (dataset := plans.get("dataset_name")) is None:
        raise InputError(
            f'{path} names no dataset, and nnU-Net asks for it: set "dataset_name": "{preprocessed.name}" in it'
        )
    if dataset != preprocessed.name:
        raise InputError(
            f"{path} holds the plans of {dataset}, and lies in the folder of {preprocessed.name}: nnU-Net would train "
            f"on the data of {dataset}, and write over its results. If the preprocessed data were copied or renamed "
            f'with the plans, set "dataset_name": "{preprocessed.name}" in this file. Otherwise remove the file and '
            f"plan again: segan_nnunet plan -d {dataset_number(preprocessed.name)}"
        )
    if (plans_name := plans.get("plans_name")) != name:
        raise InputError(
            f"{path} holds plans with the name {plans_name}: nnU-Net would write over the results of {plans_name}. "
            f'Set "plans_name": "{name}" in this file'
        )
    return plans


def read_plans_file(path: Path) -> dict[str, Any]:
    """Read a file of nnU-Net's plans in any folder.

    Raises:
        InputError: it is missing, is not JSON, has no configurations, or one inherits from a missing one.
    """
    plans = read_object(path)
    configurations = plans.get("configurations")
    if not isinstance(configurations, dict) or not all(isinstance(one, dict) for one in configurations.values()):
        raise InputError(
            f"{path} has no `configurations`, so it holds no plans of nnU-Net. Restore the file, or plan again"
        )
    for name in configurations:
        try:
            resolved(configurations, name)
        except KeyError as error:
            raise InputError(
                f"{path}: the configuration {name} inherits from a missing one, or from itself. Correct its "
                "`inherits_from`, or plan again"
            ) from error
    return plans


def data_identifier(plans: dict[str, Any], configuration: str) -> str:
    """Return the name of the folder with the preprocessed data of a configuration.

    Raises:
        InputError: the configuration names none.
    """
    try:
        return resolved(plans["configurations"], configuration)["data_identifier"]
    except KeyError as error:
        raise InputError(
            f"the configuration {configuration} of {plans.get('plans_name')} has no {error}, by which nnU-Net finds "
            "its preprocessed data. Restore that part of the plans, or plan again"
        ) from error
