"""Find the validated models of a dataset by the names of their trainers, and the predictions of each fold."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from segan_nnunet.folds.state import SUMMARY, is_exported, validated_metrics
from segan_nnunet.trainer_names import ModelName, model_parts, seeded, unseeded
from segan_nnunet.validations.training_records import describe_training, read_cost, read_training_log


@dataclass(frozen=True)
class Model:
    """A validated model.

    Attributes:
        name: the trainer; plans and configuration follow where the compared models differ in them.
        folder: nnU-Net's folder of the trained model.
        method: the row of the table. The seeds of a trainer share a row, unless they were requested one by one.
        seed: the seed of the training; UNSEEDED for a model with a row of its own.
    """

    name: str
    folder: Path
    method: str
    seed: int = UNSEEDED


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
        configurations, plans: names of the configurations and plans; by default all plans.
        trainers: names; NAME stands for NAME_seed0, NAME_seed1 and so on too. By default all.
        seeds: the seeds of seeded trainers; unseeded trainers are then left out. By default all models.

    Raises:
        InputError: no model is validated, or a requested trainer, seed or plans are missing; with the existing ones.
    """
    folders = [folder for one in configurations for folder in sorted(results.glob(f"*__*__{one}"))]
    models, names = [model_parts(folder.name) for folder in folders if validated_folds(folder)], list(trainers or ())
    exported = exported_models(results, configurations)
    existing = f"Validated: {', '.join(f'{model.trainer} -p {model.plans}' for model in models) or 'none'}.{exported}"
    wanted, known = ", ".join(configurations), {model.trainer for model in models}
    missing = [name for name in names if not any(requested_as(model, [name]) for model in models)]
    missing += [seeded(name, seed) for name in names for seed in seeds if seeded(name, seed) not in known]
    if missing or not models:
        patterns = [f"{name}__*__{one}/fold_all" for name in missing or ["*"] for one in configurations]
        if trained_on_all := [path for pattern in patterns for path in results.glob(pattern)]:
            raise InputError(
                f"{trained_on_all[0].parent.name} was trained with fold all, on every case, so no case is left to "
                "compare on. Train folds (0, 1, ...), or compare predictions of a test set: --predictions NAME=FOLDER "
                "--reference"
            )
    if missing:
        raise InputError(f"no validated fold of {missing[0]}, configuration {wanted}, in {results}. {existing}")
    if unknown := [name for name in plans or () if name not in {model.plans for model in models}]:
        raise InputError(f"no validated fold with plans {unknown[0]} in {results}. {existing}")
    chosen = [
        model
        for model in models
        if (not names or requested_as(model, names))
        and (not plans or model.plans in plans)
        and (not seeds or unseeded(model.trainer)[1] in seeds)
    ]
    if not chosen:
        raise InputError(f"no validated model of configuration {wanted} in {results}. Train one first.{exported}")
    if names:
        chosen.sort(key=lambda model: names.index(requested_as(model, names)))
    return [as_model(results, model, chosen, names) for model in chosen]


def requested_as(model: ModelName, names: Collection[str]) -> str:
    """Return the requested name that stands for a model, with or without its seed; empty if none does."""
    return next((name for name in (model.trainer, unseeded(model.trainer)[0]) if name in names), "")


def as_model(results: Path, model: ModelName, compared: Sequence[ModelName], names: Collection[str]) -> Model:
    """Name a model and its method among the compared models; `names` are the requested trainers."""
    base, seed = unseeded(model.trainer)
    several_plans = len({other.plans for other in compared}) > 1
    several_configurations = len({other.configuration for other in compared}) > 1
    differing = [model.plans] * several_plans + [model.configuration] * several_configurations
    suffix = f" ({', '.join(differing)})" if differing else ""
    folder, name = results / str(model), model.trainer + suffix
    if seed is None or model.trainer in names:
        return Model(name, folder, name)
    has_unseeded = model._replace(trainer=base) in compared
    return Model(name, folder, base + (", seeds" if has_unseeded else "") + suffix, seed)


