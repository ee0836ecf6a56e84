"""The notebook runs and has no outputs, and the messages that docs/troubleshooting.md quotes are in the code."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TOP = Path(__file__).parents[1]
NOTEBOOK = TOP / "docs" / "notebook.ipynb"
NOT_OURS = (
    "Could not find requested nnunet trainer SegANTrainer",
    "operator torchvision::nms does not exist",
    "No module named 'segan_trainers'",
)
INSERTED = r"\.\.\.|nnUNet_raw"  # placeholder in the page for a value that the code inserts


def texts_of(source: str) -> list[str]:
    """Return the string literals of Python code without docstrings and without inserted values."""
    texts = []
    tree = ast.parse(source)
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            texts.append(node.value)
    return texts


def test_texts_of_excludes_docstrings() -> None:
    source = '''"""Module."""
def f(x):
    """Function."""
    raise ValueError(f"a {x} b")
NAME = "c"
'''
    assert {"a  b", "c"} <= set(texts_of(source)) and not {"Module.", "Function."} & set(texts_of(source))


def test_troubleshooting_quotes_messages_of_the_code() -> None:
    page = (TOP / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    first_column = [row.split("|")[1] for row in page.splitlines() if row.startswith("|")]
    shown = [text for cell in first_column for text in re.findall("`(.+?)`", cell)]
    known = "\n".join(
        text for path in (TOP / "segan_nnunet").rglob("*.py") for text in texts_of(path.read_text(encoding="utf-8"))
    )
    assert len(shown) > 40
    for text in shown:
        parts = [part.strip() for part in re.split(INSERTED, text) if part.strip(" ()?")]
        assert text in NOT_OURS or all(part in known for part in parts), text


def test_the_notebook_has_no_outputs() -> None:
    code = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.end_to_end
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads sleep, because other tests run in parallel
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    tables = [output.data["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {})]
    assert ["| Careful |" in tables[0], "| Shifted |" in tables[0]] == [True, True]
    assert "| SegANTrainer_short_1epoch |" in tables[1]
    assert any("image/png" in output.get("data", {}) for output in outputs), "the notebook shows the case"
    assert not any('install "ipywidgets"' in str(output) for output in outputs), (
        "without widgets there is no progress bar and no warning"
    )
