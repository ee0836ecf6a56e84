"""The settings of a comparison: definitions of scores, tests, display; and the file of settings."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segan_nnunet.data.labelling import Labelling
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.definitions import Hd95, Lesions, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.protocols import AUTO, Definitions, resolve
from segan_nnunet.evaluation.scores.score_tables import primary_columns
from segan_nnunet.evaluation.scores.scores import DICE
from segan_nnunet.evaluation.statistics.equivalence import MARGIN_RULE, check_margin, is_margin
from segan_nnunet.text_files import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VIEWER_CASES = 20  # further cases in the viewer of the report
MEASURES = Measures(Hd95.AUTO, lesions=Lesions.AUTO)  # replaced by those of the protocol


@dataclass(frozen=True)
class Settings:
    """The settings of a comparison.

    Attributes:
        policy: defines the scores of empty masks; `auto` for that of the protocol.
        baseline: the method against which the others are tested; by default the first.
        published: append the paper's rows to Table 1.
        intersection: compare only the cases that all methods have.
        processes: number of processes that measure in parallel.
        command: the command line, for the report.
        measures: the measures besides voxel counts; each `auto` stands for the protocol's definition.
        all_pairs: test all pairs of methods, not only those with the baseline.
        spread: show means with standard deviations, and medians with quartiles.
        viewer_cases: number of cases in the viewer of the report besides the best, median and worst one. These are the
            cases with the lowest Dice.
        primary: columns of the scores of the primary endpoint.
        margin: the difference within which methods count as equally good, in units of Dice; None for no test of
            equivalence.
        protocol: name of the protocol; `auto` for that of the dataset's release.
    """

    policy: EmptyPolicy = EmptyPolicy.AUTO
    baseline: str | None = None
    published: bool = False
    intersection: bool = False
    processes: int | None = None
    command: str = ""
    measures: Measures = MEASURES
    all_pairs: bool = False
    spread: bool = False
    viewer_cases: int = VIEWER_CASES
    primary: Sequence[str] = (DICE.column,)
    margin: float | None = None
    protocol: str = AUTO

    @property
    def definitions(self) -> Definitions:
        """The definitions of the scores, if the settings are resolved."""
        return Definitions(self.protocol, self.policy, self.measures)

    def resolved(self, methods: Sequence[str], labelling: Labelling) -> "Settings":
        """Return the settings with every `auto` and every name of a score resolved, and check them.

        Args:
            methods: the compared methods.
            labelling: the labelling of the dataset, with its release and regions.

        Raises:
            InputError: the baseline is not a method, a primary score is not measured, the margin is not above 0 and
                below 1, or the protocol is unknown or does not fit the regions.
        """
        check_margin(self.margin)
        if self.baseline and self.baseline not in methods:
            raise InputError(f"there is no method '{self.baseline}'; --baseline takes one of {', '.join(methods)}")
        chosen = resolve(self.protocol, labelling.release, self.policy, self.measures)
        if chosen.measures.lesion_rule:
            chosen.measures.lesion_rule.of_dataset(labelling.regions)  # raises if it does not fit the regions
        return replace(
            self,
            protocol=chosen.protocol,
            policy=chosen.policy,
            measures=chosen.measures,
            primary=primary_columns(chosen.measures, self.primary),
        )


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, 0 or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def is_list_of(is_item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a check whether a value is a list of at least one such item."""
    return lambda value: isinstance(value, list) and bool(value) and all(map(is_item, value))


# the keys of a file of settings, with the rule of their values
RULES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "protocol": ('the name of a protocol, such as "brats2023-gli"', lambda value: isinstance(value, str)),
    "empty": (f"one of {', '.join(EmptyPolicy)}", lambda value: value in list(EmptyPolicy)),
    "lesions": (f"one of {', '.join(Lesions)}", lambda value: value in list(Lesions)),
    "hd95": (f"one of {', '.join(Hd95)}", lambda value: value in list(Hd95)),
    "nsd": ("a list of tolerances in mm, 0 or more, such as [0.5, 1]", is_list_of(is_number)),
    "primary": ('a list of scores, such as ["Dice", "HD95"]', is_list_of(lambda item: isinstance(item, str))),
    "margin": (MARGIN_RULE, is_margin),
    "all-pairs": ("true or false", lambda value: isinstance(value, bool)),
    "spread": ("true or false", lambda value: isinstance(value, bool)),
    "viewer-cases": ("a whole number, 0 or more", lambda value: is_number(value) and isinstance(value, int)),
}


def read_settings(path: Path) -> dict[str, Any]:
    """Read a file of settings in TOML. Return its values by key.

    Raises:
        InputError: the file cannot be read, is not TOML, has an unknown key, or has a value that breaks its rule.
    """
    try:
        content = tomllib.loads(read_text(path, "settings in TOML"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}. Write each setting as in all-pairs = true") from error
    for key, value in content.items():
        if key not in RULES:
            raise InputError(f"{path} has the unknown key '{key}'; it takes {', '.join(RULES)}. Rename or delete it")
        rule, keeps_rule = RULES[key]
        if not keeps_rule(value):
            raise InputError(f"{path}: '{key}' is {value!r}, and must be {rule}. Correct it")
    return content
