"""What the site has that docs/ has not: pages from the top folder, the notebook as a page, formulas without scripts."""

import json
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

TOP = Path(__file__).parent.parent
FROM_TOP = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
NOTEBOOK = "notebook.ipynb"


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the pages that are made."""
    for source, page in FROM_TOP.items():
        text = (TOP / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=re.sub(r"\]\(docs/", "](", text)))
    notebook = json.loads((Path(config.docs_dir) / NOTEBOOK).read_text(encoding="utf-8"))
    files.append(File.generated(config, "notebook.md", content=as_markdown(notebook)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead to the made pages, and turn formulas into MathML, which browsers show by themselves."""
    for source, page in FROM_TOP.items():
        markdown = markdown.replace(f"](../{source})", f"]({page})")
    return re.sub(r"\$\$(.+?)\$\$", lambda found: convert(found[1], display="block"), markdown, flags=re.DOTALL)


def as_markdown(notebook: dict[str, Any]) -> str:
    """The cells of a notebook, which is kept without outputs."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells)
