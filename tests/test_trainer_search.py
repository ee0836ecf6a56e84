"""nnU-Net's search for trainers: the files that it imports, and the error for a file that stops it."""

import os
from pathlib import Path

import pytest

from segan_nnunet.catalogues import catalogue_folder, declared_classes, folder_problems, list_trainers
from segan_nnunet.errors import InputError
from segan_nnunet.grid.checks import check_trainers
from segan_nnunet.trainer_search import NoTrainerError, find_trainer

MINE = "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n\n\nclass {}(nnUNetTrainer): ...\n"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a user folder with a trainer Zebra. nnU-Net searches it after ours."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "zebra.py").write_text(MINE.format("Zebra"))
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join([str(catalogue_folder("trainers")), str(folder)]))
    return folder


def test_the_trainer_search_skips_the_files_that_nnunet_skips(own: Path) -> None:
    (own / ".#zebra.py").symlink_to("me@laptop.4711:1700000000")
    (own / "._zebra.py").write_bytes(b"\x00\x05\x16\x07")
    (own / "zebra.old.py").write_text("class Zebra_short: ...\n")
    for name in (".ipynb_checkpoints", "notes"):  # folders that are no packages
        (own / name).mkdir()
        (own / name / "zebra.py").write_text("class SegANTrainer_short: ...\n")
    (own / "package").mkdir()
    (own / "package" / "__init__.py").touch()
    (own / "package" / "inner.py").write_bytes(
        '# -*- coding: latin-1 -*-\nclass Inner:\n    "Für."\n'.encode("latin-1")
    )
    assert declared_classes(own) == {"Zebra": "", "Inner": "Für."}
    for name in ("Zebra", "Zebra_seed3", "SegANTrainer_short"):
        assert find_trainer(name).__name__ == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "import os\nimport not_installed.part\n",
            r"line 2, .*No module named .*Install not_installed, or move it out",
        ),
        ("x = undefined_name\n", "line 1, .*NameError: .*undefined_name.*Correct the file, or move it out"),
        ("def f(:\n    pass\n", "line 1, .*SyntaxError.*Correct the file"),
        ("class Zebra:\0\n", "line 1, .*null bytes"),
        ("raise RuntimeError('no GPU')\n", "line 1, .*RuntimeError: no GPU"),
        ("assert False, 'wrong version'\n", "line 1, .*AssertionError: wrong version"),
        (
            "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('in')\nparser.parse_args([])\n",
            "line 4, .*it ends the program, as a script does.*__main__",
        ),
    ],
)
def test_the_trainer_search_names_a_file_that_cannot_be_imported(
    own: Path, content: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (own / "another.py").write_text(content)
    for name in ("Zebra", "Zebra_seed3"):
        with pytest.raises(InputError, match=f"another.py, {message}"):
            check_trainers([name])
    check_trainers(["SegANTrainer_short"])  # a trainer that nnU-Net finds before it searches this folder
    assert "usage:" not in "".join(capfd.readouterr())


def test_the_trainer_search_names_broken_helpers_and_linked_files(own: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("1 / 0\n")
    (own / "linked.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(InputError, match="own/linked.py, line 1, .*ZeroDivisionError"):
        find_trainer("Zebra")
    (own / "linked.py").unlink()
    (own / "a.py").write_text("import package.helper\n")
    (own / "package").mkdir()
    (own / "package" / "helper.py").write_text("\nimport not_installed\n")
    with pytest.raises(InputError, match="package/helper.py, line 2, .*Install not_installed"):
        find_trainer("Zebra")


def test_an_error_says_that_a_class_is_no_trainer(own: Path) -> None:
    (own / "plain.py").write_text("class Plain: ...\n")
    with pytest.raises(InputError, match="Plain is not a trainer"):
        find_trainer("Plain")


@pytest.mark.parametrize("name", ["SegANTrainer_until5", "SegANTrainer_short_until5_seed3", "nnUNetTrainer_until5"])
def test_an_unknown_suffix_error_lists_the_known_suffixes(own: Path, name: str) -> None:
    with pytest.raises(NoTrainerError, match=f"finds no trainer {name}.*suffixes _PaperDA, _short, _50epochs, _seed3"):
        find_trainer(name)


def test_an_error_names_path_entries_that_are_no_folders(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = f"{own / 'zebra.py'}:~/trainers:/nowhere/trainers:/a,/b:{own} "
    monkeypatch.setenv("nnUNet_extTrainer", named)
    problems = folder_problems()
    for problem, message in zip(
        problems,
        (
            f"is a file; name its folder, {own}",
            "write $HOME",
            "correct the path",
            "separate several folders with ':'",
            "ends with a space",
        ),
        strict=True,
    ):
        assert message in problem
    listed = list_trainers()
    with pytest.raises(NoTrainerError, match="finds no trainer Zebra.* has no trainer.*is a file; name its folder"):
        find_trainer("Zebra")
    check_trainers(["nnUNetTrainer"])
    warned = capsys.readouterr().err
    assert all(problem in listed and f"WARNING: {problem}" in warned for problem in problems)


def test_a_copied_trainer_file_gives_a_warning(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_trainers(["Zebra_seed3", "SegANTrainer_short"])
    assert not capsys.readouterr().err
    (own / "zebra (copy).py").write_text(MINE.format("Zebra"))
    (own / "segan.py").write_text(
        "from segan_trainers import SegANTrainer as Ours\n\n\nclass SegANTrainer(Ours): ...\n"
    )
    (own / "stock.py").write_text(MINE.format("nnUNetTrainer_5epochs"))
    check_trainers(["Zebra_seed3", "SegANTrainer_short", "nnUNetTrainer_5epochs"])
    warned = capsys.readouterr().err
    assert f"Zebra is defined in {own / 'zebra (copy).py'} and in {own / 'zebra.py'}; nnU-Net takes the first" in warned
    assert f"segan_trainers.py and in {own / 'segan.py'}" in warned and f"and in {own / 'stock.py'}" in warned


def test_an_error_explains_suffixes_without_our_trainer_folder(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", str(own))
    assert find_trainer("Zebra").__name__ == "Zebra"
    with pytest.raises(NoTrainerError, match=rf"composes the suffixes: export .*trainer-folder\):{own}"):
        find_trainer("Zebra_short")
