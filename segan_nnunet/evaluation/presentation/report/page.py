"""The page: tables, statistics in words, pictures, viewer, and how it was made."""

import base64
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from segan_nnunet.evaluation.conclusions import Conclusions
from segan_nnunet.evaluation.presentation.figures import CAPTIONS
from segan_nnunet.evaluation.presentation.figures.style import PRINT_DPI, SCREEN_DPI
from segan_nnunet.evaluation.presentation.report.slices import CASES_FOLDER, viewer_data
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase
from segan_nnunet.evaluation.presentation.table import TRAINING, Table
from segan_nnunet.evaluation.scores.scores import SCORES
from segan_nnunet.evaluation.statistics.intervals import RESAMPLES, SEED
from segan_nnunet.evaluation.statistics.sentences import count_findings, family_note, sentences
from segan_nnunet.evaluation.statistics.summary import ALL_CASES

PACKAGES = ("segan-nnunet", "nnunetv2", "torch", "SimpleITK", "numpy", "scipy", "statsmodels", "pandas", "matplotlib")
RANDOM = f"places in the ranking: {RESAMPLES} resamples, seed {SEED}; nothing else in the comparison is random"


def write_report(
    path: Path,
    conclusions: Conclusions,
    tables: Mapping[str, Table],
    shown: Sequence[ShownCase],
    others: Sequence[str],
    pictures: Sequence[Path],
) -> None:
    """Write one file that holds everything, and loads nothing but the further cases that the reader opens.

    Args:
        path: of the page.
        conclusions: of the comparison.
        tables: by name, Table 1 first.
        shown: cases for the viewer, embedded.
        others: names of further cases that the viewer can open, from files beside the page.
        pictures: files that were drawn; those in PNG are shown.
    """
    compared, tests = conclusions.compared, conclusions.tests
    regions, shown_scores = conclusions.regions, conclusions.shown_scores
    strata = [ALL_CASES] + sorted(set(tests["stratum"]) - {ALL_CASES}) if len(tests) else []
    folder = files(__package__)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    page = environment.from_string((folder / "report.html.jinja").read_text(encoding="utf-8"))
    text = page.render(
        title=compared.title,
        style=(folder / "report.css").read_text(encoding="utf-8"),
        viewer=(folder / "viewer.js").read_text(encoding="utf-8"),
        tables=tables,
        training=TRAINING,
        family=family_note(tests, shown_scores) if strata else "",
        counted=count_findings(tests) if strata else "",
        primary=sentences(tests, regions, ALL_CASES, True, shown_scores) if strata else [],
        exploratory={stratum: sentences(tests, regions, stratum, False, shown_scores) for stratum in strata},
        intervals=intervals(conclusions.summary),
        pictures=[(CAPTIONS[file.stem], *embed(file)) for file in pictures if file.suffix == ".png"],
        case_list=(folder / "case_list.js").read_text(encoding="utf-8"),
        case_data=as_json(case_list_data(conclusions.means)),
        data=as_json(viewer_data(shown, compared.labelling.regions)),
        shown={case.case_id: f"{case.case_id} ({case.rank})" for case in shown},
        others=others,
        folder=CASES_FOLDER,
        command=conclusions.settings.command,
        versions=versions(),
        random=RANDOM,
        methods={method: first.origin for method, first in compared.methods.items()},
    )
    path.write_text(text, encoding="utf-8")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a comparison rests on."""
    installed = {"Python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):  # run from a folder of sources
            installed[package] = version(package)
    return installed


def case_list_data(scores: pd.DataFrame) -> dict[str, Any]:
    """Return everything that the list of cases, which sorts and filters, needs, fit for JSON.

    Args:
        scores: one row per method, case and region; fold and grade where they are known.

    Returns:
        methods, regions, scores (title and decimals of each), about (names of what is known of a case), cases (each its
        name and that), and `values[score][region][case][method]`, None where a score is undefined.
    """
    methods, regions = list(scores["method"].unique()), list(scores["region"].unique())
    of_case = scores.drop_duplicates("case").set_index("case").sort_index()
    about = [name for name in ("fold", "grade") if name in of_case and of_case[name].replace("", pd.NA).notna().any()]
    known = of_case[about].astype("string").fillna("")
    values = []
    for score in SCORES:
        table = scores.pivot(index="case", columns=["region", "method"], values=score.column).round(score.decimals)
        parts = (table[region][methods] for region in regions)
        values.append([part.astype(object).where(np.isfinite(part), None).to_numpy().tolist() for part in parts])
    return {
        "methods": methods,
        "regions": regions,
        "scores": [{"title": score.title, "decimals": score.decimals} for score in SCORES],
        "about": about,
        "cases": [[case, *row] for case, row in zip(of_case.index, known.to_numpy().tolist(), strict=True)],
        "values": values,
    }


def as_json(data: Mapping[str, Any]) -> str:
    """Return data as text in which "<" cannot end the script that holds it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def intervals(summary: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return rows of the table of means and medians with their intervals, as text."""
    rows = []
    for row in summary.itertuples():
        mean = f"{row.mean:.3f} [{row.mean_low:.3f}, {row.mean_high:.3f}]"
        median = f"{row.median:.3f} [{row.median_low:.3f}, {row.median_high:.3f}]"
        rows.append((row.stratum, row.method, row.score, row.region, str(row.cases), *blank_nan(mean, median)))
    return rows


def blank_nan(*texts: str) -> list[str]:
    """Write undefined numbers as a dash."""
    return [text.replace("[nan, nan]", "").replace("nan", "–") for text in texts]


def embed(picture: Path) -> tuple[str, int]:
    """Return a picture as a data URL, and the width in pixels at which the screen shows it in its size on paper."""
    with Image.open(picture) as opened:
        width = round(opened.width * SCREEN_DPI / PRINT_DPI)
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode(), width
