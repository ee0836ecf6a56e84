"""Trainers of a dataset by name: which folds are validated, and what each predicted."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.labelling import Labelling
from segan_nnunet.data.planned.split_file import Splits
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Predictions
from segan_nnunet.evaluation.methods.training import TrainedFold
from segan_nnunet.evaluation.scores.scores import COUNTS
from segan_nnunet.evaluation.scores.seeds import UNSEEDED
from segan_nnunet.file_kinds import composed
from segan_nnunet.folds.checks import Purpose, check_fold
from segan_nnunet.folds.record import FoldRecord
from segan_nnunet.folds.state import SUMMARY, is_exported, predicted_file, validated_entries
from segan_nnunet.trainer_names import model_parts, seeded, unseeded
from segan_nnunet.validations.training_records import describe_training, read_cost, read_training_log


@dataclass(frozen=True)
class Model:
    """A validated model.

    Attributes:
        name: the trainer, with plans and configuration where they differ.
        folder: nnU-Net's folder of the trained model.
        method: the row of the table, which the seeds of a trainer share unless they were asked for one by one.
        seed: of the training; UNSEEDED where it has a row of its own.
    """

    name: str
    folder: Path
    method: str
    seed: int = UNSEEDED


class ModelFolder(NamedTuple):
    """A folder of nnUNet_results, and what its name says; `base` is the trainer without its seed."""

    path: Path
    trainer: str
    base: str
    seed: int | None
    plans: str
    configuration: str

    def requested_as(self, names: Collection[str]) -> str:
        """Return the name by which the trainer was asked for: its own, or that without its seed; else an empty one."""
        return next((name for name in (self.trainer, self.base) if name in names), "")


def validated_models(results: Path, configurations: Sequence[str]) -> list[ModelFolder]:
    """Return the folders of a dataset's models that have a validated fold."""
    paths = [path for one in configurations for path in sorted(results.glob(f"*__*__{one}")) if validated_folds(path)]
    return [
        ModelFolder(path, name.trainer, *unseeded(name.trainer), name.plans, name.configuration)
        for path in paths
        for name in [model_parts(path.name)]
    ]


def find_models(
    results: Path,
    configurations: Sequence[str],
    trainers: Sequence[str] | None,
    plans: Sequence[str] | None,
    seeds: Sequence[int] = (),
) -> list[Model]:
    """Return the validated models of a dataset.

    Args:
        results: the dataset's folder in nnUNet_results.
        configurations, plans: those that count.
        trainers: names; NAME stands for NAME_seed0, NAME_seed1 and so on too. By default all.
        seeds: those that count of trainers with seeds; then trainers without are left out.

    Raises:
        InputError: no model is validated, or a requested trainer, seed or plans are missing; with those that exist.
    """
    validated, names = validated_models(results, configurations), list(trainers or ())
    existing = f"Validated: {', '.join(f'{one.trainer} -p {one.plans}' for one in validated) or 'none'}."
    existing += exported_models(results, configurations)
    wanted = ", ".join(configurations)
    missing = [name for name in names if not any(name in (one.trainer, one.base) for one in validated)]
    known = {one.trainer for one in validated}
    missing += [seeded(name, seed) for name in names for seed in seeds if seeded(name, seed) not in known]
    if missing or not validated:
        patterns = [f"{name}__*__{one}/fold_all" for name in missing or ["*"] for one in configurations]
        of_all = [path for pattern in patterns for path in results.glob(pattern)]
        if of_all:
            raise InputError(
                f"{of_all[0].parent.name} was trained with fold all, on every case: there is none left to compare on. "
                "Train folds (0, 1, ...), or compare predictions of a test set: --predictions NAME=FOLDER --reference"
            )
    if missing:
        raise InputError(f"no validated fold of {missing[0]}, configuration {wanted}, in {results}. {existing}")
    if unknown := [plan for plan in plans or () if plan not in {one.plans for one in validated}]:
        raise InputError(f"no validated fold with plans {unknown[0]} in {results}. {existing}")
    chosen = [
        one
        for one in validated
        if (not names or one.requested_as(names))
        and (not plans or one.plans in plans)
        and (not seeds or one.seed in seeds)
    ]
    if not chosen:
        raise InputError(f"no validated model of configuration {wanted} in {results}; train one first."
                         f"{exported_models(results, configurations)}")  # fmt: skip
    if names:  # in the order asked for
        chosen.sort(key=lambda one: names.index(one.requested_as(names)))
    return [as_model(one, chosen, names) for one in chosen]


def as_model(one: ModelFolder, chosen: Sequence[ModelFolder], names: Collection[str]) -> Model:
    """Name a model and its method among those that are compared."""
    several_plans = len({other.plans for other in chosen}) > 1
    several_configurations = len({other.configuration for other in chosen}) > 1
    apart = [one.plans] * several_plans + [one.configuration] * several_configurations
    suffix = f" ({', '.join(apart)})" if apart else ""
    name = one.trainer + suffix
    if one.seed is None or one.trainer in names:
        return Model(name, one.path, name)
    unseeded_one = (one.base, one.plans, one.configuration)
    has_unseeded = unseeded_one in [(other.trainer, other.plans, other.configuration) for other in chosen]
    return Model(name, one.path, (f"{one.base}, seeds" if has_unseeded else one.base) + suffix, one.seed)