def exported_models(results: Path, configurations: Sequence[str]) -> str:
    """Name the models that were installed from an export, and say how to compare them; empty if there are none."""
    folders = [folder for one in configurations for folder in sorted(results.glob(f"*__*__{one}"))]
    exported = [folder for folder in folders if any(map(is_exported, folder.glob("fold_*")))]
    if names := [folder.name for folder in exported if not validated_folds(folder)]:
        return (
            f" Exported models, which were installed here without predictions of validation cases: {', '.join(names)}. "
            "To compare one, predict a test set with it and give --predictions NAME=FOLDER --reference FOLDER."
        )
    return ""


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
    """Collect the predictions of a model's validations.

    Args:
        model: a validated model.
        folds: numbers of folds; by default all validated ones.
        labelling: the dataset's labels.
        splits: the dataset's split, which tells how many folds it has.

    Raises:
        InputError: a fold is not validated, its predictions are missing, its summary has unknown regions, or the fold
            was trained on a case that it predicts.
    """
    numbers = folds or validated_folds(model.folder)
    trained_folds = [trained_fold(model.folder, number, labelling, splits) for number in numbers]
    files = {case: path for fold in trained_folds for case, path in predicted_files(fold, labelling).items()}
    return Predictions(
        model.name, files, model.method, model.seed, trained_folds,
        "" if folds else unfinished_folds(model.folder, splits),
        describe_training(model.folder, sorted(fold.number for fold in trained_folds)),
    )  # fmt: skip


def trained_fold(model_folder: Path, number: int, labelling: Labelling, splits: Splits | None) -> TrainedFold:
    """Check a fold's validation, and read nnU-Net's counts and records; errors as in `trained_predictions`."""
    folder, ending = model_folder / f"fold_{number}", labelling.file_ending
    split = FoldRecord(val=splits[number]["val"]) if splits and number < len(splits) else FoldRecord()
    check_fold(folder, Purpose.COMPARE, split)
    metrics = {name.removesuffix(ending): of_regions for name, of_regions in validated_metrics(folder).items()}
    counts = {
        (case, region): {count: values[count] for count in COUNTS if count in values}
        for case, of_regions in metrics.items()
        for region, values in named_regions(of_regions, labelling, folder / SUMMARY).items()
    }
    return TrainedFold(number, list(metrics), folder / SUMMARY, counts, read_cost(folder), read_training_log(folder))


def predicted_files(fold: TrainedFold, labelling: Labelling) -> dict[str, Path]:
    """Return the prediction of each case that a fold validated. Their names may have decomposed letters."""
    folder, ending = fold.summary.parent, labelling.file_ending
    existing = {composed(case): path for case, path in files_by_case(folder, ending).items()}
    return {case: existing.get(case, folder / f"{case}{ending}") for case in fold.cases}


def unfinished_folds(model_folder: Path, splits: Splits | None) -> str:
    """List the folds that are not validated here, by state."""
    started = fold_numbers(model_folder.glob("fold_*"))
    validated = set(validated_folds(model_folder))
    exported = [fold for fold in started if is_exported(model_folder / f"fold_{fold}")]
    groups = {
        "unfinished": [fold for fold in started if fold not in validated and fold not in exported],
        "exported elsewhere": exported,
        "not trained": [fold for fold in range(len(splits or ())) if fold not in started],
    }
    return "; ".join(f"fold {', '.join(map(str, numbers))} {state}" for state, numbers in groups.items() if numbers)


def named_regions(metrics: Mapping[str, dict], labelling: Labelling, path: Path) -> dict[str, dict]:
    """Return the metrics of a summary by region name instead of nnU-Net's keys.

    Raises:
        InputError: the summary at `path` has regions that the dataset does not have.
    """
    names = labelling.summary_keys
    if unknown := set(metrics) - set(names):
        raise InputError(
            f"{path} has scores of {', '.join(sorted(unknown))}, which dataset.json does not define. Restore the "
            "dataset.json of the training, or validate again: nnUNetv2_train ... --val"
        )
    return {names[key]: of_region for key, of_region in metrics.items()}
