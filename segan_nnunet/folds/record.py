"""What a fold's training rests on: cases, plans, labels, objective; recorded when it begins, and compared later.

Our trainers record it in their checkpoints. A grid records it beside every fold that it begins, whoever trains it.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from segan_nnunet.file_kinds import composed
from segan_nnunet.folds.checkpoint import read_fold
from segan_nnunet.folds.state import FINAL, validated_cases
from segan_nnunet.text_files import optional_object, write_json
from segan_nnunet.trainer_names import model_parts

RECORD = "trained_on.json"  # in a fold's folder; in a checkpoint the same under "trained_on"
ROUNDING = 1e-4  # relative, of values that another device computes
PROBED = ("loss", "further_loss", "distances")  # recorded by their values on a probe


@dataclass(frozen=True)
class FoldRecord:
    """What a fold rests on; None where it is not known. Values are as JSON holds them.

    Attributes:
        train, val: its cases, sorted.
        configuration: of the plans, with what it inherits: spacing, patch size, network.
        labels: digests of the files of labels, by case.
        objective: of one of our trainers, by name.
        outputs: label values of the network's outputs, as `output_values` returns them.
    """

    train: Sequence[str] | None = None
    val: Sequence[str] | None = None
    configuration: Mapping[str, Any] | None = None
    labels: Mapping[str, str] | None = None
    objective: Mapping[str, Any] | None = None
    outputs: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        """Bring all values into the form in which they are read back."""
        for name, value in asdict(self).items():
            cases = name in ("train", "val") and value is not None
            plain = sorted(map(str, value)) if cases else json.loads(json.dumps(value, default=str))
            object.__setattr__(self, name, plain)

    @classmethod
    def of(cls, content: Any) -> "FoldRecord":
        """Return the record in a JSON object, of this version or an earlier one; an empty one for anything else."""
        content = content if isinstance(content, dict) else {}
        return cls(**{field.name: content.get(field.name) for field in fields(cls)})

    @classmethod
    def in_checkpoint(cls, checkpoint: Mapping[str, Any]) -> "FoldRecord":
        """Return the record in a checkpoint: of any trainer the outputs, of ours all but the labels."""
        content = checkpoint.get("trained_on")
        return cls.of({**(content if isinstance(content, dict) else {}), "outputs": outputs_in(checkpoint)})

    @cached_property
    def digest(self) -> str:
        """A short text that two records share only if they are equal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def content(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return {**asdict(self), "digest": self.digest}

    def write(self, fold: Path) -> None:
        """Write the record beside a fold, atomically."""
        write_json(fold / RECORD, self.content())

    def moved_cases(self, now: "FoldRecord") -> list[str]:
        """Return the cases that are on another side of the split now; those that leak, if there are any."""
        if now.train is None:
            return []
        train, val = names(now.train if self.train is None else self.train), names(self.val or now.val)
        leaked = names(now.val) & train if self.train is not None else set()
        return sorted(leaked or (train ^ names(now.train)) | (val ^ names(now.val)))


def read_record(fold: Path) -> FoldRecord:
    """Read what a fold rests on, as far as anything says it.

    Its newest checkpoint is asked first, because it cannot be older than the training; then the record beside it; then
    the cases that nnU-Net has validated.
    """
    checkpoint = read_fold(fold) or {}
    inside, beside = FoldRecord.in_checkpoint(checkpoint), FoldRecord.of(optional_object(fold / RECORD))
    validated = validated_cases(fold) if (fold / FINAL).is_file() else []
    return FoldRecord(
        train=inside.train or beside.train,
        val=inside.val or beside.val or validated or None,
        configuration=planned_in(checkpoint, model_parts(fold.parent.name).configuration) or beside.configuration,
        labels=beside.labels,
        objective=inside.objective,
        outputs=inside.outputs,
    )


def names(cases: Sequence[str] | None) -> set[str]:
    """Return the names of cases with composed letters."""
    return set(map(composed, cases or ()))


def file_digest(path: Path) -> str:
    """Return a short digest of a whole file; a thousand compressed files of labels are some tens of megabytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def planned_in(checkpoint: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the configuration of this name in the plans in a checkpoint of any trainer; None where it has none."""
    try:
        return resolved(checkpoint["init_args"]["plans"]["configurations"], name)
    except (KeyError, TypeError):
        return None


def outputs_in(checkpoint: Mapping[str, Any]) -> list[Any] | None:
    """Return what the outputs of the network in a checkpoint of any trainer mean, as `output_values`."""
    try:
        return output_values(checkpoint["init_args"]["dataset_json"])
    except (KeyError, TypeError):
        return None


def output_values(described: Mapping[str, Any]) -> list[Any] | None:
    """Return the label values of a network's outputs: of regions in the order of dataset.json, else of labels.

    Args:
        described: a dataset.json; None is returned where it does not say it.
    """
    labels = described.get("labels")
    if not isinstance(labels, dict):
        return None
    values = [value for name, value in labels.items() if name not in ("background", "ignore")]
    has_regions = any(isinstance(value, (list, tuple)) and len(value) > 1 for value in values)
    lists = [list(value) if isinstance(value, (list, tuple)) else [value] for value in values]
    return [sorted(one, key=str) for one in lists] if has_regions else sorted(lists, key=str)


def resolved(configurations: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with what it inherits.

    Raises:
        KeyError: it inherits from one that is not there, or from itself.
    """
    own = configurations[name]
    others = {other: content for other, content in configurations.items() if other != name}
    parent = own.get("inherits_from")
    return {**(resolved(others, parent) if parent else {}), **own}


def differing_settings(configuration: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the settings in which two configurations differ; none where one is not known."""
    if not configuration or not other:
        return []
    return sorted(name for name in {*configuration, *other} if configuration.get(name) != other.get(name))


def changed_objective(recorded: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """Say what differs between two objectives, as far as both are recorded; nothing if nothing does.

    Args:
        recorded, now: by name, as our trainers have them; None where there is no record.
    """
    if not recorded or not now:
        return ""
    changes = []
    for name, then in recorded.items():
        value = now.get(name)
        if alike(then, value):
            continue
        if isinstance(then, dict) and isinstance(value, dict):
            changes.append(f"of the {name}, {changed_objective(then, value)}")
        else:  # numbers on a probe say nothing to a reader
            changes.append(f"{name} is another" if name in PROBED else f"{name} was {then} and is {value}")
    return "; ".join(changes)


def alike(value: Any, other: Any) -> bool:
    """Return whether two recorded values are the same, but for rounding; None stands for an unknown value."""
    if value is None or other is None:
        return True
    if isinstance(value, dict) and isinstance(other, dict):  # another version of torch may know further settings
        return all(alike(value[key], other[key]) for key in value.keys() & other.keys())
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(alike, value, other))
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=ROUNDING, abs_tol=ROUNDING**2) or math.isnan(value + other)
    return value == other
