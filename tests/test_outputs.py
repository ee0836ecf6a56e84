"""Output paths are checked before the work, links and mount points work, and no user file is replaced."""

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from segan_nnunet.comparison import compare
from segan_nnunet.data.releases import simulation
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Folders
from segan_nnunet.evaluation.presentation import figures
from segan_nnunet.experiments.demo import run_demo
from segan_nnunet.experiments.device_check import check_device
from segan_nnunet.models.export import export_model
from segan_nnunet.outputs import STAGING, output_file, output_folder
from tests.hand_made_results import cubes, write_folder

NAMES = re.compile(r"table\.csv|cases")


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def write(path: Path, earlier: Sequence[Path] = ()) -> None:
    """Write a table and a file into a folder, as a verb does."""
    with output_folder(path, NAMES, lambda _: earlier) as partial:
        (partial / "table.csv").write_text("new")
        (partial / "cases").mkdir()
        (partial / "cases" / "b.js").write_text("new")


def expect_refusal(path: Path, match: str) -> None:
    before = listing(path.parent)
    with pytest.raises(InputError, match=match):
        write(path)
    assert listing(path.parent) == before


class TestFolder:
    def test_a_new_folder_below_new_folders_is_created(self, tmp_path: Path) -> None:
        write(tmp_path / "a" / "b")
        assert listing(tmp_path) == ["a", "a/b", "a/b/cases", "a/b/cases/b.js", "a/b/table.csv"]

    def test_the_current_folder_is_accepted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mine.txt").touch()
        write(Path())
        assert listing(tmp_path) == ["cases", "cases/b.js", "mine.txt", "table.csv"]

    def test_a_link_below_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "first").symlink_to("disk")
        (tmp_path / "second").symlink_to("first")
        write(tmp_path / "second")
        assert (tmp_path / "second").is_symlink() and (tmp_path / "first").is_symlink()
        assert (tmp_path / "disk" / "table.csv").read_text() == "new"
        assert listing(tmp_path / "disk") == ["cases", "cases/b.js", "table.csv"], "no hidden file remains"

    def test_the_output_folder_itself_is_not_moved(self, tmp_path: Path) -> None:
        """A mount point cannot be renamed: its inode must stay, and its parent folder may be read-only."""
        (tmp_path / "around" / "mount").mkdir(parents=True)
        inode = (tmp_path / "around" / "mount").stat().st_ino
        before = (tmp_path / "around").stat().st_mtime_ns
        write(tmp_path / "around" / "mount")
        assert (tmp_path / "around" / "mount").stat().st_ino == inode
        assert (tmp_path / "around").stat().st_mtime_ns == before

    def test_a_subfolder_may_be_on_another_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def across_devices(*_: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "rename", across_devices)
        (tmp_path / "out").mkdir()
        write(tmp_path / "out")
        assert listing(tmp_path / "out") == ["cases", "cases/b.js", "table.csv"]

    def test_a_link_to_an_unmounted_disk_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "out").symlink_to("/nowhere/results")
        expect_refusal(
            tmp_path / "out", "is a link to /nowhere/results, which does not exist; make that folder or mount"
        )
        expect_refusal(tmp_path / "out" / "deeper", "out is a link to /nowhere/results")

    def test_a_file_in_the_place_of_a_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "results.csv").write_text("mine")
        expect_refusal(tmp_path / "results.csv", r"results\.csv is a file, not a folder")
        expect_refusal(tmp_path / "results.csv" / "deeper", r"results\.csv is a file, not a folder")
        assert (tmp_path / "results.csv").read_text() == "mine"
        expect_refusal(tmp_path / "upload.tar.gz", r"is named like a file; -o takes a folder. Leave out \.gz")
        expect_refusal(Path("~") / "out", "begins with ~, which the shell replaces only outside quotes")
        expect_refusal(tmp_path / ("x" * 300), "cannot be written to .*too long")

    def test_a_folder_name_may_contain_a_dot(self, tmp_path: Path) -> None:
        write(tmp_path / "results.v1.2")
        (tmp_path / "old.zip").mkdir()
        write(tmp_path / "old.zip")
        assert (tmp_path / "results.v1.2" / "table.csv").is_file() and (tmp_path / "old.zip" / "table.csv").is_file()

    def test_a_folder_with_files_of_others_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "table.csv").write_text("mine")
        expect_refusal(tmp_path / "out", "holds table.csv, which this command did not write and does not replace")
        assert (tmp_path / "out" / "table.csv").read_text() == "mine"

    def test_a_call_replaces_only_the_files_of_an_earlier_call(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        write(out)
        (out / "cases" / "a.js").write_text("old")
        (out / "cases" / "mine.txt").write_text("mine")
        (out / "notes.md").write_text("mine")
        write(out, earlier=[out / "table.csv", out / "cases", out / "cases" / "a.js", out / "cases" / "b.js"])
        assert listing(out) == ["cases", "cases/b.js", "cases/mine.txt", "notes.md", "table.csv"]

    def test_a_failed_call_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        for path in (tmp_path / "new" / "deep", tmp_path / "there"):
            with pytest.raises(ZeroDivisionError), output_folder(path) as partial:
                (partial / "half").write_text(str(1 / 0))
        assert listing(tmp_path) == ["there"]

    def test_the_hidden_folder_of_a_killed_call_does_not_prevent_output(self, tmp_path: Path) -> None:
        (tmp_path / "out" / f"{STAGING}killed").mkdir(parents=True)
        with output_folder(tmp_path / "out") as partial:
            (partial / "file").touch()
        assert (tmp_path / "out" / "file").is_file()


class TestFile:
    def test_a_new_file_below_a_new_folder_is_created(self, tmp_path: Path) -> None:
        with output_file(tmp_path / "new" / "model.zip", ".zip") as part:
            part.write_text("zip")
        assert listing(tmp_path) == ["new", "new/model.zip"]

    @pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling"])
    def test_an_existing_path_is_refused(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "model.zip"
        (tmp_path / "mine").write_text("mine")
        if kind == "folder":
            path.mkdir()
        elif kind == "file":
            path.touch()
        else:
            path.symlink_to("mine" if kind == "link" else "gone")
        before = listing(tmp_path)
        with pytest.raises(InputError, match="nothing is replaced"), output_file(path, ".zip"):
            raise AssertionError("the work must not start")
        assert listing(tmp_path) == before and (tmp_path / "mine").read_text() == "mine"

    def test_another_file_ending_is_refused(self, tmp_path: Path) -> None:
        with (
            pytest.raises(InputError, match=r"takes a file that ends in \.zip"),
            output_file(tmp_path / "a.tgz", ".zip"),
        ):
            raise AssertionError("the work must not start")

    def test_export_refuses_before_it_reads_a_model(self, tmp_path: Path) -> None:
        """Without nnU-Net's folders no model can be read."""
        (tmp_path / "model.zip").write_text("mine")
        with pytest.raises(InputError, match="exists, and nothing is replaced"):
            export_model(1, "T", "P", "2d", [0], tmp_path / "model.zip")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    for draw in ("draw_cases", "draw_statistics", "draw_training"):
        monkeypatch.setattr(figures, draw, lambda *_: [])
    truth = write_folder(tmp_path / "truth", {"a": cubes(4, 2), "b": cubes(5, 3)})
    return Folders({"Mine": write_folder(tmp_path / "pred", {"a": cubes(5, 2), "b": cubes(4, 2)})}, truth)


def test_a_comparison_replaces_only_its_own_files(tmp_path: Path, folders: Folders) -> None:
    out = tmp_path / "out"
    compare(output=out, folders=folders)
    (out / "table1_LGG.md").write_text("of an earlier comparison, with grades")
    (out / "notes.txt").write_text("mine")
    compare(output=out, folders=folders)
    assert not (out / "table1_LGG.md").exists() and (out / "notes.txt").read_text() == "mine"
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    (out / "seeds.csv").write_text("plant,height\nbean,3\n")  # this comparison has no seeds
    with pytest.raises(InputError, match=r"holds seeds\.csv, which this command did not write"):
        compare(output=out, folders=folders)
    assert (out / "seeds.csv").read_text() == "plant,height\nbean,3\n"


def test_a_comparison_into_a_dataset_keeps_its_case_table(tmp_path: Path, folders: Folders) -> None:
    """The cases.csv of a dataset has the same name as that of a comparison."""
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "cases.csv").write_text("case,patient\na,a\n")
    gone = Folders({"Gone": tmp_path / "gone"}, tmp_path / "gone")  # the output is checked before these are read
    with pytest.raises(InputError, match=r"holds cases\.csv, which this command did not write"):
        compare(output=tmp_path / "dataset", folders=gone)
    assert (tmp_path / "dataset" / "cases.csv").read_text() == "case,patient\na,a\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("of_file", [False, True])
def test_an_error_of_a_full_disk_names_the_path_and_leaves_nothing(tmp_path: Path, number: int, of_file: bool) -> None:
    """The error of a failed write names no file; the error of a failed open does."""
    place = output_file(tmp_path / "new/a.zip", ".zip") if of_file else output_folder(tmp_path / "new/a")
    with pytest.raises(InputError, match=r"new.* cannot be written to \(.*\); free some room"), place as partial:
        (partial if of_file else partial / "half.csv").touch()
        raise OSError(number, "full")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="elsewhere"), output_folder(tmp_path / "b"):
        raise OSError(number, "full", "/elsewhere")


def test_simulate_demo_and_gpu_check_refuse_unsuitable_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise AssertionError("the work must not start")

    monkeypatch.setattr(simulation, "icbm152", started)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "performance.md").write_text("mine")
    with pytest.raises(InputError, match="file is a file, not a folder; choose another path with FOLDER"):
        simulation.simulate_release(tmp_path / "file", cases=1)
    with pytest.raises(InputError, match="file is a file, not a folder"):
        run_demo(tmp_path / "file", device="cpu")
    with pytest.raises(InputError, match="file is a file, not a folder"):
        check_device(tmp_path / "file", "cpu", small=True)
    with pytest.raises(InputError, match=r"holds performance\.md, which"):
        check_device(tmp_path, "cpu", small=True)
    assert listing(tmp_path) == ["file", "performance.md"]
