"""Build tables of methods by scores and regions, as Table 1 of the paper, and render them in Markdown and LaTeX."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from segan_nnunet.evaluation.presentation.published_rows import ROWS, published_position
from segan_nnunet.evaluation.presentation.table_notes import MARKS, dominance_notes, score_notes
from segan_nnunet.evaluation.scores.scores import Score
from segan_nnunet.evaluation.statistics.paired import DISAGREE, PRIMARY
from segan_nnunet.evaluation.statistics.ranking import Ranking
from segan_nnunet.evaluation.statistics.summary import ALL_CASES

UNDEFINED = "–"
TRAINING = "Training per fold"
LATEX_SPECIAL = {character: f"\\{character}" for character in "#$%&_{}"}
LATEX_SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", UNDEFINED: "--"}
LATEX_SPECIAL |= {"±": r"$\pm$", "<": "$<$", ">": "$>$", "†": r"$\dagger$", "‡": r"$\ddagger$", "§": r"\S{}"}


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: the mean.
        best: whether it is the best of its column.
        mark: the mark of a significant difference from the baseline; in brackets if it is exploratory.
    """

    text: str
    best: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """The cells of a method."""

    method: str
    cells: Sequence[Cell]
    published: bool = False


@dataclass(frozen=True)
class Table:
    """A table before it is rendered.

    Attributes:
        title: the line above the table.
        scores: the groups of columns.
        regions: the columns of each group.
        rows: the methods, then the published rows.
        notes: the sentences below the table.
        training: the training cost of each method, for the last column; without any there is no such column.
        stratum: all cases, or a grade.
        dominated: the notes on means that few cases dominate.
    """

    title: str
    scores: Sequence[Score]
    regions: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)
    training: Mapping[str, str] = field(default_factory=dict)
    stratum: str = ALL_CASES
    dominated: Sequence[str] = ()

    @property
    def all_notes(self) -> list[str]:
        """The notes, and those on means that few cases dominate."""
        return [*self.notes, *self.dominated]


def build_table(
    title: str,
    summary: pd.DataFrame,
    tests: pd.DataFrame,
    scores: Sequence[Score],
    regions: Sequence[str],
    notes: Sequence[str] = (),
    stratum: str = ALL_CASES,
    published: bool = False,
    spread: bool = False,
    training: Mapping[str, str] | None = None,
) -> Table:
    """Arrange means as a table. The best mean of each column is bold, and significant differences have marks.

    Args:
        title: the line above the table.
        summary: the result of `summarise`.
        tests: the result of `paired_tests`; without rows for a single method.
        scores, regions: the columns.
        notes: the first notes, on cases and definitions. Notes on the marks and on missing cases follow.
        stratum: all cases, or a grade.
        published: append the paper's rows.
        spread: write means with standard deviations, and below each method its medians with quartiles.
        training: the training cost of each method, for a last column.
    """
    of_stratum = summary[summary["stratum"] == stratum]
    methods = list(of_stratum["method"].unique())
    cells = of_stratum.set_index(["method", "score", "region"])
    marks: dict[tuple[str, str, str], str] = {}
    if len(tests):  # the pairs with the baseline come first
        with_baseline = tests["baseline"] == tests["baseline"].iloc[0]
        for row in tests[(tests["verdict"] != "") & with_baseline & (tests["stratum"] == stratum)].itertuples():
            mark = MARKS[row.verdict]
            marks[row.method, row.score, row.region] = mark if row.family == PRIMARY else f"({mark})"
    rows: dict[str, list[Cell]] = {method: [] for method in methods}
    for score in scores:
        for region in regions:
            means = [float(cells.loc[(method, score.column, region), "mean"]) for method in methods]
            counts = [int(cells.loc[(method, score.column, region), "scans"]) for method in methods]
            best = best_of(means, score)
            if all(mean == best for mean in means) or len(set(counts)) > 1:
                best = np.nan  # one method, equal means, or means of different cases
            if any(MARKS[DISAGREE] in marks.get((method, score.column, region), "") for method in methods):
                best = np.nan  # ranks and means favour different methods
            for method, mean, count in zip(methods, means, counts, strict=True):
                text = mean_text(cells.loc[(method, score.column, region)], score, spread)
                text += f" ({count})" if len(set(counts)) > 1 else ""
                rows[method].append(Cell(text, mean == best, marks.get((method, score.column, region), "")))
    table_rows = []
    for method in methods:
        table_rows.append(Row(method, rows[method]))
        if spread:
            columns = [(score, cells.loc[(method, score.column, region)]) for score in scores for region in regions]
            table_rows.append(Row(f"{method}, median", [Cell(median_text(row, score)) for score, row in columns]))
    if published:
        table_rows += published_rows(scores, regions)
    if spread:
        notes = [*notes, "Mean ± standard deviation (SD); below it the median [quartiles]."]
    notes = [*notes, *score_notes(of_stratum, tests, scores, regions, published)]
    dominated = dominance_notes(of_stratum, scores, regions)
    return Table(title, scores, regions, table_rows, notes, training or {}, stratum, dominated)


def mean_text(row: pd.Series, score: Score, spread: bool = False) -> str:
    """Return a mean, with its standard deviation if it is wanted and defined.

    For distances, volumes and counts it is not written as ±, because such an interval would reach below 0.
    """
    if np.isnan(row["mean"]):
        return UNDEFINED
    mean, sd = (f"{row[name]:.{score.decimals}f}" for name in ("mean", "sd"))
    if not spread or np.isnan(row["sd"]):
        return mean
    return f"{mean} ± {sd}" if np.isfinite(score.high) else f"{mean} (SD {sd})"


