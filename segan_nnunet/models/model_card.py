"""Write the model card of an exported model: data, training, scores, intended use and limits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from segan_nnunet.data.case_table import read_column
from segan_nnunet.data.environment import folder_variable
from segan_nnunet.data.labelling import read_labelling
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.scores import COUNTS, TABLE_1, add_scores
from segan_nnunet.evaluation.statistics.intervals import FEWEST_UNITS
from segan_nnunet.evaluation.statistics.summary import summarise
from segan_nnunet.folds.state import FINAL, SUMMARY, validated_metrics
from segan_nnunet.trainer_names import model_parts
from segan_nnunet.validations.trained_models import named_regions

CARD = "MODEL_CARD.md"
FEW_CASES = 100
NNUNET_DEFAULT = "Whoever converted this dataset was lazy"  # nnU-Net's text for a missing reference or licence
UNKNOWN = "not known"


def model_card(model_folder: Path, folds: Sequence[int | str], dataset: Mapping[str, Any], checkpoint: str) -> str:
    """Return the card in Markdown. It names no case and no path.

    Args:
        model_folder: nnU-Net's folder of the trained model, in its dataset's folder of nnUNet_results.
        folds: the exported folds.
        dataset: the model's dataset.json.
        checkpoint: name of the exported checkpoint.

    Raises:
        InputError: a summary of a validation has regions that dataset.json does not define.
    """
    model = model_parts(model_folder.name)
    name = model_folder.parent.name
    number = int(dataset.get("numTraining") or 0)
    channels = ", ".join(str(channel) for channel in (dataset.get("channel_names") or {}).values())
    regions = ", ".join(region for region in dataset["labels"] if region not in ("background", "ignore"))
    description = known(dataset, "description")
    few = f" It has seen only {number} cases. Possibly none of them resembles yours." if 0 < number < FEW_CASES else ""
    return f"""# {model}

A model for nnU-Net v2, exported with segan-nnunet.

## Data

- Dataset: {name}{"" if description == UNKNOWN else f", {description}"}
- Cases with a reference: {number or UNKNOWN}
- Channels: {channels or UNKNOWN}
- Regions or labels: {regions}
- Reference: {known(dataset, "reference")}
- Licence of the data: {known(dataset, "licence", "license")}. It may bind this model too.

## Training

- Trainer: {model.trainer}
- Plans and configuration: {model.plans}, {model.configuration}
- Folds: {", ".join(map(str, folds))}
- Weights: {checkpoint}

## Scores

{scores_text(model_folder, folds, checkpoint)}
## Intended use

Research. The model is no medical device and not for clinical use: do not base a diagnosis or treatment on it.

## Limits

- The model has seen {name} only. Other scanners, protocols, diseases, ages and kinds of preparation may give other
  results.{few}
- The scores are of cases from the same dataset, not from elsewhere.
- The model needs all channels, in the order above. It does not say how sure it is.
"""


def known(dataset: Mapping[str, Any], *keys: str) -> str:
    """Return the value of the first key that a dataset.json has, in one line; `not known` if it has none."""
    value = next((str(dataset[key]) for key in keys if dataset.get(key)), "")
    return UNKNOWN if not value or value.startswith(NNUNET_DEFAULT) else " ".join(value.split()).rstrip(".")


def scores_text(model_folder: Path, folds: Sequence[int | str], checkpoint: str) -> str:
    """Return the table of scores of the exported folds, with notes around it; arguments as for `model_card`."""
    if "all" in map(str, folds):
        return "None: fold all is trained on every case, so no case is left to measure on.\n"
    validated = [fold for fold in folds if (model_folder / f"fold_{fold}" / SUMMARY).is_file()]
    scores = validation_scores(model_folder, validated)
    if scores.empty:
        return "None: no exported fold was validated.\n"
    cases, patients = scores["case"].nunique(), scores["patient"].nunique()
    units = f"{patients} patients ({cases} scans)" if patients < cases else f"{cases} case{'s' * (cases != 1)}"
    lines = [
        f"Means over {units}, each measured by the fold that was not trained on it, with 95 % intervals",
        f"of means over at least {FEWEST_UNITS} (Student's, inside the score's range). A missed region scores 0. A",
        "case is left out for a region that neither the reference nor the prediction has.",
        "",
        "| region | " + " | ".join(score.title for score in TABLE_1) + " |",
        "| --- |" + " --- |" * len(TABLE_1),
    ]
    for region, part in summarise(scores, chosen=TABLE_1).groupby("region", sort=False):
        of_score = part.set_index("score")
        cells = [interval_text(of_score.loc[score.column], score.decimals) for score in TABLE_1]
        lines.append(f"| {region} | {' | '.join(cells)} |")
    notes = []
    if missing := [str(fold) for fold in folds if fold not in validated]:
        notes.append(f"Fold {', '.join(missing)}: not validated.")
    if checkpoint != FINAL:
        notes.append(f"nnU-Net validates with {FINAL} by default, but these weights are of {checkpoint}.")
    return "\n".join([*lines, *(["", *notes] if notes else []), ""])


def validation_scores(model_folder: Path, folds: Sequence[int | str]) -> pd.DataFrame:
    """Return a row of scores per case and region that validated folds have; their patients where they are known."""
    labelling = read_labelling(model_folder / "dataset.json")
    raw = folder_variable("nnUNet_raw")
    patient_of = read_column(raw / model_folder.parent.name, "patient") if raw else {}
    rows = []
    for fold in (model_folder / f"fold_{fold}" for fold in folds):
        for file, metrics in validated_metrics(fold).items():
            case = file.removesuffix(labelling.file_ending)
            for region, values in named_regions(metrics, labelling, fold / SUMMARY).items():
                rows.append({"method": "", "case": case, "region": region, "patient": patient_of.get(case, case)}
                            | {count: values[count] for count in COUNTS})  # fmt: skip
    # Table 1's scores need no voxel size, and a summary has none
    return add_scores(pd.DataFrame(rows).assign(voxel_ml=1.0), EmptyPolicy.NNUNET) if rows else pd.DataFrame()


def interval_text(row: pd.Series, decimals: int) -> str:
    """Return a mean with its interval, such as `0.712 (0.650 to 0.760)`; the mean alone if there is no interval."""
    if pd.isna(row["mean"]):
        return "not defined"
    mean, low, high = (f"{row[name]:.{decimals}f}" for name in ("mean", "mean_low", "mean_high"))
    return mean if pd.isna(row["mean_low"]) else f"{mean} ({low} to {high})"
