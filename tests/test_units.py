"""`compare` for folders without a dataset: the patients, the primary endpoint, and the definition of HD95."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segan_nnunet.comparison import compare
from segan_nnunet.data.case_table import read_patients
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Folders, compared_folders
from segan_nnunet.evaluation.presentation import figures, result_folder
from segan_nnunet.evaluation.presentation.table_notes import units_note
from segan_nnunet.evaluation.scores.definitions import Hd95, Lesions, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.protocols import AUTO, resolve
from segan_nnunet.evaluation.scores.score_tables import primary_columns, score_tables
from segan_nnunet.evaluation.settings import Settings
from tests.hand_made_results import cubes, write_folder

pytestmark = pytest.mark.usefixtures("quick_correction")

PATIENTS = "case,patient,grade\na,p,HGG\nb,p,HGG\nc,q,LGG\n"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """Write three cases and two methods; skip pictures and report."""
    for name in ("draw_statistics", "draw_cases", "draw_training"):
        monkeypatch.setattr(figures, name, lambda *_: [])
    monkeypatch.setattr(result_folder, "write_report", lambda path, *_: path.touch())
    truths = {"a": cubes(4, 2), "b": cubes(4, 1), "c": cubes(2, 1)}
    write_folder(tmp_path / "truth", truths)
    write_folder(tmp_path / "A", truths)
    write_folder(tmp_path / "B", dict.fromkeys(truths, cubes(4, 2)))
    return Folders({"A": tmp_path / "A", "B": tmp_path / "B"}, tmp_path / "truth")


def run(folders: Folders, tmp_path: Path, patients: str | None = None, **settings: object) -> Path:
    if patients is not None:
        (tmp_path / "patients.csv").write_text(patients)
        folders = Folders(**{**vars(folders), "patients": tmp_path / "patients.csv"})
    made = compare(output=tmp_path / "out", folders=folders, settings=Settings(processes=1, **settings))  # type: ignore[arg-type]
    return made.files[0].parent


def test_a_file_of_patients_defines_the_units(folders: Folders, tmp_path: Path) -> None:
    output = run(folders, tmp_path)
    assert set(pd.read_csv(output / "tests.csv")["pairs"]) == {3}
    assert "no table names their patients (--patients FILE)" in (output / "table1.md").read_text()
    output = run(folders, tmp_path, PATIENTS)
    tests = pd.read_csv(output / "tests.csv").set_index(["stratum", "score", "region"])
    assert tests.loc[("all", "Dice", "whole tumor"), "pairs"] == 2
    # of patient p: whole tumour as the truth in both scans; of q 8 voxels predicted as 64
    assert tests.loc[("all", "Dice", "whole tumor"), "difference"] == pytest.approx((0 + 16 / 72 - 1) / 2)
    text = (output / "table1.md").read_text()
    assert (
        "2 patients, each the mean of its scans (3 cases)" in text
        and "units of intervals and tests are the patients" in text
    )
    assert (output / "table1_HGG.md").is_file() and (output / "table1_LGG.md").is_file()
    assert set(pd.read_csv(output / "cases.csv")["grade"]) == {"HGG", "LGG"}


def test_a_file_of_patients_may_have_more_rows_and_no_grades(folders: Folders, tmp_path: Path) -> None:
    output = run(folders, tmp_path, "Patient;Case\nq;c\np;b\np;a\nr;elsewhere\n")
    assert set(pd.read_csv(output / "tests.csv")["pairs"]) == {2}
    assert not (output / "table1_unknown.md").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,patient\na,p\nb,p\n", "has no row for 1 of the compared cases: c"),
        ("case,patient\na.mha,p\nb.mha,p\nc.mha,q\n", "without their ending; its first value is a.mha"),
        ("case,grade\na,HGG\nb,HGG\nc,LGG\n", "has no column patient"),
        ("case,patient\na,p\na,p\nb,p\nc,q\n", "has a twice"),
        ("case,patient\na,p\n\u00e9,p\ne\u0301,q\nb,p\nc,q\n", "twice; every case has one row"),
        ("case,patient,Patient\na,p,r\nb,p,r\nc,q,r\n", "has two columns 'patient'"),
        ("case,patient,grade,grade\na,p,HGG,1\nb,p,HGG,1\nc,q,LGG,1\n", "has two columns 'grade'"),
        ("case,patient\na,p,r\nb,p\nc,q\n", "the row of a has 3 values"),
        ("", "patients.csv is empty"),
    ],
)
def test_a_file_of_patients_that_does_not_match_is_refused(
    folders: Folders, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match="patients.csv") as refused:
        run(folders, tmp_path, text)
    assert message in str(refused.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="missing.csv does not exist"):
        compare(output=tmp_path / "out", folders=Folders(**{**vars(folders), "patients": tmp_path / "missing.csv"}))


def test_patient_names_are_normalised_and_rows_without_a_case_are_skipped(tmp_path: Path) -> None:
    """A Mac decomposes letters, so both rows are of one patient. Two empty columns do not share a name."""
    table = tmp_path / "patients.csv"
    table.write_text("case,patient,,\na,Andr\u00e9,,\nb,Andre\u0301,,\n,total 2,,\n,,,\n")
    assert read_patients(table, ["a", "b"])["patient"].nunique() == 1


def test_cases_without_a_patient_are_units(folders: Folders) -> None:
    """The case table of a dataset may omit the cases of a test set."""
    compared = compared_folders(None, folders)
    elsewhere = replace(compared, patients={"of the training": "p"})
    assert units_note(elsewhere, 3, 3) == units_note(compared, 3, 3)
    assert "the cases, because no table names their patients" in units_note(elsewhere, 3, 3)
    partly = units_note(replace(compared, patients={"a": "p", "b": "p"}), 3, 2)
    assert "are the patients. The table names no patient for 1 of the cases (c). They count as patients of" in partly
    whole = units_note(replace(compared, patients={"a": "p", "b": "q", "c": "r"}), 3, 3)
    assert whole == "The units of intervals and tests are the patients, one case each."


def test_a_note_about_few_units_uses_the_family_of_its_own_table(folders: Folders, tmp_path: Path) -> None:
    """Two patients with HGG give 2 / 2² = .5. Holm corrects for the two tests of the grade's smallest family."""
    patients = "case,patient,grade\na,p,HGG\nb,q,HGG\nc,r,LGG\n"
    output = run(folders, tmp_path, patients, primary=["Dice", "HD95_mm"])
    primary = 2 * 2  # scores and regions, in all cases
    assert (
        f"no difference of the primary endpoint can be significant: the smallest p that 3 pairs can give is 0.25, "
        f"before Holm's correction for {primary} comparisons" in (output / "table1.md").read_text()
    )
    tests = pd.read_csv(output / "tests.csv")
    smallest = tests[tests["stratum"] == "HGG"]["family"].value_counts().min()
    assert smallest == 2, "regions, of ASSD"
    text = (output / "table1_HGG.md").read_text()
    assert (
        f"no difference can be significant: the smallest p that 2 pairs can give is 0.5, "
        f"before Holm's correction for {smallest} comparisons" in text
    )


