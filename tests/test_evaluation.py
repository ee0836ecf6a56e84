"""`compare` from end to end, with validations and folders made by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from segan_nnunet.comparison import compare
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Folders, parse_folders
from segan_nnunet.evaluation.presentation import figures, result_folder
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.settings import Settings
from tests.hand_made_results import NAME, cubes, validate, write_dataset, write_folder, write_volume

pytestmark = pytest.mark.usefixtures("quick_correction")

PERFECT = (cubes(4, 2), cubes(4, 2))
LARGER = (cubes(2, 1), cubes(4, 1))  # whole tumour 8 voxels, predicted 64: Dice 16/72, precision 1/8, sensitivity 1
NO_CORE = (cubes(4, 2), cubes(4))  # core 8 voxels, predicted none


@pytest.fixture
def validated(nnunet_folders: Path) -> Path:
    write_dataset(nnunet_folders)
    # both methods are validated on the same references
    for model, second in (("SegAN__SegANPlans__2d", LARGER), ("UNet__SegANPlans__2d", (cubes(2, 1), cubes(2)))):
        validate(nnunet_folders, model, 0, {"a": PERFECT})
        validate(nnunet_folders, model, 1, {"b": second})
    return nnunet_folders


@pytest.fixture
def tables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the pictures and the report, which take seconds and have their own tests."""
    for name in ("draw_statistics", "draw_cases", "draw_training"):
        monkeypatch.setattr(figures, name, lambda *_: [])
    monkeypatch.setattr(result_folder, "write_report", lambda path, *_: path.touch())


@pytest.mark.usefixtures("tables_only")
def test_the_comparison_equals_values_from_geometry(validated: Path) -> None:
    made = compare(1, trainers=["UNet", "SegAN"])
    table = pd.read_csv(made.files[0].parent / "table1.csv").set_index(["method", "score", "region"])
    expected = {
        ("SegAN", "Dice", "whole tumor"): (1 + 16 / 72) / 2,
        ("SegAN", "Precision", "whole tumor"): (1 + 1 / 8) / 2,
        ("SegAN", "Sensitivity", "whole tumor"): 1.0,
        ("SegAN", "Specificity", "whole tumor"): (1 + (1000 - 64) / (1000 - 8)) / 2,
        ("SegAN", "VolumeDifference_ml", "whole tumor"): 56 / 1000 / 2,
        ("SegAN", "HD95_mm", "tumor core"): 0.0,
        ("SegAN", "Dice", "tumor core"): 1.0,
        ("UNet", "Dice", "whole tumor"): 1.0,
        ("UNet", "Dice", "tumor core"): 0.5,
        ("UNet", "Precision", "tumor core"): 0.5,  # in the other case it predicts no core, though there is one
        ("UNet", "Sensitivity", "tumor core"): 0.5,
    }
    for key, value in expected.items():
        assert table.loc[key, "mean"] == pytest.approx(value), key
    assert table.loc[("UNet", "Precision", "tumor core"), "cases"] == 2
    lines = made.table.splitlines()
    assert lines[2].startswith("| UNet | **1.000** | 0.500 |"), "in the order asked for, the best in bold"
    assert "Mean over 2 cases (validation cases of Dataset001_Tiny, folds 0, 1" in made.table
    assert "policy nnunet" in made.table and "fails in every score" in made.table
    assert "no difference of the primary endpoint can be significant" in made.table


