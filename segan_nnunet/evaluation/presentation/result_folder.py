"""What a comparison leaves behind: tables, statistics, pictures and the report."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from segan_nnunet.data.progress import progress_bar
from segan_nnunet.evaluation.methods.method import Contest
from segan_nnunet.evaluation.methods.training_cost import EQUAL, add_cost_ratios, cost_column, cost_notes, equal_time
from segan_nnunet.evaluation.presentation import figures
from segan_nnunet.evaluation.presentation.report.page import write_report
from segan_nnunet.evaluation.presentation.report.slices import CASES_FOLDER, write_case_files
from segan_nnunet.evaluation.presentation.score_tables import ScoreTable, score_tables
from segan_nnunet.evaluation.presentation.shown_cases import chosen_cases, load_case, ranked_cases
from segan_nnunet.evaluation.presentation.table import Table, build_table, latex, markdown, ranking_markdown
from segan_nnunet.evaluation.presentation.table_notes import contest_notes
from segan_nnunet.evaluation.scores.definitions import DEFAULT_MEASURES, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.scores import DICE, TABLE_1
from segan_nnunet.evaluation.statistics.paired import PRIMARY, paired_tests
from segan_nnunet.evaluation.statistics.ranking import FEWEST_METHODS, rank
from segan_nnunet.evaluation.statistics.summary import ALL_CASES, missed_and_false, missed_note, strata, summarise

CASE_COLUMNS = ("method", "fold", "grade", "patient", "case", "region", "TP", "FP", "FN", "TN")
# what `compare` writes
OURS = re.compile(
    r"(table1|further_scores|surface_scores|lesion_scores)(_.+)?\.(md|tex|csv)"
    r"|(tests|cases|seeds|training|missed_and_false)\.csv|report\.html|ranking\.(md|csv)"
    r"|(figure2|figure3|distributions|ranking|volumes|training_curves)\.(png|pdf)"
    rf"|{CASES_FOLDER}"
)
EQUAL_TIME = (
    f"The rows of Table 1 whose training took as long as the fastest of them, within {EQUAL:.0%}; what is tested, and "
    "Holm's correction, are Table 1's."
)
DEFAULT_PRIMARY = (DICE.column,)
VIEWER_CASES = 20  # that the report's viewer can open
STEPS = 7  # of write_files, for the progress bar


@dataclass(frozen=True)
class Comparison:
    """What `compare` made: Table 1 in Markdown, and the files it wrote."""

    table: str
    files: list[Path]


@dataclass(frozen=True)
class Settings:
    """How to compare.

    Attributes:
        policy: what empty masks score.
        baseline: the method that the others are tested against; by default the first.
        published: append the paper's rows to Table 1.
        intersection: go on with the cases that all methods have.
        processes: that measure in parallel.
        command: the command line, for the report.
        measures: what to measure beside counts.
        all_pairs: test all pairs of methods, not only those with the baseline.
        spread: show means with standard deviations, and medians with quartiles.
        viewer_cases: how many cases, beside the best, median and worst, the report's viewer can open: the worst.
        primary: scores of the primary endpoint, by their columns.
    """

    policy: EmptyPolicy = EmptyPolicy.NNUNET
    baseline: str | None = None
    published: bool = False
    intersection: bool = False
    processes: int | None = None
    command: str = ""
    measures: Measures = DEFAULT_MEASURES
    all_pairs: bool = False
    spread: bool = False
    viewer_cases: int = VIEWER_CASES
    primary: Sequence[str] = DEFAULT_PRIMARY


def write_comparison(contest: Contest, scores: pd.DataFrame, folder: Path, settings: Settings) -> Comparison:
    """Write everything that follows from the scores into a folder.

    Args:
        contest: what was compared.
        scores: as `add_scores` returns them, one row per method, case and region.
        folder: an empty one; it is made where it is missing.
        settings: how to compare.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return Comparison(*write_files(contest, with_cases(contest, scores), folder, settings))


