"""Imports go in one direction (docs/architecture.md), and the oldest tested versions are the oldest allowed ones."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "segan_nnunet"
# from top to bottom: a package imports only from the lines below its own
LAYERS = (
    ("__main__", "__init__"),
    ("cli",),
    ("experiments",),
    ("grid",),
    ("models",),
    ("comparison", "planning"),
    ("validations",),
    ("evaluation",),
    ("training",),
    ("objective",),
    ("networks",),
    ("data",),
    ("trainer_search",),
    ("catalogues", "folds", "outputs"),
    ("text_files",),
    ("file_kinds",),
    ("trainer_names", "errors", "text_enum"),
)


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "segan_nnunet":
            _, _, module = str(node.module).partition(".")
            yield from [module] if module else (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("segan_nnunet."))


def test_imports_go_one_way() -> None:
    layer = {package: number for number, packages in enumerate(LAYERS) for package in packages}
    number_of_imports = 0
    for path in PACKAGE.rglob("*.py"):
        package = package_of(path)
        for other in {module.partition(".")[0] for module in imported_modules(path)}:
            number_of_imports += 1
            assert other == package or layer[other] > layer[package], f"{path} of {package} imports from {other}"
    assert number_of_imports > 100


def test_the_comparison_imports_only_modules_without_torch_and_nnunet() -> None:
    """The comparison imports only the data readers and the modules below, so it runs without torch and nnU-Net."""
    of_data = {"volumes", "labelling", "case_table", "environment", "processes", "progress"}
    below = {"errors", "file_kinds", "text_files", "text_enum"}
    paths = list((PACKAGE / "evaluation").rglob("*.py"))
    assert len(paths) > 30
    for path in paths:
        for module in imported_modules(path):
            package, _, part = module.partition(".")
            known = part.partition(".")[0] in of_data if package == "data" else package in {"evaluation", *below}
            assert known, f"{path} imports segan_nnunet.{module}"


def test_lowest_txt_pins_the_oldest_allowed_versions() -> None:
    oldest = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (TOP / "packaging" / "lowest.txt").read_text(), re.MULTILINE))
    for project in ("pyproject.toml", "packaging/compare/pyproject.toml"):
        dependencies = re.search(r"^dependencies = \[\n(.*?)^\]", (TOP / project).read_text(), re.DOTALL | re.MULTILINE)
        allowed = re.findall(r'"([\w-]+)>=([\d.]+)', dependencies[1] if dependencies else "")
        assert len(allowed) > 10
        for name, version in allowed:
            assert re.fullmatch(rf"{re.escape(version)}(\.0)*", oldest[name]), name