def exported_models(results: Path, configurations: Sequence[str]) -> str:
    """Say which models were installed from an export, and how to compare them; empty where none was."""
    folders = [folder for one in configurations for folder in sorted(results.glob(f"*__*__{one}"))]
    exported = [folder for folder in folders if any(map(is_exported, folder.glob("fold_*")))]
    names = [folder.name for folder in exported if not validated_folds(folder)]
    return (
        f" Exported models, which were installed here without predictions of validation cases: {', '.join(names)}. To "
        "compare one, predict a test set with it and give --predictions NAME=FOLDER --reference FOLDER."
    ) if names else ""  # fmt: skip


def validated_folds(model_folder: Path) -> list[int]:
    """Return the numbers of the folds that were validated here."""
    folds = [path.parent.parent for path in model_folder.glob(f"fold_*/{SUMMARY}")]
    return fold_numbers(fold for fold in folds if not is_exported(fold))


def fold_numbers(folders: Iterable[Path]) -> list[int]:
    """Return the numbers of folders named fold_NUMBER."""
    names = [folder.name.removeprefix("fold_") for folder in folders]
    return sorted(int(name) for name in names if name.isdigit())


def trained_predictions(
    model: Model, folds: Sequence[int] | None, labelling: Labelling, splits: Splits | None
) -> Predictions:
    """Collect what a model predicted when it was validated.

    Args:
        model: a validated one.
        folds: those that count; by default all that are validated.
        labelling: of the dataset.
        splits: of the dataset, which says how many folds there are.

    Raises:
        InputError: a fold that was asked for is not validated, its predictions are missing, its summary has unknown
            regions, or it was trained on a case that it predicts.
    """
    files: dict[str, Path] = {}
    trained_folds = [
        trained_fold(model.folder / f"fold_{fold}", labelling, splits, files)
        for fold in folds or validated_folds(model.folder)
    ]
    return Predictions(
        model.name, files, model.method, model.seed, trained_folds, unfinished_folds(model.folder, folds, splits),
        describe_training(model.folder, sorted(fold.number for fold in trained_folds)),
    )  # fmt: skip


def trained_fold(folder: Path, labelling: Labelling, splits: Splits | None, files: dict[str, Path]) -> TrainedFold:
    """Check the validation of a fold, and add its predictions to the files by case; as `trained_predictions`."""
    validation, number = folder / "validation", fold_numbers([folder])[0]
    split = FoldRecord(val=splits[number]["val"]) if splits and number < len(splits) else FoldRecord()
    check_fold(folder, Purpose.COMPARE, split)
    summary = folder / SUMMARY
    existing = {composed(case): path for case, path in files_by_case(validation, labelling.file_ending).items()}
    metrics = {validated_case(entry, labelling.file_ending): entry["metrics"] for entry in validated_entries(folder)}
    counts = {
        (case, region): {count: values[count] for count in COUNTS if count in values}
        for case, of_case in metrics.items()
        for region, values in named_regions(of_case, labelling, summary).items()
    }
    files |= {case: existing.get(case, validation / f"{case}{labelling.file_ending}") for case in metrics}
    return TrainedFold(number, list(metrics), summary, counts, read_cost(folder), read_training_log(folder))


def unfinished_folds(model_folder: Path, folds: Sequence[int] | None, splits: Splits | None) -> str:
    """Say which folds are not validated, where folds were not chosen."""
    if folds:
        return ""
    begun = fold_numbers(model_folder.glob("fold_*"))
    planned = range(len(splits)) if splits else begun
    done = set(validated_folds(model_folder))
    exported = [fold for fold in begun if is_exported(model_folder / f"fold_{fold}")]
    unfinished = [fold for fold in begun if fold not in done and fold not in exported]
    missing = [fold for fold in planned if fold not in begun]
    groups = {"unfinished": unfinished, "exported elsewhere": exported, "not trained": missing}
    return "; ".join(f"fold {', '.join(map(str, numbers))} {state}" for state, numbers in groups.items() if numbers)


def validated_case(entry: Mapping[str, Any], ending: str) -> str:
    """Return the case of an entry of nnU-Net's summary, letters composed."""
    return predicted_file(entry).removesuffix(ending)


def named_regions(metrics: Mapping[str, dict], labelling: Labelling, path: Path) -> dict[str, dict]:
    """Return the entries of a summary by the names of their regions.

    Raises:
        InputError: the summary has regions that the dataset does not know.
    """
    names = labelling.summary_keys
    if unknown := set(metrics) - set(names):
        raise InputError(f"{path} has scores of {', '.join(sorted(unknown))}, which dataset.json does not know")
    return {names[key]: entry for key, entry in metrics.items()}
