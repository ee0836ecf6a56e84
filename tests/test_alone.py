"""`compare` and `power` run without nnU-Net and torch, as the compare-only distribution installs them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hand_made_results import cubes, write_folder

WITHOUT = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "nnunetv2", "batchgenerators", "submitit", "nilearn"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
from segan_nnunet.cli import main
main()
"""


TOP = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the files that packaging/compare installs, and no other file of the checkout."""
    folder = tmp_path_factory.mktemp("alone")
    packaging = (TOP / "packaging/compare/pyproject.toml").read_text()
    for source, target in re.findall(r'^"../../(.+)" = "(segan_nnunet.*)"$', packaging, re.MULTILINE):
        shutil.copytree(TOP / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run_alone(alone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(alone)}
    command = [sys.executable, "-c", WITHOUT, *arguments]
    return subprocess.run(command, cwd=alone, env=environment, capture_output=True, text=True, check=False)


def test_compare_runs_without_torch_and_nnunet(alone: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "truth", {"a": cubes(4, 2), "b": cubes(3, 1)})
    for name, sides in (("One", (4, 1)), ("Two", (3, 2))):
        write_folder(tmp_path / name, {"a": cubes(*sides), "b": cubes(*sides)})
    folders = [f"{name}={tmp_path / name}" for name in ("One", "Two")]
    (tmp_path / "settings.toml").write_text('hd95 = "surface"\nspread = true\n')
    options = ["--reference", str(tmp_path / "truth"), "-o", str(tmp_path / "out"), "--lesions", "2023"]
    options += ["--settings", str(tmp_path / "settings.toml")]
    ended = run_alone(alone, "compare", "--predictions", *folders, *options)
    assert ended.returncode == 0, ended.stderr
    assert "| One |" in ended.stdout and (tmp_path / "out" / "report.html").is_file()


def test_power_runs_without_torch_and_nnunet(alone: Path) -> None:
    ended = run_alone(alone, "power", "--sd", "0.05", "--differences", "0.05")
    assert ended.returncode == 0, ended.stderr
    assert "| a difference of 0.05 Dice | 1 |" in ended.stdout


def test_a_verb_that_needs_torch_names_the_missing_package(alone: Path) -> None:
    ended = run_alone(alone, "benchmark", "--steps-only")
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "torch is not in this environment" in " ".join(ended.stderr.split())