def test_compare_writes_the_documented_files(validated: Path) -> None:
    folder = validated / "nnUNet_results" / NAME / "comparison__2d"
    folder.mkdir()
    (folder / "table1.md").write_text("of an earlier comparison")
    (folder / "table1_HGG.md").write_text("of its grades")
    made = compare(1)
    assert {path.parent for path in made.files} == {folder}
    assert {path.name for path in made.files} == {path.name for path in folder.iterdir()}, "nothing else is left"
    for name in ("figure2", "figure3", "distributions", "volumes"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    cases = pd.read_csv(folder / "cases.csv")
    assert len(cases) == 2 * 2 * 2  # methods, cases, regions
    assert cases.set_index("case")["fold"].to_dict() == {"a": 0, "b": 1}
    assert not list(folder.parent.glob(".comparison*"))
    assert (folder / "table1.md").read_text() == made.table


@pytest.mark.usefixtures("tables_only")
def test_empty_policy_brats_counts_every_case(validated: Path) -> None:
    made = compare(1, settings=Settings(EmptyPolicy.BRATS))
    table = pd.read_csv(made.files[0].parent / "table1.csv").set_index(["method", "score", "region"])
    assert set(table["cases"]) == {2}
    assert table.loc[("UNet", "Precision", "tumor core"), "mean"] == pytest.approx((1 + 0) / 2)
    diagonal = np.sqrt(3 * 10**2)
    assert table.loc[("UNet", "HD95_mm", "tumor core"), "mean"] == pytest.approx((0 + diagonal) / 2)
    assert "policy brats" in made.table and "HD95 and ASSD are the diagonal of the volume" in made.table


@pytest.mark.usefixtures("tables_only")
def test_different_cases_are_refused_with_the_difference_or_intersected_on_request(validated: Path) -> None:
    validate(validated, "SegAN__SegANPlans__2d", 2, {"c": PERFECT})
    with pytest.raises(InputError, match=r"UNet lacks 1 case \(of fold 2\): c\. Train the missing folds"):
        compare(1)
    assert "folds 0, 1" in compare(1, folds=[0, 1]).table
    common = compare(1, settings=Settings(intersection=True)).table
    assert "Mean over 2 cases" in common and "Left out, because not every method has them: 1 cases, c." in common
    assert "UNet: fold 2 not trained" not in common, "without splits only folders of folds are known"


@pytest.mark.usefixtures("tables_only")
def test_the_names_of_methods_distinguish_plans_and_configurations(validated: Path) -> None:
    for fold, (case, volumes) in enumerate({"a": PERFECT, "b": LARGER}.items()):
        validate(validated, "SegAN__nnUNetPlans__2d", fold, {case: volumes})
        validate(validated, "SegAN__nnUNetPlans__3d_fullres", fold, {case: volumes})
    table = compare(1).table
    assert "| SegAN (SegANPlans) |" in table and "| SegAN (nnUNetPlans) |" in table
    assert "nnUNetPlans" not in compare(1, plans=["SegANPlans"]).table
    both = compare(1, ["2d", "3d_fullres"], plans=["nnUNetPlans"])
    assert "| SegAN (2d) |" in both.table and "| SegAN (3d_fullres) |" in both.table
    assert both.files[0].parent.name == "comparison__2d_3d_fullres"


def test_an_error_names_missing_trainers_folds_and_baselines(validated: Path) -> None:
    with pytest.raises(InputError, match=r"no validated fold of Typo.*Validated: SegAN -p SegANPlans, UNet"):
        compare(1, trainers=["Typo"])
    with pytest.raises(InputError, match="no validated model of configuration 3d_fullres"):
        compare(1, configuration="3d_fullres")
    with pytest.raises(InputError, match=r"fold_4.*has not finished.*--c"):
        compare(1, folds=[4])
    with pytest.raises(InputError, match="no method 'Typo'; --baseline takes one of SegAN, UNet"):
        compare(1, settings=Settings(baseline="Typo"))


@pytest.mark.usefixtures("tables_only")
def test_seeds_of_different_plans_are_not_averaged(validated: Path) -> None:
    for seed, batch_size in ((0, 2), (1, 2), (2, 4)):
        for fold, (case, volumes) in enumerate({"a": PERFECT, "b": LARGER}.items()):
            validate(validated, f"Net_seed{seed}__SegANPlans__2d", fold, {case: volumes})
            folder = validated / "nnUNet_results" / NAME / f"Net_seed{seed}__SegANPlans__2d" / f"fold_{fold}"
            plans = {"configurations": {"2d": {"batch_size": batch_size}}}
            torch.save({"init_args": {"plans": plans}}, folder / "checkpoint_final.pth")
    assert "| Net |" in compare(1, seeds=[0, 1]).table
    with pytest.raises(InputError, match="Net_seed2.*fold_0 was trained under other plans .*Net_seed0.*batch_size"):
        compare(1, trainers=["Net"])


@pytest.mark.usefixtures("tables_only")
def test_seeds_of_a_trainer_are_averaged_per_case_and_have_separate_rows_on_request(validated: Path) -> None:
    """In case b, the seeds reach Dice 1 and 16 / 72 of the whole tumour, and UNet reaches 1."""
    for seed, prediction in ((0, cubes(2, 1)), (3, cubes(4, 1))):
        validate(validated, f"Net_seed{seed}__SegANPlans__2d", 0, {"a": PERFECT})
        validate(validated, f"Net_seed{seed}__SegANPlans__2d", 1, {"b": (cubes(2, 1), prediction)})
    made = compare(1, trainers=["Net", "UNet"])
    folder = made.files[0].parent
    cases = pd.read_csv(folder / "cases.csv").set_index(["method", "case", "region"])["Dice"]
    assert cases["Net", "b", "whole tumor"] == pytest.approx((1 + 16 / 72) / 2)
    seeds = pd.read_csv(folder / "seeds.csv").set_index(["method", "seed", "region"])["Dice"]
    assert seeds["Net", 0, "whole tumor"] == 1 and seeds["Net", 3, "whole tumor"] == pytest.approx((1 + 16 / 72) / 2)
    assert set(pd.read_csv(folder / "tests.csv")["test"]) == {"seeds and units, one training"}
    assert "Net is the mean over the seeds 0, 3 of each case." in made.table
    assert "| Net_seed3 |" in compare(1, trainers=["Net_seed3", "UNet"]).table, "named, a seed has a row of its own"


@pytest.mark.usefixtures("tables_only")
def test_a_note_below_the_table_names_unfinished_and_untrained_folds(validated: Path) -> None:
    for case in "cd":
        write_volume(validated / "nnUNet_preprocessed" / NAME / "gt_segmentations" / f"{case}.mha", cubes(4, 2))
    splits = [{"train": sorted({*"abcd"} - {case}), "val": [case]} for case in "abcd"]
    (validated / "nnUNet_preprocessed" / NAME / "splits_final.json").write_text(json.dumps(splits))
    (validated / "nnUNet_results" / NAME / "UNet__SegANPlans__2d" / "fold_2").mkdir()
    table = compare(1).table
    assert "SegAN: fold 2, 3 not trained" in table and "UNet: fold 2 unfinished; fold 3 not trained" in table


@pytest.mark.usefixtures("tables_only")
def test_folders_of_predictions_are_compared_with_trainers_or_alone(validated: Path, tmp_path: Path) -> None:
    other = write_folder(tmp_path / "other", {"a": cubes(4, 2), "b": cubes(2, 1)})
    beside = compare(1, trainers=["UNet"], folders=Folders({"Other": other}))
    assert "| UNet |" in beside.table and "| Other | 1.000 | **1.000** |" in beside.table, (
        "alike in one column, best in the other"
    )
    truth = write_folder(tmp_path / "truth", {"a": cubes(4, 2), "b": cubes(2, 1)})
    alone = compare(output=tmp_path / "out", folders=Folders({"Other": other}, truth))
    assert "| Other | 1.000 | 1.000 |" in alone.table, "the only method is not marked best"
    assert "references truth" in alone.table
    assert not (tmp_path / "out" / "training_curves.png").exists()
    cases = pd.read_csv(tmp_path / "out" / "cases.csv")
    assert cases["fold"].isna().all() and (cases["HD95_mm"] == 0).all()


@pytest.mark.usefixtures("tables_only")
def test_grades_of_the_case_table_have_separate_tables(validated: Path) -> None:
    (validated / "nnUNet_raw" / NAME / "cases.csv").write_text("case,patient,grade\na,p1,HGG\nb,p2,LGG\n")
    folder = compare(1).files[0].parent
    assert "grade LGG only" in (folder / "table1_LGG.md").read_text()
    summary = pd.read_csv(folder / "table1.csv").set_index(["stratum", "method", "score", "region"])
    assert summary.loc[("LGG", "SegAN", "Dice", "whole tumor"), "mean"] == pytest.approx(16 / 72)
    assert summary.loc[("HGG", "SegAN", "Dice", "whole tumor"), "mean"] == 1


@pytest.mark.usefixtures("tables_only")
def test_grades_with_colliding_file_names_get_separate_files(validated: Path) -> None:
    table = validated / "nnUNet_raw" / NAME / "cases.csv"
    table.write_text("case,patient,grade\na,p1,II/III\nb,p2,II_III\n")
    folder = compare(1).files[0].parent
    said = [(folder / f"table1_{name}.md").read_text() for name in ("II_III", "II_III_")]
    assert "grade II/III only" in said[0] and "grade II_III only" in said[1]
    table.write_text("case,patient,grade\na,p1,all\nb,p2,LGG\n")
    made = compare(1)
    assert "Mean over 2 cases" in made.table and "1 case " in (folder / "table1_grade_all.md").read_text()


@pytest.mark.usefixtures("tables_only")
def test_a_comparison_of_other_trainers_gets_a_separate_folder(validated: Path) -> None:
    first = compare(1, trainers=["SegAN"])
    other = compare(1, trainers=["UNet"])
    assert [made.files[0].parent.name for made in (first, other)] == ["comparison__2d", "comparison__2d_2"]
    assert first.files[0].read_text() == first.table and other.files[0].read_text() == other.table
    grown = compare(1, trainers=["UNet", "SegAN"])
    assert grown.files[0].parent.name == "comparison__2d", "more of the same takes its place"
    assert compare(1, trainers=["UNet"]).files[0].parent.name == "comparison__2d_2"


@pytest.mark.usefixtures("tables_only")
def test_a_note_about_few_units_calls_them_patients(validated: Path) -> None:
    (validated / "nnUNet_raw" / NAME / "cases.csv").write_text("case,patient\na,p1\nb,p1\n")
    assert "1 patient is few" in compare(1).table


def bad_folder(tmp_path: Path, prediction: np.ndarray, spacing: tuple[int, ...] = (1, 1, 1)) -> Folders:
    """Return a folder with one correct reference `a` and one prediction of it."""
    truth = write_folder(tmp_path / "truth", {"a": cubes(4, 2)})
    folder = write_folder(tmp_path / "bad", {})
    write_volume(folder / "a.mha", prediction, spacing)
    return Folders({"Bad": folder}, truth)


def test_an_error_names_each_bad_file_and_compare_writes_nothing(tmp_path: Path) -> None:
    output = tmp_path / "output"
    unknown = cubes(4)
    unknown[0, 0, 0] = 7
    for prediction, spacing, message in (
        (cubes(4)[:9], (1, 1, 1), r"bad/a\.mha has 10 x 10 x 9 voxels, its reference 10 x 10 x 10"),
        (cubes(4), (1, 1, 2), r"bad/a\.mha has the spacing \(1, 1, 2\), its reference \(1, 1, 1\)"),
        (unknown, (1, 1, 1), r"bad/a\.mha has the unknown label 7; dataset\.json knows 0, 1, 2"),
        (cubes(4) * 0.5, (1, 1, 1), r"bad/a\.mha has the unknown label 0\.5;"),
    ):
        with pytest.raises(InputError, match=message):
            compare(output=output, folders=bad_folder(tmp_path, prediction, spacing))
        for path in (tmp_path / "bad", tmp_path / "truth"):
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
    folders = bad_folder(tmp_path, cubes(4))
    path = tmp_path / "bad" / "a.mha"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"bad/a\.mha (was cut off|is damaged)"):
        compare(output=output, folders=folders)
    assert not output.exists() and not list(tmp_path.glob(".output*"))


