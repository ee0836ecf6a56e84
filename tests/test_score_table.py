"""Table 1 as text: bold values, marks and notes, and valid LaTeX."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segan_nnunet.evaluation.presentation.published_rows import ROWS, published_position
from segan_nnunet.evaluation.presentation.table import Table, build_table, escape_latex, latex, markdown
from segan_nnunet.evaluation.scores.scores import FURTHER, TABLE_1, VOLUMES
from segan_nnunet.evaluation.statistics.summary import summarise
from tests.hand_made_scores import REGIONS, paired_tests, scores_of

pytestmark = pytest.mark.usefixtures("quick_correction")


def table_of(values: dict[str, list[float]], baseline: str, published: bool = False) -> tuple[Table, Table]:
    scores = scores_of(values)
    summary, tests = summarise(scores), paired_tests(scores, baseline)
    one = build_table("Table 1", summary, tests, TABLE_1, REGIONS, ["A note."], published=published)
    return one, build_table("Further scores", summary, tests, FURTHER, REGIONS)


def test_the_best_value_is_bold_for_both_directions_of_a_score() -> None:
    high_is_good, further = table_of({"A": [0.25, 0.25], "B": [0.75, 0.75]}, "A")
    lines = markdown(high_is_good).splitlines()
    assert lines[2] == "| A |" + " 0.250 |" * 9
    assert lines[3] == "| B |" + " **0.750** |" * 9
    first, second = markdown(further).splitlines()[2:4]
    assert first == "| A |" + " 0.2500 |" * 3 + " **0.25** |" * 9, "specificity is good when high, distances when low"
    assert second == "| B |" + " **0.7500** |" * 3 + " 0.75 |" * 9
    scores = scores_of({"A": [0.25, 0.25], "B": [0.75, 0.75]})
    volumes = build_table("Volumes", summarise(scores), paired_tests(scores, "A"), VOLUMES, REGIONS)
    assert "**" not in markdown(volumes), "a signed difference is good near 0"


def test_the_table_marks_and_explains_a_significant_difference() -> None:
    base = list(np.linspace(0.3, 0.7, 30))
    better = [value + 0.01 + 0.001 * index for index, value in enumerate(base)]
    text = markdown(table_of({"base": base, "better": better}, "base")[0])
    assert text.count("†") == 9 + 1  # every cell of one row, and the note
    assert text.count("(†)") == 6, "precision and sensitivity are exploratory"
    assert "| base | 0.500 |" in text and "† significantly better than base" in text


def test_the_only_method_is_neither_best_nor_tested() -> None:
    text = markdown(table_of({"A": [0.5, np.nan]}, "A")[0])
    assert "| A | 0.500 |" in text and "**" not in text and "†" not in text
    assert "A, Dice whole tumor: 1" not in text, "both scores of the table count the same case"
    undefined = markdown(table_of({"A": [np.nan]}, "A")[0])
    assert "| A | – |" in undefined


def test_equal_methods_have_no_best_value() -> None:
    assert "**" not in markdown(table_of({"A": [0.25, 0.75], "B": [0.5, 0.5]}, "A")[0])


def test_different_numbers_of_cases_have_no_best_value() -> None:
    text = markdown(table_of({"A": [0.9, np.nan], "B": [0.5, 0.6]}, "A")[0])
    assert "**" not in text
    assert text.count("0.900 (1)") == text.count("0.550 (2)") == 9, "the number stands in the cell"


def test_a_note_lists_excluded_cases_by_column_and_method() -> None:
    alike = markdown(table_of({"A": [0.5, np.nan], "B": [0.4, np.nan]}, "A")[0])
    assert "did:" not in alike, "the same case is missing everywhere"
    scores = scores_of({"A": [0.5, 0.6, 0.7], "B": [0.4, 0.6, 0.5]})
    scores.loc[(scores["region"] == "tumor core") & (scores["case"] == "c2"), "Dice"] = np.nan
    some = (scores["method"] == "B") & (scores["region"] == "whole tumor") & (scores["case"] != "c0")
    scores.loc[some, "Precision"] = np.nan
    text = markdown(build_table("T", summarise(scores), paired_tests(scores, "A"), TABLE_1, REGIONS))
    assert text.endswith("Their numbers of cases: Dice tumor core: 2; Precision whole tumor: 1 (B).\n")


def test_published_rows_are_separate_and_unchanged() -> None:
    text = markdown(table_of({"A": [0.9, 0.99]}, "A", published=True)[0])
    row = "| SegAN (published, BRATS 2015 test) | 0.85 | 0.70 | 0.66 | 0.92 | 0.80 | 0.69 | 0.80 | 0.65 | 0.62 |"
    assert row in text.splitlines()
    assert "reached on other data" in text
    assert len(ROWS) == 6
    assert [published_position(region) for region in REGIONS] == [0, 1, 2]
    assert published_position("edema") is None and published_position("whole core") is None


def test_latex_rows_have_equal_numbers_of_cells_and_escaped_names() -> None:
    text = latex(table_of({"A_1": [0.2, 0.4], "B & 50%": [0.4, 0.5]}, "A_1", published=True)[0], "Dice_x", "tab:x")
    assert r"A\_1 &" in text and r"B \& 50\% &" in text and r"\caption{Dice\_x}" in text
    assert r"\textbf{0.450}" in text
    columns = re.search(r"\\begin\{tabular\}\{(l r*|lr*)\}", text)
    assert columns and len(columns.group(1)) == 10
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 2 + 6
    assert all(len(re.findall(r"(?<!\\)&", line)) == 9 for line in rows)
    for command in ("toprule", "bottomrule", "midrule", "cmidrule"):
        assert f"\\{command}" in text
    assert escape_latex("a~b^c\\d{e}") == r"a\textasciitilde{}b\textasciicircum{}c\textbackslash{}d\{e\}"
    assert escape_latex("p < 0.05") == "p $<$ 0.05", "a bare < is another sign in TeX's own font"


def test_the_training_cost_is_the_last_column() -> None:
    table = replace(
        table_of({"A_1": [0.2, 0.4], "B": [0.4, 0.5]}, "B", published=True)[0], training={"A_1": "5 steps, 9 s"}
    )
    head, _, first, second, *published = markdown(table).splitlines()
    assert head.endswith("| Training per fold |") and first.endswith("| 5 steps, 9 s |") and second.endswith(" |  |")
    assert {line.count("|") for line in (head, first, second, *published[:6])} == {12}
    text = latex(table, "Dice", "tab:x")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 2 + 2 + 6 and {len(re.findall(r"(?<!\\)&", line)) for line in rows[1:]} == {10}
    assert rows[0].count("&") == 4 and rows[2].endswith(r"& 5 steps, 9 s \\") and "{l" + 10 * "r" + "}" in text


def test_the_latex_table_compiles(tmp_path: Path) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed")
    text = latex(table_of({"A_1": [0.2, 0.4], "B & 50%": [0.4, 0.5]}, "A_1", published=True)[0], "Dice", "tab:x")
    page = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n" + text + "\\end{document}\n"
    (tmp_path / "page.tex").write_text(page, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
