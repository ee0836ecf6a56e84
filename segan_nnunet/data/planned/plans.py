"""Plans, read only where the names inside them agree with their place.

nnU-Net finds the data of a training, and the folder of its results, by the names inside the plans.
"""

import json
from pathlib import Path
from typing import Any

from segan_nnunet.data.environment import dataset_number
from segan_nnunet.errors import InputError
from segan_nnunet.fold_checkpoint import resolved


def read_plans(preprocessed: Path, name: str) -> dict[str, Any]:
    """Read the plans of a dataset.

    Args:
        preprocessed: the dataset's folder in nnUNet_preprocessed.
        name: of the plans, such as SegANPlans.

    Raises:
        InputError: the plans name another dataset than their folder, or other plans than their file.
    """
    path = preprocessed / f"{name}.json"
    plans: dict[str, Any] = json.loads(path.read_text())
    if (written := plans.get("dataset_name")) != preprocessed.name:
        raise InputError(
            f"{path} holds the plans of {written or 'no dataset'}, and lies in the folder of {preprocessed.name}: "
            f"nnU-Net would train on the data of {written}, and write over its results. If the preprocessed data were "
            f'copied or renamed with the plans, set "dataset_name": "{preprocessed.name}" in this file. Otherwise '
            f"remove the file and plan again: segan_nnunet plan -d {dataset_number(preprocessed.name)}"
        )
    if (written := plans.get("plans_name")) != name:
        raise InputError(
            f"{path} holds plans with the name {written}: nnU-Net would write over the results of {written}. "
            f'Set "plans_name": "{name}" in this file'
        )
    return plans


def data_identifier(plans: dict[str, Any], configuration: str) -> str:
    """Return the name of the folder with the preprocessed data of a configuration."""
    return resolved(plans["configurations"], configuration)["data_identifier"]