def median_text(row: pd.Series, score: Score) -> str:
    """Return a median with the quartiles."""
    if np.isnan(row["median"]):
        return UNDEFINED
    middle, low, high = (f"{row[name]:.{score.decimals}f}" for name in ("median", "quartile_1", "quartile_3"))
    return f"{middle} [{low}, {high}]"


def best_of(means: Sequence[float], score: Score) -> float:
    """Return the best mean; NaN if none is defined, or if neither high nor low values are good."""
    if score.higher_is_better is None:
        return np.nan
    defined = [mean for mean in means if not np.isnan(mean)]
    return (max if score.higher_is_better else min)(defined, default=np.nan)


def published_rows(scores: Sequence[Score], regions: Sequence[str]) -> list[Row]:
    """Return the paper's rows for these columns. Cells without a published value are undefined."""
    rows = []
    for row in ROWS:
        cells = []
        for score in scores:
            for region in regions:
                position = published_position(region)
                printed = row.scores.get(score.column)
                cells.append(Cell(UNDEFINED if position is None or printed is None else f"{printed[position]:.2f}"))
        rows.append(Row(f"{row.method} (published, {row.data})", cells, published=True))
    return rows


def markdown(table: Table) -> str:
    """Render as Markdown."""
    columns = [f"{score.title} {region}" for score in table.scores for region in table.regions]
    columns += [TRAINING] if table.training else []
    rows = []
    for row in table.rows:
        cells = [(f"**{cell.text}**" if cell.best else cell.text) + cell.mark for cell in row.cells]
        cells += [table.training.get(row.method, "")] if table.training else []
        rows.append([escape_markdown(row.method), *cells])
    return "\n".join([*pipes(["Method", *map(escape_markdown, columns)], rows), "", *table.all_notes]) + "\n"


def pipes(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table whose first column is aligned to the left."""
    rule = "| --- |" + " ---: |" * (len(head) - 1)
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]


def escape_markdown(text: str) -> str:
    """Escape the separator of cells."""
    return text.replace("|", "\\|")


def latex(table: Table, caption: str, label: str) -> str:
    """Render as a LaTeX table for the booktabs package."""
    width = len(table.regions)
    groups, rules = [], []
    for position, score in enumerate(table.scores):
        first = 2 + position * width
        groups.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(score.title)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
    last = [TRAINING] if table.training else []
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\label{{{label}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (width * len(table.scores) + len(last))}}}",
        r"\toprule",
        " & ".join(["", *groups, *([""] * len(last))]) + r" \\",
        " ".join(rules),
        " & ".join(["Method", *map(escape_latex, [*list(table.regions) * len(table.scores), *last])]) + r" \\",
        r"\midrule",
    ]
    published = False
    for row in table.rows:
        if row.published and not published:
            lines.append(r"\midrule")
            published = True
        cells = [*map(latex_cell, row.cells), *(escape_latex(table.training.get(row.method, "")) for _ in last)]
        # after \\ LaTeX reads a star or bracket as an option
        method = "{}" * row.method.startswith(("[", "*")) + escape_latex(row.method)
        lines.append(" & ".join([method, *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [r"\par\smallskip\footnotesize " + escape_latex(" ".join(table.all_notes)), r"\end{table}"]
    return "\n".join(lines) + "\n"


def latex_cell(cell: Cell) -> str:
    """Render a cell. The best mean is bold, and the mark of a significant difference is raised."""
    text = escape_latex(cell.text)
    mark = rf"\textsuperscript{{{escape_latex(cell.mark)}}}" if cell.mark else ""
    return (rf"\textbf{{{text}}}" if cell.best else text) + mark


def escape_latex(text: str) -> str:
    """Escape the special characters of LaTeX."""
    return "".join(LATEX_SPECIAL.get(character, character) for character in text)


def ranking_markdown(ranking: Ranking) -> str:
    """Render as Markdown: a table of ranks and places, a matrix of p, and the notes."""
    tables = [
        "\n".join(pipes([*map(escape_markdown, head)], [[escape_markdown(name), *cells] for name, *cells in rows]))
        for head, rows in ranking_tables(ranking)
    ]
    return "\n\n".join([*tables, *ranking.notes]) + "\n"


def ranking_tables(ranking: Ranking) -> list[tuple[list[str], list[list[str]]]]:
    """Return the head and the rows of the table of ranks and places, and of the matrix of p."""
    names = list(ranking.methods)
    ranks = [
        [name, f"{mean:.2f}", UNDEFINED if np.isnan(low) else f"{low:.2f} to {high:.2f}", *map("{:.0%}".format, places)]
        for name, mean, (low, high), places in zip(
            names, ranking.mean_ranks, ranking.intervals, ranking.places, strict=True
        )
    ]
    heads = ["Method", "Mean rank", "95 % interval", *(f"Place {place + 1}" for place in range(len(names)))]
    pairs = [[name, *row] for name, row in zip(names, pair_texts(ranking), strict=True)]
    return [(heads, ranks), (["p after Holm", *names], pairs)]


def pair_texts(ranking: Ranking) -> list[list[str]]:
    """Return p of each pair as text, with a § if ranks and means disagree; a dash on the diagonal."""
    return [
        [
            UNDEFINED if np.isnan(p) else p_text(p) + "§" * ranking.disagree(row, column)
            for column, p in enumerate(of_row)
        ]
        for row, of_row in enumerate(ranking.p_holm)
    ]


def p_text(p: float) -> str:
    """Return p with three decimals, without the zero before the point."""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
