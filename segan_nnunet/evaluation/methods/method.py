"""What is compared: trainers of a dataset by name, or any folders of predictions, on the same cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.labelling import Labelling
from segan_nnunet.errors import InputError, shorten
from segan_nnunet.evaluation.methods.file_names import naming_hint, where_they_are
from segan_nnunet.evaluation.scores.measurement import Case
from segan_nnunet.file_kinds import composed, decomposed


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name: of the row.
        predictions: its file for each case.
        folds: the fold that validated each case; empty where there are none.
        model_folder: nnU-Net's folder of the trained model, if it is one.
        unfinished: what is missing of its folds, in words.
        seed_of: name of the method that it is one of several seeds of; empty if it stands for itself.
        seed: its seed, then.
    """

    name: str
    predictions: Mapping[str, Path]
    folds: Mapping[str, int] = field(default_factory=dict)
    model_folder: Path | None = None
    unfinished: str = ""
    seed_of: str = ""
    seed: int | None = None

    @property
    def fold_folders(self) -> list[Path]:
        """nnU-Net's folders of the folds that it is made of; none where it is no trained model."""
        folder = self.model_folder
        return [folder / f"fold_{fold}" for fold in sorted(set(self.folds.values()))] if folder else []


@dataclass(frozen=True)
class Contest:
    """Methods and the cases that they are compared on.

    Attributes:
        methods: in the order of the table.
        references: file of the truth by case.
        labelling: what its values mean.
        image_folders: where images named CASE_0000.ending are looked for.
        grades: of cases, where known.
        patients: of cases, where known.
        title: where the cases come from, for the line under a table.
        left_out: cases that --intersection left out.
        seed_notes: which methods are means over seeds, in words.
        seeds: what each seed scored, as `seeds.spread` has it; None where there are none.
        scores_of_seeds: the same case by case: the scores of each seed, with `seed`, under the name that they share.
        exported: the exported models of the dataset, which cannot be compared, in words.
        costs: of the trainings, as `training_costs` has them; None where they were not looked for.
    """

    methods: Sequence[Method]
    references: Mapping[str, Path]
    labelling: Labelling
    image_folders: Sequence[Path]
    grades: Mapping[str, str]
    title: str
    left_out: Sequence[str] = ()
    seed_notes: Sequence[str] = ()
    seeds: pd.DataFrame | None = None
    scores_of_seeds: pd.DataFrame | None = None
    costs: pd.DataFrame | None = None
    patients: Mapping[str, str] = field(default_factory=dict)
    exported: str = ""

    @property
    def cases(self) -> list[Case]:
        """The cases, each with the predictions of all methods."""
        return [
            Case(case, self.references[case], {method.name: method.predictions[case] for method in self.methods})
            for case in sorted(self.methods[0].predictions)
        ]

    @property
    def rows(self) -> list[str]:
        """Names of the table's rows; the seeds of a trainer share one."""
        return list(dict.fromkeys(method.seed_of or method.name for method in self.methods))

    def images(self, case: str) -> dict[str, Path]:
        """Files of a case's images by channel, those that are found."""
        found = {}
        for index, name in enumerate(self.labelling.channel_names):
            file = f"{case}_{index:04d}{self.labelling.file_ending}"
            for path in (folder / form for folder in self.image_folders for form in (file, decomposed(file))):
                if path.is_file():
                    found[name] = path
                    break
        return found


def groups(methods: Sequence[Method]) -> dict[str, list[Method]]:
    """The methods that are seeds of one trainer, by the name that they share as one method."""
    found: dict[str, list[Method]] = {}
    for method in methods:
        if method.seed_of:
            found.setdefault(method.seed_of, []).append(method)
    return found