def with_cases(contest: Contest, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with what is known of their cases: fold, grade, patient."""
    folds = {case: fold for method in contest.methods for case, fold in method.folds.items()}
    return scores.assign(
        fold=pd.array([folds.get(case) for case in scores["case"]], dtype="Int64"),
        grade=[contest.grades.get(case, "") for case in scores["case"]],
        patient=[contest.patients.get(case, case) for case in scores["case"]],
    )


def own_folder(folder: Path, methods: Sequence[str]) -> Path:
    """The folder, or FOLDER_2 and so on: the first that holds no comparison of other methods than these.

    So one of more methods takes the place of an earlier one, as a grid grows, and one of others does not.
    """
    candidate = folder
    for number in itertools.count(2):
        if compared_methods(candidate) <= set(methods):
            break
        candidate = folder.with_name(f"{folder.name}_{number}")
    return candidate


def compared_methods(folder: Path) -> set[str]:
    """The methods of the comparison in a folder; none where there is none, or a damaged one."""
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
    """Whether a CSV file has a column of methods, as all that a comparison writes."""
    try:
        return "method" in pd.read_csv(table, nrows=0)
    except (OSError, ValueError):
        return False


def write_files(contest: Contest, scores: pd.DataFrame, folder: Path, settings: Settings) -> tuple[str, list[Path]]:
    """Write tables, statistics, pictures and report into a folder. Returns Table 1 in Markdown, and the files."""
    regions = list(contest.labelling.regions)
    with progress_bar("statistics and pictures", STEPS) as advance:
        wanted = score_tables(settings.measures, scores.columns)
        chosen_scores = {table.name: table.scores for table in wanted}
        titled = [score for table in wanted for score in table.scores]
        summary = summarise(scores, contest.scores_of_seeds, titled)
        advance()
        baseline = settings.baseline or contest.rows[0]
        tests = paired_tests(
            scores, baseline, contest.scores_of_seeds, settings.all_pairs, chosen_scores, settings.primary
        )
        if contest.costs is not None and len(contest.costs):
            tests = add_cost_ratios(tests, contest.costs)
        advance()
        tables = build_tables(contest, scores, summary, tests, settings, wanted)
        files = write_tables(tables, folder)
        for name, table in (("table1", summary), ("tests", tests), ("cases", scores[case_columns(wanted)])):
            files.append(folder / f"{name}.csv")
            table.to_csv(files[-1], index=False)
        missed = missed_and_false(scores, contest.scores_of_seeds)
        for name, further in (("seeds", contest.seeds), ("training", contest.costs), ("missed_and_false", missed)):
            if further is not None and len(further):
                files.append(folder / f"{name}.csv")
                further.to_csv(files[-1], index=False)
        advance()
        drawn = figures.draw_statistics(scores, summary, regions, folder)
        if len(contest.methods) >= FEWEST_METHODS:
            ranking = rank(scores, contest.scores_of_seeds)
            files += [folder / "ranking.csv", folder / "ranking.md"]
            ranking.table.to_csv(files[-2], index=False)
            files[-1].write_text(ranking_markdown(ranking), encoding="utf-8")
            drawn += figures.draw_ranking(ranking, folder)
        advance()
        chosen = chosen_cases(scores)
        shown = [load_case(contest, scores, case, rank) for rank, case in chosen.items()]
        others = [case for case in ranked_cases(scores) if case not in chosen.values()] if chosen else []
        others = sorted(others[len(others) - min(settings.viewer_cases, len(others)) :])
        outermost = next(iter(contest.labelling.regions.values()))
        drawn += figures.draw_cases(shown, contest, folder)
        advance()
        drawn += figures.draw_training(contest.methods, regions, folder)
        advance()
        files += [*drawn, folder / "report.html"]
        write_report(files[-1], contest, tables, summary, tests, scores, shown, others, drawn, settings.command, titled)
        advance()
    files += write_case_files(
        folder, others, lambda case: load_case(contest, scores, case, ""), outermost, settings.processes
    )
    return markdown(tables["table1"]), files


def case_columns(tables: Sequence[ScoreTable]) -> list[str]:
    """Columns of cases.csv."""
    columns = (score.column for table in tables for score in table.scores)
    return [*CASE_COLUMNS, *columns, "prediction_ml", "reference_ml"]


def build_tables(
    contest: Contest,
    scores: pd.DataFrame,
    summary: pd.DataFrame,
    tests: pd.DataFrame,
    settings: Settings,
    wanted: Sequence[ScoreTable],
) -> dict[str, Table]:
    """The wanted tables of all cases and of each grade, by the names of their files."""
    regions = list(contest.labelling.regions)
    training = {} if contest.costs is None else cost_column(contest.costs)
    tables: dict[str, Table] = {}
    for stratum, part in strata(scores).items():
        grade = "" if stratum == ALL_CASES else stratum
        suffix = f"_{as_file_name(grade)}" if grade else ""
        while f"table1{suffix}" in tables:  # of "II/III" and "II_III"
            suffix += "_"
        numbers = part["case"].nunique(), part["patient"].nunique()
        sizes = tests.loc[tests["stratum"] == stratum, "family"].value_counts()
        # the smallest p, which is counted from them, is Wilcoxon's
        comparisons = 0 if sizes.empty or contest.scores_of_seeds is not None else sizes.get(PRIMARY, sizes.min())
        notes = contest_notes(contest, *numbers, settings.policy, comparisons, grade)
        notes.append(missed_note(missed_and_false(part, contest.scores_of_seeds)))
        notes += [] if contest.costs is None else cost_notes(contest.costs, settings.baseline or contest.rows[0])
        for table in wanted:
            published = settings.published and not grade and table.scores is TABLE_1
            tables[f"{table.name}{suffix}"] = build_table(
                f"{table.title}, grade {grade}" if grade else table.title,
                summary, tests, table.scores, regions, [*table.definitions, *notes], stratum,
                published, settings.spread, training if table.scores is TABLE_1 else {},
            )  # fmt: skip
    for number, group in enumerate(equal_time_groups(contest), start=1):
        own, own_tests = (table[table["method"].isin(group)] for table in (summary, tests))
        tables[f"table1_equal_time{number}"] = build_table(
            "Table 1 at equal time of training", own, own_tests[own_tests["baseline"].isin(group)], TABLE_1, regions,
            [EQUAL_TIME], ALL_CASES, spread=settings.spread, training={name: training[name] for name in group},
        )  # fmt: skip
    return tables


def equal_time_groups(contest: Contest) -> list[list[str]]:
    """Methods that Table 1 compares at equal time, where that is another table: not where all took as long."""
    groups = [] if contest.costs is None else equal_time(contest.costs)
    return [group for group in groups if len(group) < len(contest.rows)]


def as_file_name(text: str) -> str:
    """A text whose characters are all fit for a file's name, such as a grade "II/III"."""
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
