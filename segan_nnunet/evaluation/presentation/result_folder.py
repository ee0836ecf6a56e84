"""The folder of a comparison: tables, statistics, pictures and the report."""

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
from segan_nnunet.evaluation.statistics.training_cost import EQUAL, cost_column, cost_notes, equal_time

CASE_COLUMNS = ("method", "fold", "grade", "patient", "case", "region", "TP", "FP", "FN", "TN")
# what `compare` writes
OURS = re.compile(
    rf"({'|'.join(table_names())})(_.+)?\.(md|tex|csv)"
    r"|(tests|cases|seeds|training|missed_and_false)\.csv|report\.html|ranking\.(md|csv)"
    r"|(figure2|figure3|distributions|equivalence|ranking|volumes|training_curves)\.(png|pdf)"
    rf"|{CASES_FOLDER}"
)
EQUAL_TIME = (
    f"The rows of Table 1 whose training took as long as the fastest of them, within {EQUAL:.0%}; what is tested, and "
    "Holm's correction, are Table 1's."
)
STEPS = 6  # of write_comparison, for the progress bar


@dataclass(frozen=True)
class Comparison:
    """What `compare` wrote: Table 1 in Markdown, and the files."""

    table: str
    files: list[Path]


def write_comparison(compared: MethodsOnCases, scores: pd.DataFrame, folder: Path, settings: Settings) -> Comparison:
    """Write everything that follows from the scores into a folder.

    Args:
        compared: the methods and the cases.
        scores: as `MethodsOnCases.complete` returns them, one row per method, seed, case and region.
        folder: an empty one; it is made where it is missing.
        settings: how to compare.
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


def own_folder(folder: Path, methods: Sequence[str]) -> Path:
    """Return the folder, or FOLDER_2 and so on: the first that holds no comparison of other methods than these.

    So one of more methods takes the place of an earlier one, as a grid grows, and one of others does not.
    """
    candidate = folder
    for number in itertools.count(2):
        if compared_methods(candidate) <= set(methods):
            break
        candidate = folder.with_name(f"{folder.name}_{number}")
    return candidate


def compared_methods(folder: Path) -> set[str]:
    """Return the methods of the comparison in a folder; none where there is none, or a damaged one."""
    try:
        return set(pd.read_csv(folder / "table1.csv", dtype=str)["method"])
    except (OSError, ValueError, KeyError):
        return set()


def files_of_comparison(folder: Path) -> set[Path]:
    """Return what is named like a file of a comparison in a folder, and the folder of its cases."""
    cases = folder / CASES_FOLDER
    shown = [cases, *cases.glob("*.js")] if cases.is_dir() else []
    return {path for path in folder.iterdir() if OURS.fullmatch(path.name) and path.is_file()} | set(shown)


def earlier_comparison(folder: Path) -> set[Path]:
    """Return what an earlier comparison wrote into a folder that the user chose.

    A file named like one of a comparison is the user's where the folder holds no comparison, or where it is a table of
    something else, such as the cases.csv of a dataset.
    """
    if not (compared_methods(folder) and (folder / "report.html").is_file()):
        return set()
    return {path for path in files_of_comparison(folder) if path.suffix != ".csv" or has_methods(path)}


def has_methods(table: Path) -> bool:
    """Return whether a CSV file has a column of methods, as all that a comparison writes."""
    try:
        return "method" in pd.read_csv(table, nrows=0)
    except (OSError, ValueError):
        return False


def write_statistics(conclusions: Conclusions, folder: Path) -> list[Path]:
    """Write the CSV files."""
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
    """Return the tables of all cases and of each grade, by the names of their files."""
    settings, summary, tests = conclusions.settings, conclusions.summary, conclusions.tests
    training = cost_column(conclusions.costs)
    tables: dict[str, Table] = {}
    for stratum, part in strata(conclusions.scores).items():
        grade = "" if stratum == ALL_CASES else stratum
        suffix = f"_{as_file_name(grade)}" if grade else ""
        while f"table1{suffix}" in tables:  # of "II/III" and "II_III"
            suffix += "_"
        sizes = tests.loc[tests["stratum"] == stratum, "family"].value_counts()
        # the smallest p, which is counted from them, is Wilcoxon's
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
    for number, group in enumerate(equal_time_groups(conclusions), start=1):
        own, own_tests = (table[table["method"].isin(group)] for table in (summary, tests))
        tables[f"table1_equal_time{number}"] = build_table(
            "Table 1 at equal time of training", own, own_tests[own_tests["baseline"].isin(group)], TABLE_1,
            conclusions.regions, [EQUAL_TIME], ALL_CASES, spread=settings.spread,
            training={name: training[name] for name in group},
        )  # fmt: skip
    return tables


def equal_time_groups(conclusions: Conclusions) -> list[list[str]]:
    """Return the methods that Table 1 compares at equal time; none where all trainings took equally long."""
    return [group for group in equal_time(conclusions.costs) if len(group) < len(conclusions.compared.methods)]


def as_file_name(text: str) -> str:
    """Return a text without the characters that a file's name may not have, such as those of a grade "II/III"."""
    return re.sub(r"[^\w.-]+", "_", text)


def write_tables(tables: dict[str, Table], folder: Path) -> list[Path]:
    """Write every table in Markdown and LaTeX."""
    files = []
    for name, table in tables.items():
        caption = f"{table.title}: {', '.join(score.title for score in table.scores)} by region."
        for ending, text in ((".md", markdown(table)), (".tex", latex(table, caption, f"tab:{name}"))):
            files.append(folder / f"{name}{ending}")
            files[-1].write_text(text, encoding="utf-8")
    return files
