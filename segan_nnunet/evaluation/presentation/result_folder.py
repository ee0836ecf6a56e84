"""Write the folder of a comparison: tables, statistics, pictures and the report."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from segan_nnunet.data.progress import progress_bar
from segan_nnunet.evaluation.conclusions import Conclusions
from segan_nnunet.evaluation.methods.methods_on_cases import MethodsOnCases
from segan_nnunet.evaluation.presentation import figures
from segan_nnunet.evaluation.presentation.report.page import write_report
from segan_nnunet.evaluation.presentation.report.slices import CASES_FOLDER, write_case_files
from segan_nnunet.evaluation.presentation.shown_cases import chosen_cases, load_case, ranked_cases
from segan_nnunet.evaluation.presentation.table import Table, build_table, latex, markdown, ranking_markdown
from segan_nnunet.evaluation.presentation.table_notes import comparison_notes
from segan_nnunet.evaluation.scores.score_tables import DETECTION, ScoreTable, table_names
from segan_nnunet.evaluation.scores.scores import TABLE_1
from segan_nnunet.evaluation.scores.seeds import has_seeds
from segan_nnunet.evaluation.settings import Settings
from segan_nnunet.evaluation.statistics.paired import PRIMARY
from segan_nnunet.evaluation.statistics.summary import ALL_CASES, missed_and_false, missed_note, pooled_f1_note, strata
from segan_nnunet.evaluation.statistics.training_cost import TIME_TOLERANCE, cost_column, cost_notes, equal_time

CASE_COLUMNS = ("method", "fold", "grade", "patient", "case", "region", "TP", "FP", "FN", "TN")
# names of the files that `compare` writes
FILE_NAMES = re.compile(
    rf"({'|'.join(table_names())})(_.+)?\.(md|tex|csv)"
    r"|(tests|cases|seeds|training|missed_and_false)\.csv|report\.html|ranking\.(md|csv)"
    r"|(figure2|figure3|distributions|equivalence|ranking|volumes|training_curves)\.(png|pdf)"
    rf"|{CASES_FOLDER}"
)
EQUAL_TIME_NOTE = (
    f"The rows of Table 1 whose training took as long as the fastest of them, within {TIME_TOLERANCE:.0%}. The tests "
    "and Holm's correction are those of Table 1."
)
STEPS = 6  # of the progress bar in write_comparison


@dataclass(frozen=True)
class Comparison:
    """The output of `compare`: Table 1 in Markdown, and the files."""

    table: str
    files: list[Path]


def write_comparison(compared: MethodsOnCases, scores: pd.DataFrame, folder: Path, settings: Settings) -> Comparison:
    """Write the results of a comparison into a folder.

    Args:
        compared: the methods and the cases.
        scores: the result of `MethodsOnCases.complete`, one row per method, seed, case and region.
        folder: an empty or missing folder.
        settings: the settings of the comparison.
    """
    folder.mkdir(parents=True, exist_ok=True)
    regions = compared.labelling.regions
    with progress_bar("statistics and pictures", STEPS) as advance:
        conclusions = Conclusions(compared, scores, settings)
        means = conclusions.means
        advance()
        tables = build_tables(conclusions)
        files = write_tables(tables, folder) + write_statistics(conclusions, folder)
        advance()
        drawn = figures.draw_statistics(means, conclusions.summary, list(regions), folder)
        drawn += figures.draw_equivalence(conclusions.tests, conclusions.shown_scores, folder)
        if ranking := conclusions.ranking:
            files += [folder / "ranking.csv", folder / "ranking.md"]
            ranking.table.to_csv(files[-2], index=False)
            files[-1].write_text(ranking_markdown(ranking), encoding="utf-8")
            drawn += figures.draw_ranking(ranking, folder)
        advance()
        chosen = chosen_cases(means)
        shown = [load_case(compared, means, case, rank) for rank, case in chosen.items()]
        others = [case for case in ranked_cases(means) if case not in chosen.values()] if chosen else []
        others = sorted(others[len(others) - min(settings.viewer_cases, len(others)) :])
        drawn += figures.draw_cases(shown, regions, folder)
        advance()
        drawn += figures.draw_training(compared.methods, list(regions), folder)
        advance()
        files += [*drawn, folder / "report.html"]
        write_report(files[-1], conclusions, tables, shown, others, drawn)
        advance()
    outermost = next(iter(regions.values()))
    files += write_case_files(
        folder, others, lambda case: load_case(compared, means, case, ""), outermost, settings.processes
    )
    return Comparison(markdown(tables["table1"]), files)


def unused_folder(folder: Path, methods: Sequence[str]) -> Path:
    """Return the first of FOLDER, FOLDER_2 and so on that holds no comparison of methods other than these.

    So a comparison replaces an earlier one of some of its methods, but not one of other methods.
    """
    candidate = folder
    for number in itertools.count(2):
        if compared_methods(candidate) <= set(methods):
            break
        candidate = folder.with_name(f"{folder.name}_{number}")
    return candidate


def compared_methods(folder: Path) -> set[str]:
    """Return the methods of the comparison in a folder; none if there is no comparison, or a damaged one."""
    try:
        return set(pd.read_csv(folder / "table1.csv", dtype=str)["method"])
    except (OSError, ValueError, KeyError):
        return set()


def files_of_comparison(folder: Path) -> set[Path]:
    """Return the files of a folder that are named like those of a comparison, and the files of its cases."""
    cases = folder / CASES_FOLDER
    shown = [cases, *cases.glob("*.js")] if cases.is_dir() else []
    return {path for path in folder.iterdir() if FILE_NAMES.fullmatch(path.name) and path.is_file()} | set(shown)


def earlier_comparison(folder: Path) -> set[Path]:
    """Return the files that an earlier comparison wrote into a folder of the user's choice.

    Files with such names belong to the user if the folder holds no comparison, or if they are tables without methods,
    such as the cases.csv of a dataset.
    """
    if not (compared_methods(folder) and (folder / "report.html").is_file()):
        return set()
    return {path for path in files_of_comparison(folder) if path.suffix != ".csv" or has_methods(path)}


def has_methods(table: Path) -> bool:
    """Return whether a CSV file has a column of methods, as all CSV files of a comparison have."""
    try:
        return "method" in pd.read_csv(table, nrows=0)
    except (OSError, ValueError):
        return False


def write_statistics(conclusions: Conclusions, folder: Path) -> list[Path]:
    """Write the CSV files. Return them."""
    tables = {
        "table1": conclusions.summary,
        "tests": conclusions.tests,
        "cases": conclusions.means[case_columns(conclusions.tables)],
        "seeds": conclusions.seeds,
        "training": conclusions.costs,
        "missed_and_false": conclusions.missed,
    }
    files = []
    for name, table in tables.items():
        if len(table) or name == "tests":
            files.append(folder / f"{name}.csv")
            table.to_csv(files[-1], index=False)
    return files


def case_columns(tables: Sequence[ScoreTable]) -> list[str]:
    """Return the columns of cases.csv."""
    columns = (score.column for table in tables for score in table.scores)
    return [*CASE_COLUMNS, *columns, "prediction_ml", "reference_ml"]


def build_tables(conclusions: Conclusions) -> dict[str, Table]:
    """Return the tables of all cases and of each grade, by file name."""
    settings, summary, tests = conclusions.settings, conclusions.summary, conclusions.tests
    training = cost_column(conclusions.costs)
    tables: dict[str, Table] = {}
    for stratum, part in strata(conclusions.scores).items():
        grade = "" if stratum == ALL_CASES else stratum
        suffix = f"_{as_file_name(grade)}" if grade else ""
        while f"table1{suffix}" in tables:  # if there are grades "II/III" and "II_III"
            suffix += "_"
        sizes = tests.loc[tests["stratum"] == stratum, "family"].value_counts()
        # with seeds the test is not Wilcoxon's, so there is no smallest p
        comparisons = 0 if sizes.empty or has_seeds(part) else sizes.get(PRIMARY, sizes.min())
        notes = comparison_notes(conclusions, part, comparisons, grade)
        notes += [missed_note(missed_and_false(part)), *cost_notes(conclusions.costs, conclusions.baseline)]
        for table in conclusions.tables:
            is_table_1 = table.scores is TABLE_1
            own = [*table.definitions, *([pooled_f1_note(part)] if table.name == DETECTION else [])]
            tables[f"{table.name}{suffix}"] = build_table(
                f"{table.title}, grade {grade}" if grade else table.title,
                summary, tests, table.scores, conclusions.regions, [*own, *notes], stratum,
                settings.published and not grade and is_table_1, settings.spread, training if is_table_1 else {},
            )  # fmt: skip
    groups = [group for group in equal_time(conclusions.costs) if len(group) < len(conclusions.compared.methods)]
    for number, group in enumerate(groups, start=1):
        own, own_tests = (table[table["method"].isin(group)] for table in (summary, tests))
        tables[f"table1_equal_time{number}"] = build_table(
            "Table 1 at equal time of training", own, own_tests[own_tests["baseline"].isin(group)], TABLE_1,
            conclusions.regions, [EQUAL_TIME_NOTE], ALL_CASES, spread=settings.spread,
            training={name: training[name] for name in group},
        )  # fmt: skip
    return tables


def as_file_name(text: str) -> str:
    """Replace the characters that a file name may not have, such as the slash of a grade "II/III"."""
    return re.sub(r"[^\w.-]+", "_", text)


def write_tables(tables: dict[str, Table], folder: Path) -> list[Path]:
    """Write every table in Markdown and LaTeX. Return the files."""
    files = []
    for name, table in tables.items():
        caption = f"{table.title}: {', '.join(score.title for score in table.scores)} by region."
        for ending, text in ((".md", markdown(table)), (".tex", latex(table, caption, f"tab:{name}"))):
            files.append(folder / f"{name}{ending}")
            files[-1].write_text(text, encoding="utf-8")
    return files
