"""Write the page: tables, statistics in sentences, pictures, viewer, and the origin of the results."""

import base64
import json
import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from segan_nnunet.evaluation.conclusions import Conclusions
from segan_nnunet.evaluation.presentation.conclusion import conclusion, name_methods, ranking_sentence
from segan_nnunet.evaluation.presentation.figures import CAPTIONS
from segan_nnunet.evaluation.presentation.figures.style import PRINT_DPI, SCREEN_DPI
from segan_nnunet.evaluation.presentation.report.rows import (
    COMPARISON_HEAD,
    SUMMARY_HEAD,
    comparison_rows,
    summary_rows,
)
from segan_nnunet.evaluation.presentation.report.slices import CASES_FOLDER, viewer_data
from segan_nnunet.evaluation.presentation.shown_cases import ShownCase
from segan_nnunet.evaluation.presentation.table import TRAINING, Table, ranking_tables
from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.statistics.intervals import RESAMPLES, SEED
from segan_nnunet.evaluation.statistics.paired import PRIMARY
from segan_nnunet.evaluation.statistics.sentences import family_note, sentences
from segan_nnunet.evaluation.statistics.summary import ALL_CASES
from segan_nnunet.evaluation.wording import amount

PACKAGES = ("segan-nnunet", "nnunetv2", "torch", "SimpleITK", "numpy", "scipy", "statsmodels", "pandas", "matplotlib")
NARROW = 9  # columns of a table; wider tables are transposed to fit a page
RANDOM = f"places in the ranking: {RESAMPLES} resamples, seed {SEED}; nothing else in the comparison is random"


def write_report(
    path: Path,
    conclusions: Conclusions,
    tables: Mapping[str, Table],
    shown: Sequence[ShownCase],
    others: Sequence[str],
    pictures: Sequence[Path],
) -> None:
    """Write one file that needs no other files, except for the further cases that the reader opens.

    Args:
        path: file of the page.
        conclusions: the results of the comparison.
        tables: the tables by name, Table 1 first.
        shown: the cases that are embedded in the viewer.
        others: names of further cases that the viewer can open, from files in the folder of the page.
        pictures: files of the pictures; those in PNG are shown.
    """
    compared, tests, summary = conclusions.compared, conclusions.tests, conclusions.summary
    shown_scores, ranking = conclusions.shown_scores, conclusions.ranking
    strata = list(summary["stratum"].unique())  # all cases first

    def sentences_and_rows(stratum: str, primary: bool) -> tuple[list[str], Mapping[str, list[list[str]]]]:
        chosen = tests[(tests["stratum"] == stratum) & ((tests["family"] == PRIMARY) == primary)]
        return sentences(chosen, shown_scores), comparison_rows(chosen, shown_scores)

    folder = files(__package__)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["breakable"] = breakable
    page = environment.from_string((folder / "report.html.jinja").read_text(encoding="utf-8"))
    text = page.render(
        title=compared.title,
        cases=amount(conclusions.means["case"].nunique(), "case"),
        names=name_methods(list(compared.methods)),
        conclusion=conclusion(conclusions),
        style=(folder / "report.css").read_text(encoding="utf-8"),
        viewer=(folder / "viewer.js").read_text(encoding="utf-8"),
        tables=tables,
        strata=strata,
        narrow=NARROW,
        training=TRAINING,
        family=family_note(tests, shown_scores) if len(tests) else "",
        primary=sentences_and_rows(ALL_CASES, True),
        exploratory={stratum: sentences_and_rows(stratum, False) for stratum in strata},
        comparison_head=COMPARISON_HEAD,
        summaries={name: summary_rows(summary[summary["stratum"] == name], shown_scores) for name in strata},
        summary_head=SUMMARY_HEAD,
        ranking=ranking_tables(ranking) if ranking else [],
        ranking_notes=[ranking_sentence(ranking), *ranking.notes] if ranking else [],
        pictures=[(CAPTIONS[file.stem], *embed(file)) for file in pictures if file.suffix == ".png"],
        case_list=(folder / "case_list.js").read_text(encoding="utf-8"),
        case_data=as_json(case_list_data(conclusions.means, shown_scores)),
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
    """Return the versions of Python and of the packages that a comparison uses."""
    installed = {"Python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):  # not installed, such as in a folder of sources
            installed[package] = version(package)
    return installed


def case_list_data(scores: pd.DataFrame, shown: Sequence[Score]) -> dict[str, Any]:
    """Return the data of the sortable list of cases, for JSON.

    Args:
        scores: one row per method, case and region, with fold and grade if they are known.
        shown: the scores to list.

    Returns:
        methods, regions, scores (title and decimals of each), about (which of fold and grade are known), cases (the
        name of each, with fold and grade), and `values[score][region][case][method]`, None if a score is undefined.
    """
    methods, regions = list(scores["method"].unique()), list(scores["region"].unique())
    of_case = scores.drop_duplicates("case").set_index("case").sort_index()
    about = [name for name in ("fold", "grade") if name in of_case and of_case[name].replace("", pd.NA).notna().any()]
    known = of_case[about].astype("string").fillna("")
    values = []
    for score in shown:
        table = scores.pivot(index="case", columns=["region", "method"], values=score.column).round(score.decimals)
        parts = (table[region][methods] for region in regions)
        values.append([part.astype(object).where(np.isfinite(part), None).to_numpy().tolist() for part in parts])
    return {
        "methods": methods,
        "regions": regions,
        "scores": [{"title": score.title, "decimals": decimals(scores[score.column], score)} for score in shown],
        "about": about,
        "cases": [[case, *row] for case, row in zip(of_case.index, known.to_numpy().tolist(), strict=True)],
        "values": values,
    }


def decimals(values: pd.Series, score: Score) -> int:
    """Return the decimals in the list of cases: none if all values are whole, such as numbers of lesions."""
    return 0 if (values.dropna() % 1 == 0).all() else score.decimals


def breakable(name: str) -> Markup:
    """Return a name that a narrow column may break before its words, as in UNet|Softmax|Trainer."""
    return Markup("<wbr>").join(re.split(r"(?<=[A-Za-z]{4})(?=[A-Z][a-z])|(?<=[_/-])", name))


def as_json(data: Mapping[str, Any]) -> str:
    """Return data as JSON in which no "<" can end the surrounding script."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def embed(picture: Path) -> tuple[str, int]:
    """Return a picture as a data URL, and its width in pixels for its size on paper."""
    with Image.open(picture) as opened:
        width = round(opened.width * SCREEN_DPI / PRINT_DPI)
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode(), width
