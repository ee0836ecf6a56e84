"""`compare`: the trainers of one dataset and configuration, head to head on the same validation cases."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import SimpleITK as sitk
from numpy.typing import NDArray

from segan_nnunet.data.environment import dataset_name, nnunet_folder
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.figures import Panel, figure3, save
from segan_nnunet.evaluation.scores import read_model, region_names
from segan_nnunet.evaluation.table import markdown, summarise

SHOWN_CASES = 3  # the worst, the median, the best


@dataclass(frozen=True)
class Comparison:
    """What `compare` made: Table 1 in Markdown, and the files it wrote."""

    table: str
    files: list[Path]


def compare(
    dataset_id: int,
    configuration: str = "2d",
    trainers: Sequence[str] | None = None,
    plans: Sequence[str] | None = None,
    folds: Sequence[int] | None = None,
    output: Path | None = None,
) -> Comparison:
    """Write Table 1 (Markdown, CSV), the scores of every case (CSV) and Figure 3 (PNG).

    Args:
        dataset_id: the dataset that the trainers share.
        configuration: nnU-Net's, such as 2d.
        trainers, plans: restrict the comparison to these; by default all that are validated.
        folds: restrict it to these folds; by default all that are validated.
        output: folder to write into; by default comparison__CONFIGURATION in the dataset's results.

    Raises:
        InputError: nothing is validated, or the methods were not validated on the same cases; with the difference.
    """
    name = dataset_name(dataset_id)
    results = nnunet_folder("nnUNet_results") / name
    preprocessed = nnunet_folder("nnUNet_preprocessed") / name
    models = find_models(results, configuration, trainers, plans)
    names = region_names(preprocessed / "dataset.json")
    tables = []
    for method, folder in models.items():
        of_model = list(folds) if folds else validated_folds(folder)
        tables.append(read_model(folder, of_model, names).assign(method=method))
    scores = pd.concat(tables, ignore_index=True)
    check_same_cases(scores)

    output = output or results / f"comparison__{configuration}"
    output.mkdir(parents=True, exist_ok=True)
    used = ", ".join(map(str, sorted(scores["fold"].unique())))
    note = f"validation cases of {name}, fold{'s' if len(used) > 1 else ''} {used}, configuration {configuration}"
    summary = summarise(scores)
    table = markdown(summary, list(names.values()), scores["case"].nunique(), note)
    files = [output / file for file in ("table1.md", "table1.csv", "cases.csv", "figure3.png")]
    files[0].write_text(table, encoding="utf-8")
    summary.to_csv(files[1], index=False)
    columns = ["method", "fold", "case", "region", "TP", "FP", "FN", "Dice", "Precision", "Sensitivity"]
    scores[columns].to_csv(files[2], index=False)
    draw_figure3(scores, name, files[3])
    return Comparison(table, files)


def find_models(
    results: Path, configuration: str, trainers: Sequence[str] | None, plans: Sequence[str] | None
) -> dict[str, Path]:
    """Return the folders of validated models by the name of their row: the trainer, with its plans if they differ.

    Raises:
        InputError: none is there, or a trainer or plans that were asked for are missing; with those that exist.
    """
    found = {}
    for folder in sorted(results.glob(f"*__*__{configuration}")):
        trainer, plan, _ = folder.name.split("__")
        if validated_folds(folder):
            found[trainer, plan] = folder
    existing = ", ".join(f"{trainer} -p {plan}" for trainer, plan in found) or "none"
    for trainer in trainers or ():
        if trainer not in {key[0] for key in found}:
            raise InputError(f"no validated fold of {trainer}, configuration {configuration}, in {results}. "
                             f"Validated: {existing}.")  # fmt: skip
    for plan in plans or ():
        if plan not in {key[1] for key in found}:
            raise InputError(f"no validated fold with plans {plan} in {results}. Validated: {existing}.")
    chosen = {
        key: folder
        for key, folder in found.items()
        if (not trainers or key[0] in trainers) and (not plans or key[1] in plans)
    }
    if not chosen:
        raise InputError(f"no validated model of configuration {configuration} in {results}; train one first")
    if trainers:  # in the order asked for
        chosen = dict(sorted(chosen.items(), key=lambda item: list(trainers).index(item[0][0])))
    several_plans = len({plan for _, plan in chosen}) > 1
    return {f"{trainer} ({plan})" if several_plans else trainer: folder for (trainer, plan), folder in chosen.items()}


def validated_folds(model_folder: Path) -> list[int]:
    """Numbers of the folds whose validation is complete."""
    summaries = model_folder.glob("fold_*/validation/summary.json")
    folds = (path.parent.parent.name.removeprefix("fold_") for path in summaries)
    return sorted(int(fold) for fold in folds if fold.isdigit())


def check_same_cases(scores: pd.DataFrame) -> None:
    """Check that all methods were validated on the same cases.

    Raises:
        InputError: they were not, with the cases and folds that each lacks.
    """
    everything = set(scores["case"])
    folds_of = scores.drop_duplicates("case").set_index("case")["fold"]
    lacking = []
    for method, of_method in scores.groupby("method", sort=False):
        if missing := sorted(everything - set(of_method["case"])):
            folds = ", ".join(map(str, sorted({int(folds_of[case]) for case in missing})))
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            lacking.append(f"{method} lacks {len(missing)} cases (of fold {folds}): {shown}")
    if lacking:
        raise InputError(
            "the methods were not validated on the same cases: " + "; ".join(lacking)
            + ". Train the missing folds, or compare only --folds that all have."
        )  # fmt: skip


def draw_figure3(scores: pd.DataFrame, name: str, path: Path) -> None:
    """Draw the worst, the median and the best case, by mean Dice over methods and regions."""
    ranked = list(scores.groupby("case")["Dice"].mean().sort_values().index)
    chosen = sorted({0, len(ranked) // 2, len(ranked) - 1})[:SHOWN_CASES]
    preprocessed = nnunet_folder("nnUNet_preprocessed") / name
    dataset = json.loads((preprocessed / "dataset.json").read_text())
    regions = {
        region: labels if isinstance(labels, list) else [labels]
        for region, labels in dataset["labels"].items()
        if region not in ("background", "ignore")
    }
    channel, modality = shown_channel(dataset["channel_names"])
    panels = []
    for rank in chosen:
        case = ranked[rank]
        of_case = scores[scores["case"] == case]
        files = of_case.drop_duplicates("method").set_index("method")["prediction"]
        captions = {}
        for method, rows in of_case.groupby("method", sort=False):
            captions[method] = f"{method}\nDice " + " ".join(f"{value:.2f}" for value in rows["Dice"])
        ending = dataset["file_ending"]
        panels.append(
            Panel(
                case,
                read_volume(nnunet_folder("nnUNet_raw") / name / "imagesTr" / f"{case}_{channel:04d}{ending}"),
                read_volume(preprocessed / "gt_segmentations" / f"{case}{ending}"),
                {method: read_volume(Path(file)) for method, file in files.items()},
                captions,
            )
        )
    save(figure3(panels, regions, modality), path)


def shown_channel(channel_names: dict[str, str]) -> tuple[int, str]:
    """Return index and name of the channel to show: T2, as in the paper, or else the last one."""
    for index, name in channel_names.items():
        if name.casefold() in ("t2", "t2w"):
            return int(index), name
    index = max(channel_names, key=int)
    return int(index), channel_names[index]


def read_volume(path: Path) -> NDArray:
    """Read a volume as an array (D, H, W)."""
    if not path.is_file():
        raise InputError(f"{path} is missing; Figure 3 shows the images of the raw dataset")
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
