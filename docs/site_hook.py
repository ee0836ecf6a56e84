"""Generate pages of the site: pages from the top folder, the notebook with outputs, formulas without scripts."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbclient import NotebookClient

TOP = Path(__file__).parent.parent
STUDIES = [file.relative_to(TOP).as_posix() for file in sorted(TOP.glob("studies/*/*.md"))]
FROM_TOP = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", **{path: path for path in STUDIES}}
NOTEBOOK = "notebook.ipynb"
RUNS = TOP / ".cache"  # runs of the notebook (two minutes); it runs again only if it or the code has changed
CODE = ("segan_nnunet/**/*.py", "trainers/*.py", f"docs/{NOTEBOOK}")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the generated pages."""
    for source, page in FROM_TOP.items():
        text = (TOP / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=re.sub(r"\]\(((?:\.\./)*)docs/", r"](\1", text)))
    for file in notebook_page(config, run(Path(config.docs_dir) / NOTEBOOK)):
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Redirect links to the generated pages, and convert formulas to MathML, which browsers render."""
    up = "../" * page.file.src_uri.count("/")
    for source, generated in FROM_TOP.items():
        markdown = re.sub(rf"\]\(\.\./{up}{source}([)#])", rf"]({up}{generated}\1", markdown)
    return re.sub(r"\$\$(.+?)\$\$", lambda match: convert(match[1], display="block"), markdown, flags=re.DOTALL)


def run(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with outputs. The repository stores it without outputs."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in CODE for file in TOP.glob(pattern)):
        digest.update(file.read_bytes())
    cached = RUNS / f"notebook_{digest.hexdigest()[:16]}.ipynb"
    if not cached.is_file():
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
        RUNS.mkdir(exist_ok=True)
        nbformat.write(notebook, cached)
    return nbformat.read(cached, as_version=4)


def notebook_page(config: MkDocsConfig, notebook: nbformat.NotebookNode) -> list[File]:
    """Return the notebook as a page, and its pictures."""
    parts, pictures = [], []
    for cell in notebook.cells:
        parts.append(cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```")
        outputs = cell.get("outputs", ())
        if printed := "".join(output.text for output in outputs if output.get("name") == "stdout").strip("\n"):
            parts.append(f"```text\n{printed.replace(f'{TOP}/', '')}\n```")
        for data in (output.data for output in outputs if "data" in output):
            if "image/png" in data:
                name = f"notebook_{len(pictures) + 1}.png"
                pictures.append(File.generated(config, name, content=base64.b64decode(data["image/png"])))
                parts.append(f"![What the cell shows]({name})")
            else:
                parts.append(data.get("text/markdown") or f"```text\n{data['text/plain']}\n```")
    return [File.generated(config, "notebook.md", content="\n\n".join(parts)), *pictures]
