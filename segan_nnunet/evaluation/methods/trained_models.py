"""Trainers of a dataset by name: which folds are validated, and what each predicted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from segan_nnunet.data.case_table import files_by_case
from segan_nnunet.data.labelling import Labelling
from segan_nnunet.data.planned.split_file import Splits
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.method import Method
from segan_nnunet.file_kinds import composed
from segan_nnunet.folds.checks import Purpose, check_fold, check_one_method
from segan_nnunet.folds.record import FoldRecord
from segan_nnunet.folds.state import SUMMARY, is_exported, validated_entries
from segan_nnunet.trainer_names import model_parts, seeded, unseeded

COUNTS = ("TP", "FP", "FN", "TN")


@dataclass(frozen=True)
class Model:
    """A validated model.

    Attributes:
        name: of its row: the trainer, with plans and configuration where they differ.
        folder: nnU-Net's folder of the trained model.
        seed_of: name of the row that it shares with other seeds of its trainer; empty if it has one of its own.
        seed: its seed, then.
    """

    name: str
    folder: Path
    seed_of: str = ""
    seed: int | None = None


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
        chosen = dict(sorted(chosen.items(), key=lambda item: order.index(asked_as(item[0][0], order))))
    several_plans = len({plan for _, plan, _ in chosen}) > 1
    several_configurations = len({configuration for *_, configuration in chosen}) > 1
    models = []
    for (trainer, plan, configuration), folder in chosen.items():
        apart = [plan] * several_plans + [configuration] * several_configurations
        suffix = f" ({', '.join(apart)})" if apart else ""
        base, seed = unseeded(trainer)
        if seed is None or (trainers and trainer in trainers):
            models.append(Model(trainer + suffix, folder))
        else:
            shared = f"{base}, seeds" if (base, plan, configuration) in chosen else base
            models.append(Model(trainer + suffix, folder, shared + suffix, seed))
    return models


def exported_models(results: Path, configurations: Sequence[str]) -> str:
    """Say which models were installed here from an export, and how to compare them; empty where none was."""
    folders = [folder for one in configurations for folder in sorted(results.glob(f"*__*__{one}"))]
    exported = [folder for folder in folders if any(map(is_exported, folder.glob("fold_*")))]
    names = [folder.name for folder in exported if not validated_folds(folder)]
    return (
        f" Exported models, which were installed here without predictions of validation cases: {', '.join(names)}. To "
        "compare one, predict a test set with it and give --predictions NAME=FOLDER --reference FOLDER."
    ) if names else ""  # fmt: skip


def asked_as(trainer: str, names: Sequence[str]) -> str:
    """The name by which a trainer was asked for: its own, or that without its seed."""
    return trainer if trainer in names else unseeded(trainer)[0]


def validated_folds(model_folder: Path) -> list[int]:
    """Numbers of the folds that were validated here."""
    folds = [path.parent.parent for path in model_folder.glob(f"fold_*/{SUMMARY}")]
    return fold_numbers(fold for fold in folds if not is_exported(fold))


def fold_numbers(folders: Iterable[Path]) -> list[int]:
    """Numbers of folders named fold_NUMBER."""
    names = [folder.name.removeprefix("fold_") for folder in folders]
    return sorted(int(name) for name in names if name.isdigit())


def trained_method(
    name: str, model_folder: Path, folds: Sequence[int] | None, labelling: Labelling, splits: Splits | None
) -> Method:
    """Collect what a model predicted when it was validated.

    Args:
        name: of the row.
        model_folder: nnU-Net's folder of the trained model.
        folds: those that count; by default all that are validated.
        labelling: of the dataset.
        splits: of the dataset, which says how many folds there are.

    Raises:
        InputError: a fold may not be compared, or the folds are no one method.
    """
    predictions: dict[str, Path] = {}
    fold_of: dict[str, int] = {}
    for fold in folds or validated_folds(model_folder):
        folder = model_folder / f"fold_{fold}"
        validation = folder / "validation"
        split = FoldRecord(val=splits[fold]["val"]) if splits and fold < len(splits) else FoldRecord()
        check_fold(folder, Purpose.COMPARE, split)
        files = {composed(case): path for case, path in files_by_case(validation, labelling.file_ending).items()}
        for entry in validated_entries(folder):
            case = validated_case(entry, labelling.file_ending)
            predictions[case], fold_of[case] = files.get(case, validation / f"{case}{labelling.file_ending}"), fold
    made = Method(name, predictions, fold_of, model_folder, unfinished_folds(model_folder, folds, splits))
    check_one_method(made.fold_folders)
    return made


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
    said = [f"fold {', '.join(map(str, unfinished))} unfinished"] if unfinished else []
    said += [f"fold {', '.join(map(str, exported))} exported elsewhere"] if exported else []
    said += [f"fold {', '.join(map(str, missing))} not trained"] if missing else []
    return "; ".join(said)


def validated_case(entry: dict, ending: str) -> str:
    """Return the case of an entry of nnU-Net's summary, letters composed; its path is of the machine that validated."""
    return composed(Path(entry["prediction_file"]).name.removesuffix(ending))


def check_counts(measured: pd.DataFrame, methods: Sequence[Method], labelling: Labelling) -> None:
    """Check that our voxel counts are those of nnU-Net's summary.json.

    Raises:
        InputError: they differ, because predictions, references or regions were changed since the validation.
    """
    ours = measured.set_index(["method", "case", "region"])[list(COUNTS)].to_dict("index")
    for method in methods:
        if not method.model_folder:
            continue
        for fold in sorted({method.folds[case] for case in method.predictions}):
            path = method.model_folder / f"fold_{fold}" / "validation" / "summary.json"
            for entry in validated_entries(path.parents[1]):
                case = validated_case(entry, labelling.file_ending)
                if case not in method.predictions:
                    continue
                for region, theirs in named_regions(entry["metrics"], labelling, path).items():
                    row = ours[method.name, case, region]
                    if any(row[count] != theirs[count] for count in COUNTS if count in theirs):
                        raise InputError(
                            f"{path} counts other voxels of {case}, {region}, than its files have now: predictions or "
                            "references were changed since. Validate again: nnUNetv2_train ... --val"
                        )


def named_regions(metrics: Mapping[str, dict], labelling: Labelling, path: Path) -> dict[str, dict]:
    """Give the entries of a summary the names of their regions.

    Raises:
        InputError: the summary has regions that the dataset does not know.
    """
    names = labelling.summary_keys
    if unknown := set(metrics) - set(names):
        raise InputError(f"{path} has scores of {', '.join(sorted(unknown))}, which dataset.json does not know")
    return {names[key]: entry for key, entry in metrics.items()}
