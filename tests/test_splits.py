"""A split keeps all scans of a patient on one side."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nnunetv2.utilities.crossval_split import generate_crossval_split

from segan_nnunet.data.conversion import convert
from segan_nnunet.data.releases.tables import load_release
from segan_nnunet.data.splits import holdout, kfold, write_splits
from segan_nnunet.errors import InputError


def case_table(patients: int, scans: int = 2) -> pd.DataFrame:
    rows = [
        {"case": f"p{p}_{s}", "patient": f"p{p}", "grade": "LGG" if p % 3 == 0 else "HGG", "truth": "x"}
        for p in range(patients)
        for s in range(scans)
    ]
    return pd.DataFrame(rows)


def test_a_split_keeps_patients_together_and_holds_out_every_case_once() -> None:
    cases = case_table(15)
    splits = kfold(cases, 5, seed=1)
    held_out: list[str] = []
    for fold in splits:
        patients = [{case.split("_")[0] for case in fold[side]} for side in ("train", "val")]
        assert not patients[0] & patients[1]
        grades = cases.set_index("case").loc[fold["val"], "grade"]
        assert (grades == "LGG").sum() == 2, "5 of 15 patients are low grade: one patient with two scans in each fold"
        held_out += fold["val"]
    assert sorted(held_out) == sorted(cases["case"])


def test_split_writes_the_file_of_nnunet_and_does_not_overwrite_it(release_2015: Path, nnunet_folders: Path) -> None:
    convert(load_release("brats2015"), release_2015, 15)
    table = write_splits(15, folds=2)
    assert list(table["patients"]) == [1, 1] and table["HGG"].sum() == 2 and table["LGG"].sum() == 1
    path = nnunet_folders / "nnUNet_preprocessed" / "Dataset015_BRATS2015" / "splits_final.json"
    splits = json.loads(path.read_text())
    assert len(splits) == 2
    write_splits(15, folds=2)  # the same split again is accepted
    path.write_text(json.dumps(splits[::-1]))
    with pytest.raises(InputError, match="holds other splits.*--overwrite"):
        write_splits(15, folds=2)
    write_splits(15, folds=2, overwrite=True)
    assert json.loads(path.read_text()) == splits


def test_split_names_trained_folds_whose_cases_would_change(
    release_2015: Path, nnunet_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(load_release("brats2015"), release_2015, 15)
    write_splits(15, folds=2)
    path = nnunet_folders / "nnUNet_preprocessed" / "Dataset015_BRATS2015" / "splits_final.json"
    one, other = before = json.loads(path.read_text())
    results = nnunet_folders / "nnUNet_results" / "Dataset015_BRATS2015"
    for fold in ("My__Net__P__2d/fold_0", "My__Net__P__2d/fold_1", "B__P__2d/fold_1", "C__P__2d/fold_0"):
        (results / fold).mkdir(parents=True)
        (results / fold / "checkpoint_latest.pth").touch()
    (results / "C__P__2d" / "fold_0" / "checkpoint_latest.pth").unlink()  # begun but never saved
    for fold, cases in (("My__Net__P__2d/fold_1", other), ("B__P__2d/fold_1", one)):
        (results / fold / "trained_on.json").write_text(json.dumps(cases))
    path.write_text(json.dumps([other, one]))  # B was trained on the second of them
    with pytest.raises(InputError, match="trained: B__P__2d fold_1, My__Net__P__2d fold_0; --overwrite"):
        write_splits(15, folds=2)
    write_splits(15, folds=2, overwrite=True)
    assert json.loads(path.read_text()) == before
    assert json.loads(path.with_name("splits_final_replaced.json").read_text()) == [other, one]
    output = capsys.readouterr().out
    assert "B__P__2d fold_1, My__Net__P__2d fold_0. crossval and compare will refuse them. Remove" in output


def test_the_default_split_of_nnunet_leaks_patients() -> None:
    cases = case_table(100, scans=2)
    patient = cases.set_index("case")["patient"]

    def leaked(splits: list[dict[str, list[str]]]) -> list[int]:
        return [len(set(patient[fold["train"]]) & set(patient[fold["val"]])) for fold in splits]

    assert leaked(kfold(cases, 5, seed=12345)) == [0] * 5
    default = leaked(generate_crossval_split(sorted(cases["case"]), seed=12345, n_splits=5))
    assert min(default) > 20, (
        "most of the about 40 validation scans of a fold have another scan of the patient in the training set"
    )


def test_the_holdout_takes_a_tenth_of_the_patients_of_each_grade() -> None:
    cases = case_table(60)  # 20 low and 40 high grade patients with two scans each
    (split,) = holdout(cases, seed=3)
    patients = [{case.split("_")[0] for case in split[side]} for side in ("train", "val")]
    assert not patients[0] & patients[1] and len(patients[0] | patients[1]) == 60
    grades = cases.set_index("case").loc[split["val"], "grade"].value_counts()
    assert grades.to_dict() == {"HGG": 8, "LGG": 4}
    assert holdout(cases, seed=3) == [split] != holdout(cases, seed=4)


def test_the_holdout_refuses_a_grade_with_a_single_patient() -> None:
    with pytest.raises(InputError, match="grade 'LGG' has a single patient.*--scheme kfold"):
        holdout(case_table(3), seed=0)


def test_folds_balance_the_grades_to_within_one_patient() -> None:
    rng = np.random.default_rng(0)
    rows = []  # as BRATS 2015: 220 high and 54 low grade scans, some patients with several
    for grade, scans in (("HGG", 220), ("LGG", 54)):
        while scans > 0:
            of_patient = min(scans, int(rng.integers(1, 4)))
            rows += [
                {"case": f"{grade}{scans}_{s}", "patient": f"{grade}{scans}", "grade": grade} for s in range(of_patient)
            ]
            scans -= of_patient
    cases = pd.DataFrame(rows)
    for grade in ("HGG", "LGG"):
        of_grade = cases[cases["grade"] == grade]
        counts = [
            of_grade[of_grade["case"].isin(fold["val"])]["patient"].nunique() for fold in kfold(cases, 5, seed=12345)
        ]
        assert max(counts) - min(counts) <= 1


def test_the_split_accepts_as_many_folds_as_patients() -> None:
    splits = kfold(case_table(5, scans=1), 5, seed=0)
    assert sorted(fold["val"] for fold in splits) == [[f"p{p}_0"] for p in range(5)]


def test_the_split_refuses_more_folds_than_patients() -> None:
    with pytest.raises(InputError, match="5 folds cannot be made of 3 patients"):
        kfold(case_table(3), 5, seed=0)


@pytest.fixture
def own_dataset(nnunet_folders: Path) -> Path:
    """Write a user's dataset: twelve cases of six patients, without a case table."""
    folder = nnunet_folders / "nnUNet_raw" / "Dataset005_Own"
    (folder / "labelsTr").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz"}))
    for case in (f"p{p}_{s}" for p in range(6) for s in range(2)):
        (folder / "labelsTr" / f"{case}.nii.gz").touch()
    return folder


