"""Plans for SegAN, the simulated release, and the demo."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from segan_nnunet.data.conversion import convert
from segan_nnunet.data.releases import simulation
from segan_nnunet.data.releases.tables import load_release
from segan_nnunet.errors import InputError
from segan_nnunet.experiments.demo import run_demo
from segan_nnunet.models.configurations import derived_plans, segan_configuration
from segan_nnunet.models.plans import plan


def nnunet_configuration(*patch: int) -> dict[str, Any]:
    return {
        "data_identifier": "nnUNetPlans_2d",
        "patch_size": list(patch),
        "batch_size": 7,
        "spacing": [1.0] * len(patch),
        "architecture": {"network_class_name": "nnU-Net's"},
    }


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        ((192, 160), [160, 160]),
        ((256, 256), [160, 160]),
        ((112, 88), [112, 80]),
        ((96, 40), [96, 32]),
        ((8, 8), [16, 16]),
    ],
)
def test_the_patch_is_160_or_the_largest_planned_multiple_of_16(planned: tuple[int, int], expected: list[int]) -> None:
    assert segan_configuration(nnunet_configuration(*planned))["patch_size"] == expected


def test_plans_have_the_paper_batch_in_2d_and_the_nnunet_batch_in_3d() -> None:
    flat = segan_configuration(nnunet_configuration(192, 192))
    assert flat["batch_size"] == 64
    assert flat["architecture"]["arch_kwargs"]["features_per_stage"] == [64, 128, 256, 512]
    solid = segan_configuration(nnunet_configuration(90, 128, 200))
    assert (solid["patch_size"], solid["batch_size"]) == ([80, 128, 192], 7)
    assert solid["architecture"]["arch_kwargs"]["conv_op"].endswith("Conv3d")


def test_plans_change_only_network_patch_and_batch() -> None:
    nnunet = {
        "dataset_name": "D",
        "plans_name": "nnUNetPlans",
        "configurations": {"2d": nnunet_configuration(192, 192)},
    }
    plans = derived_plans(nnunet, ["2d"], partial(segan_configuration, width=16, batch_size=12))
    assert plans["plans_name"] == "SegANPlans" and nnunet["plans_name"] == "nnUNetPlans"
    ours, theirs = plans["configurations"]["2d"], nnunet["configurations"]["2d"]  # type: ignore[index]  # a literal
    changed = {key for key in ours if ours[key] != theirs[key]}
    assert changed == {"patch_size", "batch_size", "architecture"}
    assert ours["architecture"]["arch_kwargs"]["features_per_stage"] == [16, 32, 64, 128]


@pytest.mark.parametrize("patch", [[100, 160], [160], [0, 16]])
def test_planning_refuses_a_patch_that_does_not_fit(patch: list[int]) -> None:
    with pytest.raises(InputError, match="2 numbers, each a multiple of 16; nnU-Net planned 192 160"):
        segan_configuration(nnunet_configuration(192, 160), patch_size=patch)


def test_planning_refuses_a_plans_name_that_cannot_be_a_folder_name() -> None:
    for name in ("My__Plans", "a/b"):
        with pytest.raises(InputError, match=f"--plans-name {name}: .*without / and __"):
            plan(1, plans_name=name)


def test_an_unknown_configuration_error_lists_the_planned_configurations() -> None:
    nnunet = {"dataset_name": "Dataset001_D", "configurations": {"2d": nnunet_configuration(192, 192)}}
    with pytest.raises(InputError, match="no configuration '3d_lowres' for Dataset001_D; it planned 2d"):
        derived_plans(nnunet, ["3d_lowres"], segan_configuration)


def test_planning_refuses_a_missing_dataset(nnunet_folders: Path) -> None:
    with pytest.raises(InputError, match="no dataset 99.*segan_nnunet convert"):
        plan(99)


@pytest.fixture(scope="module")
def anatomy() -> simulation.Anatomy:
    return simulation.icbm152()


@pytest.mark.usefixtures("coarse_brain")
def test_a_simulated_release_converts_as_brats_2015_and_is_reproducible_by_seed(
    tmp_path: Path, nnunet_folders: Path
) -> None:
    release = simulation.simulate_release(tmp_path / "a", cases=5, seed=3)
    converted = convert(load_release("brats2015"), release, 15)  # runs all checks of the conversion
    assert len(converted.training) == 5 and not converted.test
    assert sorted(path.name for path in release.iterdir()) == ["HGG", "LGG"]
    again = simulation.simulate_release(tmp_path / "b", cases=1, seed=3)
    first = sorted(again.rglob("*.mha"))
    assert len(first) == 5
    for path in first:
        twin = release / path.relative_to(again)
        assert path.read_bytes() == twin.read_bytes()
    other = simulation.simulate_release(tmp_path / "c", cases=1, seed=4)
    truths = [sitk.GetArrayFromImage(sitk.ReadImage(str(next(r.rglob("*OT*.mha"))))) for r in (again, other)]
    assert not np.array_equal(truths[0], truths[1])


@pytest.mark.parametrize("grade", ["HGG", "LGG"])
def test_simulated_tumours_lie_in_the_brain_and_their_regions_nest(anatomy: simulation.Anatomy, grade: str) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        head = simulation.deform(anatomy, rng)
        labels = simulation.grow_tumour(head, grade, rng)
        assert labels.any() and not labels[~head.brain].any()
        assert (labels == simulation.NECROSIS).any() == (grade == "HGG")
        fraction = (labels > 0).sum() / head.brain.sum()
        assert 0.001 < fraction < 0.2
        for modality in simulation.CONTRASTS:
            volume = simulation.image(head, labels, modality, rng)
            assert (volume[~head.brain] == 0).all() and (volume[head.brain] > 0).all(), "the brain is extracted"


def test_simulated_modalities_have_the_expected_contrast(anatomy: simulation.Anatomy) -> None:
    rng = np.random.default_rng(0)
    labels = simulation.grow_tumour(anatomy, "HGG", rng)
    flair, t1c = (simulation.image(anatomy, labels, modality, rng) for modality in ("FLAIR", "T1c"))
    white = (anatomy.white > 0.9) & (labels == 0)
    assert flair[labels == simulation.EDEMA].mean() > 1.3 * flair[white].mean(), "oedema is bright in FLAIR"
    assert t1c[labels == simulation.ENHANCING].mean() > 1.2 * t1c[white].mean(), "the rim takes up contrast agent"


def test_the_demo_refuses_bad_input_before_it_works(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="is not empty"):
        run_demo(tmp_path)
    with pytest.raises(InputError, match="2 cases are too few"):
        run_demo(tmp_path / "new", cases=2)
    with pytest.raises(InputError, match="no device 'tpu'"):
        run_demo(tmp_path / "new", device="tpu")
    assert not (tmp_path / "new").exists()
