"""`compare` of folders without nnU-Net and torch, as the distribution of the comparison alone installs it."""

import subprocess
import sys
from pathlib import Path

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


def test_folders_are_compared_without_torch_and_nnunet(tmp_path: Path) -> None:
    write_folder(tmp_path / "truth", {"a": cubes(4, 2), "b": cubes(3, 1)})
    for name, sides in (("One", (4, 1)), ("Two", (3, 2))):
        write_folder(tmp_path / name, {"a": cubes(*sides), "b": cubes(*sides)})
    folders = [f"{name}={tmp_path / name}" for name in ("One", "Two")]
    options = ["--reference", str(tmp_path / "truth"), "-o", str(tmp_path / "out"), "--lesions", "2023"]
    command = [sys.executable, "-c", WITHOUT, "compare", "--predictions", *folders, *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "| One |" in ended.stdout and (tmp_path / "out" / "report.html").is_file()


def test_a_verb_that_needs_more_says_so() -> None:
    command = [sys.executable, "-c", WITHOUT, "benchmark", "--steps-only"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "torch is not in this environment" in " ".join(ended.stderr.split())