def require_folder(folder: Path) -> None:
    """Check that a folder is there.

    Raises:
        InputError: it is not.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one that holds segmentations, one file per case")


def segmentations(folder: Path, ending: str) -> dict[str, Path]:
    """Files of a folder of segmentations by case, letters of the cases' ids composed.

    Raises:
        InputError: the folder is missing, has no such file, or has two whose names look the same.
    """
    require_folder(folder)
    files = files_by_case(folder, ending)
    found = {composed(case): path for case, path in files.items()}
    if len(found) < len(files):
        twin = next(path for case, path in files.items() if found[composed(case)] != path)
        raise InputError(
            f"{folder} has two files {twin.name}, one with composed letters (NFC) and one, of a Mac, with decomposed "
            "ones (NFD); remove one"
        )
    if not found:
        raise InputError(
            f"{folder} holds no segmentation: no file there ends in {ending}, as dataset.json says"
            + where_they_are(folder, ending)
        )
    return found


def folder_methods(folders: Mapping[str, Path], ending: str) -> list[Method]:
    """Methods from folders of predictions, by the names of their rows."""
    return [Method(name, segmentations(folder, ending)) for name, folder in folders.items()]


def parse_folders(given: Sequence[str]) -> dict[str, Path]:
    """Read NAME=FOLDER, one or several.

    Raises:
        InputError: one has no name, or two have the same.
    """
    folders: dict[str, Path] = {}
    for text in given:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder):
            raise InputError(f"--predictions takes NAME=FOLDER, for example nnUNet=predictions/nnunet; not '{text}'")
        if name in folders:
            raise InputError(f"two folders of predictions have the name '{name}'; each needs one of its own")
        folders[name] = Path(folder)
    return folders


def same_cases(contest: Contest, every_reference: bool, intersection: bool) -> Contest:
    """Check that all methods have the same cases, each with a reference; or keep those that all have.

    Args:
        contest: as it was found.
        every_reference: whether each method must also have every case that has a reference.
        intersection: keep the common cases instead of refusing.

    Raises:
        InputError: the cases differ, with the difference; or no case is common to all.
    """
    repeated = {method.name for method in contest.methods}
    if len(repeated) < len(contest.methods):
        names = sorted(name for name in repeated if sum(method.name == name for method in contest.methods) > 1)
        raise InputError(f"several rows would have the name {', '.join(names)}; name the folders otherwise")
    parts = [set(method.predictions) for method in contest.methods]
    everything = set.union(*parts) | (set(contest.references) if every_reference else set())
    common = set.intersection(*parts) & set(contest.references)
    if common != everything and not intersection:
        lacking = "; ".join(differences(contest, everything))
        raise InputError(
            f"the methods do not have the same cases: {lacking}.{naming_hints(contest)} Train the missing folds or "
            "predict the missing cases, compare only --folds that all have, or go on with the common cases: "
            "--intersection."
        )
    if not common:
        raise InputError(
            "no case is common to all methods and the references; are the files named alike?" + naming_hints(contest)
        )
    methods = [
        replace(method, predictions={case: method.predictions[case] for case in sorted(common)})
        for method in contest.methods
    ]
    return replace(contest, methods=methods, left_out=sorted(everything - common))


def naming_hints(contest: Contest) -> str:
    """Say what the files of methods have before or behind the names of the references."""
    hints = [naming_hint(method.name, method.predictions, contest.references) for method in contest.methods]
    return "".join(f" {hint}." for hint in dict.fromkeys(filter(None, hints)))


def differences(contest: Contest, everything: set[str]) -> list[str]:
    """Say what each method, and the references, lack."""
    folds = {case: fold for method in contest.methods for case, fold in method.folds.items()}
    lacking = []
    for method in contest.methods:
        if missing := sorted(everything - set(method.predictions)):
            of_folds = sorted({folds[case] for case in missing if case in folds})
            where = f" (of fold {', '.join(map(str, of_folds))})" if of_folds else ""
            lacking.append(f"{method.name} lacks {len(missing)} cases{where}: {shorten(missing)}")
    if missing := sorted(everything - set(contest.references)):
        lacking.append(f"{len(missing)} cases have no reference: {shorten(missing)}")
    return lacking
