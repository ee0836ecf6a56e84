"""Record what a fold is trained on when it starts (cases, plans, labels, objective), and compare records later.

Our trainers write the record into their checkpoints. A grid writes it beside every fold that it starts, for any
trainer.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from segan_nnunet.file_kinds import composed
from segan_nnunet.folds.checkpoint import read_fold
from segan_nnunet.folds.state import FINAL, validated_cases
from segan_nnunet.text_files import optional_object
from segan_nnunet.trainer_names import model_parts

RECORD = "trained_on.json"  # in a fold's folder; a checkpoint holds the same under "trained_on"
ROUNDING = 1e-4  # relative difference between the values of two devices
PROBED = ("loss", "further_loss", "distances")  # functions, recorded as their values on a fixed probe


@dataclass(frozen=True)
class FoldRecord:
    """What a fold was trained on, as JSON values. Unknown parts are None.

    Attributes:
        train, val: the training and validation cases, sorted.
        configuration: the configuration of the plans, with its inherited settings: spacing, patch size, network.
        labels: digest of each case's label file.
        objective: the parts of the objective by name; only our trainers record it.
        outputs: label values of the network's outputs, see `output_values`.
    """

    train: Sequence[str] | None = None
    val: Sequence[str] | None = None
    configuration: Mapping[str, Any] | None = None
    labels: Mapping[str, str] | None = None
    objective: Mapping[str, Any] | None = None
    outputs: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        """Convert all values to the form in which JSON returns them."""
        for name, value in self.content().items():
            cases = name in ("train", "val") and value is not None
            plain = sorted(map(str, value)) if cases else json.loads(json.dumps(value, default=str))
            object.__setattr__(self, name, plain)

    @classmethod
    def of(cls, content: Any) -> "FoldRecord":
        """Return the record in a JSON object of this version or an earlier one; an empty record for other content."""
        content = content if isinstance(content, dict) else {}
        return cls(**{field.name: content.get(field.name) for field in fields(cls)})

    @classmethod
    def in_checkpoint(cls, checkpoint: Mapping[str, Any]) -> "FoldRecord":
        """Return the record in a checkpoint: outputs for any trainer, all parts but the labels for our trainers."""
        record, init_args = (checkpoint.get(key) for key in ("trained_on", "init_args"))
        dataset = init_args.get("dataset_json") if isinstance(init_args, dict) else None
        outputs = output_values(dataset) if isinstance(dataset, dict) else None
        return cls.of({**(record if isinstance(record, dict) else {}), "outputs": outputs})

    def content(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # asdict copies every label's digest

    def moved_cases(self, now: "FoldRecord") -> list[str]:
        """Return the cases whose side of the split has changed; if training cases validate now, only these."""
        if now.train is None:
            return []
        train = composed_names(now.train if self.train is None else self.train)
        val, train_now, val_now = map(composed_names, (self.val or now.val, now.train, now.val))
        leaked = set() if self.train is None else val_now & train
        return sorted(leaked or (train ^ train_now) | (val ^ val_now))


def read_record(fold: Path) -> FoldRecord:
    """Read what a fold was trained on, as far as its files say.

    The newest checkpoint comes first, because it is as new as the training. Then follow the record beside it, and the
    cases that nnU-Net has validated.
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


def composed_names(cases: Sequence[str] | None) -> set[str]:
    """Return case names with composed letters."""
    return set(map(composed, cases or ()))


def file_digest(path: Path) -> str:
    """Return a short digest of a whole file. Label files are small: a thousand are some tens of megabytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def planned_in(checkpoint: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return a configuration of the plans in any trainer's checkpoint; None if the checkpoint lacks it."""
    try:
        return resolved(checkpoint["init_args"]["plans"]["configurations"], name)
    except (KeyError, TypeError):
        return None


def output_values(dataset: Mapping[str, Any]) -> list[Any] | None:
    """Return the label values of each network output: regions in the order of dataset.json, or labels by value.

    Args:
        dataset: content of dataset.json. Without labels in it the result is None.
    """
    labels = dataset.get("labels")
    if not isinstance(labels, dict):
        return None
    outputs = [
        list(value) if isinstance(value, list | tuple) else [value]
        for name, value in labels.items()
        if name not in ("background", "ignore")
    ]
    has_regions = any(len(values) > 1 for values in outputs)
    return [sorted(values, key=str) for values in outputs] if has_regions else sorted(outputs, key=str)


def resolved(configurations: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with its inherited settings.

    Raises:
        KeyError: it inherits from itself or from a configuration that does not exist.
    """
    own = configurations[name]
    others = {other: content for other, content in configurations.items() if other != name}
    parent = own.get("inherits_from")
    return {**(resolved(others, parent) if parent else {}), **own}


def differing_settings(configuration: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the settings that differ between two configurations; none if one is unknown."""
    if not configuration or not other:
        return []
    return sorted(name for name in {*configuration, *other} if configuration.get(name) != other.get(name))


def changed_objective(recorded: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """Describe the differences between two objectives; empty if they agree or one is not recorded (None)."""
    if not recorded or not now:
        return ""
    changes = []
    for name, then in recorded.items():
        value = now.get(name)
        if alike(then, value):
            continue
        if isinstance(then, dict) and isinstance(value, dict):
            changes.append(f"of the {name}, {changed_objective(then, value)}")
        else:  # the values of a function on a probe would tell a reader nothing
            changes.append(f"{name} has changed" if name in PROBED else f"{name} was {then} and is {value}")
    return "; ".join(changes)


def alike(value: Any, other: Any) -> bool:
    """Return whether two recorded values agree within rounding; an unknown value (None) agrees with any."""
    if value is None or other is None:
        return True
    if isinstance(value, dict) and isinstance(other, dict):  # versions of torch may have additional settings
        return all(alike(value[key], other[key]) for key in value.keys() & other.keys())
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(alike, value, other))
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=ROUNDING, abs_tol=ROUNDING**2) or math.isnan(value + other)
    return value == other