def test_every_column_is_documented(folders: Folders, tmp_path: Path) -> None:
    output = run(folders, tmp_path, PATIENTS)
    documented = Path("docs/evaluation.md").read_text().split("### Columns")[1]
    for name in ("table1", "tests", "cases"):
        columns = set(pd.read_csv(output / f"{name}.csv")) - {"NSD_1mm"}
        assert {column for column in columns if f"`{column}`" not in documented} == set(), name


def test_the_primary_endpoint_must_be_a_score_of_the_comparison(folders: Folders, tmp_path: Path) -> None:
    measures = Measures()
    assert primary_columns(measures, ["hd95", "Dice", "dice", "NSD_0.5mm"]) == ["HD95_mm", "Dice", "NSD_0.5mm"]
    for unknown in ("Jaccard", "LesionDice", "NSD_3mm", "SignedVolumeDifference"):  # the last is not tested
        with pytest.raises(InputError, match=f"not '{unknown}'"):
            primary_columns(measures, [unknown])
    assert primary_columns(Measures(lesions=Lesions.BRATS_2023), ["lesiondice"]) == ["LesionDice"]
    tests = pd.read_csv(run(folders, tmp_path, primary=("hd95",)) / "tests.csv")
    assert set(tests.loc[tests["family"] == "primary", "score"]) == {"HD95_mm"}


def test_a_comparison_uses_one_hd95_or_names_both() -> None:
    """The lesion rules of 2023 use HD95 by area. The HD95 of whole regions follows them, except on request."""
    follows = chosen(Hd95.AUTO, Lesions.BRATS_2023, "")
    assert (
        follows.hd95 is Hd95.SURFACE and "HD95 (mm)" in titles(follows) and "Lesion-wise HD95 (mm)" in titles(follows)
    )
    assert chosen(Hd95.AUTO, Lesions.BRATS_2026, "brats2023-gli").hd95 is Hd95.POOLED
    assert chosen(Hd95.AUTO, Lesions.NONE, "brats2023-gli").hd95 is Hd95.SURFACE
    apart = chosen(Hd95.POOLED, Lesions.BRATS_2023, "")
    assert {"HD95 pooled (mm)", "Lesion-wise HD95 surface (mm)"} <= titles(apart)


def chosen(hd95: Hd95, lesions: Lesions, release: str) -> Measures:
    return resolve(AUTO, release, EmptyPolicy.AUTO, Measures(hd95, lesions=lesions)).measures


def titles(measures: Measures) -> set[str]:
    return {score.title for table in score_tables(measures) for score in table.scores}


def test_only_tables_without_any_measured_column_are_left_out() -> None:
    """A table that lacks one column stays, so that its missing score is an error and not a missing table."""
    tables = score_tables(Measures(), ["Dice", "Precision", "Sensitivity", "HD95_mm"])
    assert [table.name for table in tables] == ["table1", "further_scores"]


def test_a_region_without_units_has_undefined_means_and_no_conclusion(folders: Folders, tmp_path: Path) -> None:
    """No case has the region. Table, tests and notes are still written."""
    empty = dict.fromkeys("abc", np.zeros((10, 10, 10), np.uint8))
    for name in ("truth", "A", "B"):
        write_folder(tmp_path / name, empty)
    tests = pd.read_csv(run(folders, tmp_path) / "tests.csv")
    assert tests["verdict"].isna().all() and tests.loc[tests["score"] == "Dice", "pairs"].eq(0).all()
