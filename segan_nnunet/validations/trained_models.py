"""Trainers of a dataset by name: which folds are validated, and what each predicted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.labelling import Labelling
from segan_nnunet.data.planned.split_file import SPLITS_FILE, Splits
from segan_nnunet.data.trained_on import check_not_trained_on
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Predictions
from segan_nnunet.evaluation.methods.training import TrainedFold
from segan_nnunet.evaluation.scores.scores import COUNTS
from segan_nnunet.evaluation.scores.seeds import UNSEEDED
from segan_nnunet.exported_folds import SUMMARY, describe_exported, is_exported, missing_predictions
from segan_nnunet.file_kinds import composed
from segan_nnunet.text_files import read_object
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
        InputError: none is there, or a trainer, a seed or plans that were asked for are missing; with those that exist.
    """
    wanted = ", ".join(configurations)
    found = {}
    for configuration in configurations:
        for folder in sorted(results.glob(f"*__*__{configuration}")):
            trainer, plan, _ = model_parts(folder.name)
            if validated_folds(folder):
                found[trainer, plan, configuration] = folder
    existing = ", ".join(f"{trainer} -p {plan}" for trainer, plan, _ in found) or "none"
    names = {trainer for trainer, *_ in found}
    missing = [name for name in trainers or () if not any(name in (one, unseeded(one)[0]) for one in names)]
    if trainers and seeds:
        missing += [seeded(name, seed) for name in trainers for seed in seeds if seeded(name, seed) not in names]
    if missing or not found:
        patterns = [f"{name}__*__{one}/fold_all" for name in missing or ["*"] for one in configurations]
        of_all = [path for pattern in patterns for path in results.glob(pattern)]
        if of_all:
            raise InputError(
                f"{of_all[0].parent.name} was trained with fold all, on every case: there is none left to compare on. "
                "Train folds (0, 1, ...), or compare predictions of a test set: --predictions NAME=FOLDER --reference"
            )
    for trainer in missing:
        raise InputError(f"no validated fold of {trainer}, configuration {wanted}, in {results}. "
                         f"Validated: {existing}.{exported_models(results, configurations)}")  # fmt: skip
    for plan in plans or ():
        if plan not in {key[1] for key in found}:
            raise InputError(f"no validated fold with plans {plan} in {results}. Validated: {existing}."
                             f"{exported_models(results, configurations)}")  # fmt: skip
    chosen = {
        key: folder
        for key, folder in found.items()
        if (not trainers or key[0] in trainers or unseeded(key[0])[0] in trainers)
        and (not plans or key[1] in plans)
        and (not seeds or unseeded(key[0])[1] in seeds)
    }
    if not chosen:
        raise InputError(f"no validated model of configuration {wanted} in {results}; train one first."
                         f"{exported_models(results, configurations)}")  # fmt: skip
    if trainers:  # in the order asked for
        order = list(trainers)
        chosen = dict(sorted(chosen.items(), key=lambda item: order.index(requested_name(item[0][0], order))))
    several_plans = len({plan for _, plan, _ in chosen}) > 1
    several_configurations = len({configuration for *_, configuration in chosen}) > 1
    models = []
    for (trainer, plan, configuration), folder in chosen.items():
        apart = [plan] * several_plans + [configuration] * several_configurations
        suffix = f" ({', '.join(apart)})" if apart else ""
        base, seed = unseeded(trainer)
        if seed is None or (trainers and trainer in trainers):
            models.append(Model(trainer + suffix, folder, trainer + suffix))
        else:
            shared = f"{base}, seeds" if (base, plan, configuration) in chosen else base
            models.append(Model(trainer + suffix, folder, shared + suffix, seed))
    return models


def exported_models(results: Path, configurations: Sequence[str]) -> str:
    """Say which models were installed from an export, and how to compare them; empty where none was."""
    folders = [folder for one in configurations for folder in sorted(results.glob(f"*__*__{one}"))]
    exported = [folder for folder in folders if any(map(is_exported, folder.glob("fold_*")))]
    names = [folder.name for folder in exported if not validated_folds(folder)]
    return (
        f" Exported models, which were installed here without predictions of validation cases: {', '.join(names)}. To "
        "compare one, predict a test set with it and give --predictions NAME=FOLDER --reference FOLDER."
    ) if names else ""  # fmt: skip


def requested_name(trainer: str, names: Sequence[str]) -> str:
    """Return the name by which a trainer was asked for: its own, or that without its seed."""
    return trainer if trainer in names else unseeded(trainer)[0]


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
    if missing := missing_predictions(folder):
        raise InputError(
            f"{validation} lacks predictions that its summary.json scores ({len(missing)}, such as {missing[0]}): "
            "they were removed, or the model was installed without them. Validate again: nnUNetv2_train ... --val"
        )
    summary = folder / SUMMARY
    existing = {composed(case): path for case, path in files_by_case(validation, labelling.file_ending).items()}
    metrics = {validated_case(entry, labelling.file_ending): entry["metrics"] for entry in read_summary(summary)}
    if splits and number < len(splits) and set(metrics) != set(map(composed, splits[number]["val"])):
        raise InputError(
            f"{validation} holds other cases than {SPLITS_FILE} has for fold {number} now: the split was changed "
            "since. A case may have trained the model that predicts it; restore the split, or delete "
            f"{folder} and train it again"
        )
    check_not_trained_on(folder, metrics)
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


def read_summary(path: Path) -> list[dict]:
    """Read nnU-Net's summary of a validation, case by case.

    Raises:
        InputError: it is missing or damaged, or of an exported model.
    """
    if is_exported(fold := path.parent.parent):
        raise InputError(
            f"{describe_exported(fold)}. It has no predictions of validation cases: to compare it, predict a test set "
            "and give --predictions NAME=FOLDER --reference FOLDER"
        )
    if not path.is_file():
        raise InputError(f"{path} is missing: the training has not finished, or its validation; run it again with --c")
    try:
        return read_object(path)["metric_per_case"]
    except (InputError, KeyError) as error:
        raise InputError(f"{path} is damaged; run the training's validation again: nnUNetv2_train ... --val") from error


def validated_case(entry: dict, ending: str) -> str:
    """Return the case of an entry of nnU-Net's summary, letters composed; its path is of the machine that validated."""
    return composed(Path(entry["prediction_file"]).name.removesuffix(ending))


def named_regions(metrics: Mapping[str, dict], labelling: Labelling, path: Path) -> dict[str, dict]:
    """Return the entries of a summary by the names of their regions.

    Raises:
        InputError: the summary has regions that the dataset does not know.
    """
    names = labelling.summary_keys
    if unknown := set(metrics) - set(names):
        raise InputError(f"{path} has scores of {', '.join(sorted(unknown))}, which dataset.json does not know")
    return {names[key]: entry for key, entry in metrics.items()}