def test_an_error_names_bad_folders_and_options(tmp_path: Path, nnunet_folders: Path) -> None:
    good = write_folder(tmp_path / "good", {"a": cubes(4)})
    empty = write_folder(tmp_path / "empty", {})
    truth = write_folder(tmp_path / "truth", {"a": cubes(4), "b": cubes(4)})
    output = tmp_path / "output"
    for folders, message in (
        (Folders({"Empty": empty}, truth), r"empty holds no segmentation: no file there ends in \.mha"),
        (Folders({"Gone": tmp_path / "gone"}, truth), r"gone is not a folder"),
        (Folders({"Good": good}, truth), r"Good lacks 1 case: b.*--intersection"),
        (Folders({"Good": truth}, good), r"1 cases have no reference: b"),
        (Folders({}, truth), r"--reference goes with --predictions NAME=FOLDER"),
    ):
        with pytest.raises(InputError, match=message):
            compare(output=output, folders=folders)
    with pytest.raises(InputError, match="-o is missing"):
        compare(folders=Folders({"Good": good}, good))
    with pytest.raises(InputError, match="give a dataset, -d ID, or folders"):
        compare(folders=Folders({"Good": good}))
    for name in ("good", "truth"):
        (tmp_path / name / "dataset.json").unlink()
    with pytest.raises(InputError, match="no dataset.json defines the label values.*--dataset-json"):
        compare(output=output, folders=Folders({"Good": good}, truth))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match=r"other\.json is not in the form of nnU-Net v2: `labels` is missing"):
        compare(output=output, folders=Folders({"Good": good}, truth, dataset_json=tmp_path / "other.json"))
    assert not output.exists()
    assert parse_folders(["A=x", "B=y=z"]) == {"A": Path("x"), "B": Path("y=z")}
    for given, message in ((["folder"], "takes NAME=FOLDER"), (["A=x", "A=y"], "two folders.*have the name 'A'")):
        with pytest.raises(InputError, match=message):
            parse_folders(given)


def test_a_validation_that_differs_from_its_files_is_refused(validated: Path) -> None:
    fold = validated / "nnUNet_results" / NAME / "UNet__SegANPlans__2d" / "fold_1" / "validation"
    write_volume(fold / "b.mha", cubes(3, 1))
    with pytest.raises(InputError, match=r"fold_1.*summary\.json has other voxel counts of b, whole tumor"):
        compare(1)
    (fold / "b.mha").unlink()
    with pytest.raises(InputError, match=r"fold_1.validation lacks predictions .*such as b\.mha.*--val"):
        compare(1)
    (fold / "summary.json").write_text("{")
    with pytest.raises(InputError, match=r"summary\.json is damaged"):
        compare(1)
