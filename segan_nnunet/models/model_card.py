"""The model card of an exported model: data, training, scores, intended use and limits, as far as they are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from segan_nnunet.data.case_table import read_column
from segan_nnunet.data.environment import folder_variable
from segan_nnunet.data.labelling import read_labelling
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.scores import COUNTS, TABLE_1, add_scores
from segan_nnunet.evaluation.statistics.intervals import FEWEST
from segan_nnunet.evaluation.statistics.summary import summarise
from segan_nnunet.folds.state import SUMMARY, validated_entries
from segan_nnunet.trainer_names import model_parts
from segan_nnunet.validations.trained_models import named_regions, validated_case

CARD = "MODEL_CARD.md"
VALIDATED = "checkpoint_final.pth"  # what nnU-Net validates with, unless told otherwise
FEW_CASES = 100
NNUNET_DEFAULT = "Whoever converted this dataset was lazy"  # stands for a reference or a licence that nobody gave


@dataclass(frozen=True)
class CardScores:
    """What the validations of the exported folds say.

    Attributes:
        table: one row per score and region, as `summarise` has them; empty where no fold was validated.
        cases: that were validated.
        patients: of these, where one has several scans; else None.
        missing: folds that have no scores of cases they were not trained on.
    """

    table: pd.DataFrame
    cases: int
    patients: int | None
    missing: tuple[str, ...]


def model_card(model_folder: Path, folds: Sequence[int | str], dataset: Mapping[str, Any], checkpoint: str) -> str:
    """The card in Markdown; it names no case and no path.

    Args:
        model_folder: nnU-Net's folder of the trained model, in its dataset's folder of nnUNet_results.
        folds: that are exported.
        dataset: the model's dataset.json.
        checkpoint: whose weights are exported.

    Raises:
        InputError: a summary of a validation has regions that dataset.json does not know.
    """
    model = model_parts(model_folder.name)
    name = model_folder.parent.name
    number = int(dataset.get("numTraining") or 0)
    channels = ", ".join(str(channel) for channel in (dataset.get("channel_names") or {}).values())
    regions = ", ".join(region for region in dataset["labels"] if region not in ("background", "ignore"))
    chosen = ", ".join(map(str, folds))
    scores = validated_scores(model_folder, folds)
    few = f" These are few: of {number} cases none may be like yours." if 0 < number < FEW_CASES else ""
    return f"""# {model}

A model for nnU-Net v2, exported with segan-nnunet.

## Data

- Dataset: {name}{described(dataset, "description")}
- Cases with a reference: {number or "not known"}
- Channels: {channels or "not known"}
- Regions or labels: {regions}
- Reference: {known(dataset, "reference")}
- Licence of the data: {known(dataset, "licence", "license")}. It may bind this model too.

## Training

- Trainer: {model.trainer}
- Plans and configuration: {model.plans}, {model.configuration}
- Folds: {chosen}
- Weights: {checkpoint}

## Scores

{scores_text(scores, checkpoint)}
## Intended use

Research. It is no medical device, and not for clinical use: no diagnosis or treatment may rest on it.

## Limits

- It has seen {name} only: other scanners, protocols, diseases and ages, and images that were prepared otherwise, may
  give other results.{few}
- The scores are of cases from the same dataset, not from elsewhere.
- It needs all channels, in the order above, and marks something or nothing without saying how sure it is.
"""


def known(dataset: Mapping[str, Any], *keys: str) -> str:
    """What a dataset.json says under the first of some keys, in one line; `not known` where it says nothing."""
    said = next((str(dataset[key]) for key in keys if dataset.get(key)), "")
    return "not known" if not said or said.startswith(NNUNET_DEFAULT) else " ".join(said.split()).rstrip(".")


def described(dataset: Mapping[str, Any], key: str) -> str:
    """The same behind a name; nothing where it is not known."""
    said = known(dataset, key)
    return "" if said == "not known" else f", {said}"


def validated_scores(model_folder: Path, folds: Sequence[int | str]) -> CardScores:
    """Scores of the cases that the exported folds were validated on, with their intervals over patients or cases."""
    labelling = read_labelling(model_folder / "dataset.json")
    raw = folder_variable("nnUNet_raw")
    patient_of = read_column(raw / model_folder.parent.name, "patient") if raw else {}
    rows, missing = [], []
    for fold in folds:
        path = model_folder / f"fold_{fold}" / SUMMARY
        if str(fold) == "all" or not path.is_file():  # fold all validates on the cases that it was trained on
            missing.append(str(fold))
            continue
        entries = {validated_case(entry, labelling.file_ending): entry for entry in validated_entries(path.parents[1])}
        for case, entry in entries.items():
            for region, metrics in named_regions(entry["metrics"], labelling, path).items():
                rows.append({"method": "", "case": case, "region": region, "patient": patient_of.get(case, case)}
                            | {count: metrics[count] for count in COUNTS})  # fmt: skip
    if not rows:
        return CardScores(pd.DataFrame(), 0, None, tuple(missing))
    # a summary has no distances: scores of voxel counts alone are asked for
    counted = pd.DataFrame(rows).assign(surface_distance_mm=float("nan"), voxel_ml=1.0, diagonal_mm=float("nan"))
    scores = add_scores(counted, EmptyPolicy.NNUNET)
    cases, patients = scores["case"].nunique(), scores["patient"].nunique()
    table = summarise(scores, chosen=TABLE_1)
    return CardScores(table, cases, patients if patients < cases else None, tuple(missing))


def scores_text(scores: CardScores, checkpoint: str) -> str:
    """The table of scores with the lines around it."""
    if "all" in scores.missing:
        return "None: fold all is trained on every case, and none is left to measure on.\n"
    if scores.table.empty:
        return "None: no exported fold was validated.\n"
    units = f"case{'s' * (scores.cases != 1)}" if scores.patients is None else f"patients ({scores.cases} scans)"
    number = scores.cases if scores.patients is None else scores.patients
    lines = [
        f"Means over {number} {units}, each measured by the fold that was not trained on it, with 95 % intervals",
        f"where there are {FEWEST} or more (Student's, inside the score's range). A missed region scores 0; a case",
        "without it, and without a prediction of it, is left out.",
        "",
        "| region | " + " | ".join(score.title for score in TABLE_1) + " |",
        "| --- |" + " --- |" * len(TABLE_1),
    ]
    for region, part in scores.table.groupby("region", sort=False):
        of_score = part.set_index("score")
        cells = [interval_text(of_score.loc[score.column], score.decimals) for score in TABLE_1]
        lines.append(f"| {region} | {' | '.join(cells)} |")
    notes = [f"Fold {', '.join(scores.missing)}: not validated."] if scores.missing else []
    if checkpoint != VALIDATED:
        notes.append(f"nnU-Net validates with {VALIDATED} unless told otherwise; these weights are of {checkpoint}.")
    return "\n".join([*lines, *(["", *notes] if notes else []), ""])


def interval_text(row: pd.Series, decimals: int) -> str:
    """E.g. `0.712 (0.650 to 0.760)`; the mean alone where there is no interval."""
    if pd.isna(row["mean"]):
        return "not defined"
    mean, low, high = (f"{row[name]:.{decimals}f}" for name in ("mean", "mean_low", "mean_high"))
    return mean if pd.isna(row["mean_low"]) else f"{mean} ({low} to {high})"