def test_a_user_dataset_needs_a_table_of_its_patients(own_dataset: Path) -> None:
    with pytest.raises(InputError, match="cases.csv is missing.*--layout.*columns case,patient,grade"):
        write_splits(5)
    rows = ["case,patient", *(f"p{p}_{s},p{p}" for p in range(6) for s in range(2))]
    (own_dataset / "cases.csv").write_text("\n".join(rows))
    assert write_splits(5, folds=3)["patients"].tolist() == [2, 2, 2]
    for changed, message in (
        (rows[:-1], "1 cases of .* are only in cases.csv, or only among the training cases, such as p5_1"),
        ([*rows, "typo,p9"], "such as typo"),
        ([*rows, rows[1]], "has p0_0 twice"),
        (["case;grade"], "no column patient"),
        ([], "cases.csv is empty, not a table"),
    ):
        (own_dataset / "cases.csv").write_text("\n".join(changed))
        with pytest.raises(InputError, match=message):
            write_splits(5, folds=3, overwrite=True)


def test_cases_without_a_patient_are_separate_patients(own_dataset: Path) -> None:
    rows = ["case,patient", *(f"p{p}_{s}," for p in range(6) for s in range(2))]
    (own_dataset / "cases.csv").write_text("\n".join(rows))
    assert write_splits(5, folds=3)["patients"].sum() == 12


def test_one_unknown_grade_does_not_prevent_stratification() -> None:
    cases = case_table(60, scans=1)
    cases.loc[0, "grade"] = ""
    of_fold = [cases[cases["case"].isin(fold["val"])]["grade"].eq("LGG").sum() for fold in kfold(cases, 5, seed=0)]
    assert max(of_fold) - min(of_fold) <= 1
