"""Features of lesion-wise scores that are specific to BraTS 2024 and 2025, on volumes made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segan_nnunet.data.labelling import Labelling
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.definitions import LESION_RULES, LesionRule, Lesions, Measures, uniting_regions
from segan_nnunet.evaluation.scores.lesions import lesion_scores, merged_numbers, neighbours_of
from segan_nnunet.evaluation.scores.measurement import Case, measure_case
from segan_nnunet.evaluation.scores.regions import Region, region_named, region_values
from segan_nnunet.evaluation.scores.surface_scores import MaskPair
from tests.hand_made_results import write_volume
from tests.test_lesions import ELSEWHERE, NEAR, cube, cuboids, numbers, scored

GLIOMA, PAEDIATRIC = LESION_RULES[Lesions.BRATS_2024_GLI], LESION_RULES[Lesions.BRATS_2024_PED]
RADIOTHERAPY, METASTASES = LESION_RULES[Lesions.BRATS_2024_MEN_RT], LESION_RULES[Lesions.BRATS_2024_MET]
REGIONS = {"whole tumor": (1, 2, 3), "tumor core": (1, 3), "enhancing tumor": (3,)}
LABELLING = Labelling(REGIONS, (0, 1, 2, 3), None, ("T1c",), ".mha")
BY_8 = cube((2, 2, 15), 5)  # 8 background voxels from NEAR
BY_9 = cube((2, 2, 16), 5)


def dice(*sizes: int) -> float:
    """Return Dice from the number of shared voxels, of predicted voxels, and of true voxels."""
    shared, predicted, true = sizes
    return 2 * shared / (predicted + true)


def test_each_region_grows_by_its_own_number_of_voxels() -> None:
    """The components are 8 voxels apart. They meet if each grows by 5, and do not meet if each grows by 3."""
    true, half = cuboids(NEAR, BY_8), cuboids(NEAR)
    for region in (Region.RC, Region.NETC):
        merged = scored(half, true, GLIOMA.of_region(region))
        assert numbers(merged) == [1, 0, 0] and merged["LesionDice"] == pytest.approx(dice(125, 125, 250))
    for region in (Region.WT, Region.TC, Region.ET, Region.SNFH):
        apart = scored(half, true, GLIOMA.of_region(region))
        assert numbers(apart) == [1, 1, 0]
        assert (apart["LesionDice"], apart["LesionHD95_mm"]) == (1 / 2, 337 / 2)


def test_each_region_excludes_small_lesions_by_its_own_size() -> None:
    small = (slice(30, 32), slice(30, 32), slice(30, 33))  # 12 voxels
    both = cuboids(NEAR, small)
    for region, counts in ((Region.ET, [1, 1, 1]), (Region.TC, [1, 0, 0])):
        rule = GLIOMA.of_region(region)
        assert numbers(scored(cuboids(NEAR), both, rule)) == [1, counts[1], 0]
        false = scored(both, cuboids(NEAR), rule)
        assert numbers(false) == [1, 0, counts[2]] and false["LesionDice"] == 1 / (1 + counts[2])
    ten = cuboids(NEAR, (slice(30, 31), slice(30, 32), slice(30, 35)))
    assert numbers(scored(ten, cuboids(NEAR), GLIOMA.of_region(Region.ET))) == [1, 0, 0], "exactly of the size"


def test_predicted_components_merge_when_they_grow() -> None:
    """A part lies 9 voxels away, beyond the reach of 5. It forms one component with the part that finds the lesion."""
    predicted, true = cuboids(NEAR, BY_9), cuboids(NEAR)
    merged = scored(predicted, true, PAEDIATRIC)
    assert numbers(merged) == [1, 0, 0] and merged["LesionDice"] == pytest.approx(dice(125, 250, 125))
    as_they_are = scored(predicted, true, replace(PAEDIATRIC, predictions_alike=False))
    assert numbers(as_they_are) == [1, 0, 1] and as_they_are["LesionDice"] == 1 / 2


def test_the_size_of_a_predicted_component_is_measured_after_merging() -> None:
    pieces = [cube((30, 30, start), 2) for start in (20, 25)]  # 8 voxels each
    for parts, false in ((pieces[:1], 0), (pieces, 1)):
        assert numbers(scored(cuboids(NEAR, *parts), cuboids(NEAR), PAEDIATRIC)) == [1, 0, false]


def test_the_size_of_predicted_components_counts_voxels_or_volume() -> None:
    """8 voxels of 8 mm³ are too few for children, but 64 mm³ are enough for radiotherapy."""
    predicted, spacing = cuboids(NEAR, cube((30, 30, 30), 2)), (2, 2, 2)
    assert numbers(scored(predicted, cuboids(NEAR), PAEDIATRIC, spacing)) == [1, 0, 0]
    assert numbers(scored(predicted, cuboids(NEAR), RADIOTHERAPY, spacing)) == [1, 0, 1]
    # the size of a true lesion is a volume in both
    assert numbers(scored(cuboids(NEAR), predicted, PAEDIATRIC, spacing)) == [1, 1, 0]


def test_false_lesions_do_not_count_under_the_radiotherapy_rule() -> None:
    scores = scored(cuboids(NEAR, ELSEWHERE), cuboids(NEAR), RADIOTHERAPY)
    assert numbers(scores) == [1, 0, 1] and (scores["LesionDice"], scores["LesionHD95_mm"]) == (1, 0)
    without_truth = scored(cuboids(ELSEWHERE), cuboids(), RADIOTHERAPY)
    assert numbers(without_truth) == [0, 0, 1] and (without_truth["LesionDice"], without_truth["LesionNSD_1mm"]) == (
        1,
        1,
    )
    assert "False lesions are counted, but do not enter the means" in RADIOTHERAPY.describe()


def test_a_missed_lesion_costs_the_diagonal_in_voxels() -> None:
    pair = MaskPair(cuboids(), cuboids(NEAR), (2, 2, 2))
    assert lesion_scores(pair, RADIOTHERAPY, shape=(3, 4, 12))["LesionHD95_mm"] == 13


def row(*values: int) -> np.ndarray:
    return np.array(values, np.int32)[None, None]


def test_lesions_that_touch_one_component_of_another_region_merge() -> None:
    lesions = row(1, 0, 2, 0, 3)
    for beside, expected in (
        (row(0, 1, 0, 2, 0), [0, 1, 1, 2]),  # the second touches both, and the first of these counts
        (row(0, 2, 0, 1, 0), [0, 2, 1, 1]),
        (row(0, 0, 0, 1, 0), [0, 2, 1, 1]),
        (row(0, 0, 0, 0, 0), [0, 1, 2, 3]),
    ):
        groups = merged_numbers(lesions, np.pad(beside, 1))
        assert [[groups[a] == groups[b] for a in range(4)] for b in range(4)] == [
            [a == b for a in expected] for b in expected
        ]
        assert set(groups) == set(expected), "numbers without gaps"


def test_lesions_touch_across_edges_but_not_across_corners() -> None:
    lesions, edge, corner = np.zeros((3, 3, 3, 3), np.int32)
    lesions[0, 0, 0], lesions[2, 2, 2] = 1, 2
    edge[0, 1, 1] = edge[1, 1, 1] = edge[1, 1, 2] = edge[1, 2, 2] = 1
    corner[1, 1, 1] = 1
    assert list(merged_numbers(lesions, np.pad(edge, 1))) == [0, 1, 1]
    assert list(merged_numbers(lesions, np.pad(corner, 1))) == [0, 1, 2]


def test_components_are_numbered_by_x_first() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)  # z, y, x
    labels[0:2, 3:5, 15:17] = labels[15:17, 3:5, 0:2] = 1
    uniting = uniting_regions(METASTASES.of_dataset(REGIONS))
    neighbours = neighbours_of(REGIONS, METASTASES, uniting, (labels, labels), labels < 9, 1.0)
    assert set(neighbours) == {Region.NETC}
    for numbered in neighbours[Region.NETC]:
        assert (numbered[15, 3, 0], numbered[0, 3, 15]) == (1, 2)


def bar(with_core: bool) -> np.ndarray:
    """Return two cubes of enhancing tumour and a bar of non-enhancing core that joins them or ends before one."""
    labels = np.zeros((12, 12, 40), np.uint8)
    labels[2:7, 2:7, 2 : 32 if with_core else 24] = 1
    labels[2:7, 2:7, 2:7] = labels[2:7, 2:7, 27:32] = 3
    return labels


@pytest.mark.parametrize(("with_core", "counts"), [(True, [1, 0, 0]), (False, [1, 1, 0])])
def test_measuring_a_case_applies_the_region_that_merges_lesions(
    tmp_path: Path, with_core: bool, counts: list[int]
) -> None:
    """The first cube is found and the second is missed. This is half of one lesion, or one of two lesions."""
    truth = bar(with_core)
    predicted = truth.copy()
    predicted[:, :, 27:] = 0
    write_volume(tmp_path / "truth.mha", truth)
    write_volume(tmp_path / "predicted.mha", predicted)
    case = Case("a", tmp_path / "truth.mha", {"A": tmp_path / "predicted.mha"})
    measured = measure_case(case, LABELLING, Measures(lesions=Lesions.BRATS_2024_MET))
    scores = {found["region"]: found for found in measured.rows}["enhancing tumor"]
    assert numbers(scores) == counts
    assert scores["LesionDice"] == pytest.approx(dice(125, 125, 250) if with_core else 1 / 2)


def test_region_rules_are_selected_by_region_name() -> None:
    assert region_named("Whole Tumour") is region_named("wt") is Region.WT
    assert region_named("resection_cavity") is Region.RC and region_named("oedema") is Region.SNFH
    assert region_named("tumor") is None
    assert region_values(REGIONS, Region.NETC) == (1,) and region_values(REGIONS, Region.RC) == ()
    assert region_values({**REGIONS, "necrosis": (7,)}, Region.NETC) == (7,)


@pytest.mark.parametrize("rule", LESION_RULES.values(), ids=str)
def test_lesion_rules_that_do_not_match_the_regions_are_refused(rule: LesionRule) -> None:
    assert set(rule.of_dataset(REGIONS)) == set(REGIONS)
    if rule.regions:
        with pytest.raises(InputError, match="have rules by region, WT .whole tumor.,.* and none for 'lesion'. Rename"):
            rule.of_dataset({"whole tumor": (1, 2), "lesion": (2,)})
        with pytest.raises(InputError, match="do not say where it is: whole tumor, ET. Name two regions 'tumor core'"):
            rule.of_dataset({"whole tumor": (1, 2), "ET": (2,)})
    else:
        assert rule.of_dataset({"lesion": (1,)}) == {"lesion": rule}


def test_the_description_lists_the_rules_per_region() -> None:
    descriptions = GLIOMA.describe()
    for part in (
        "; in WT, TC grown by 3 voxels, without those of 20 mm³ or less; ",
        "; in ET grown by 3 voxels, without those of 10 mm³ or less, and those that touch one component of NETC",
        "; in RC grown by 5 voxels, without those of 20 mm³ or less",
        "merged and left out in the same way, by their number of voxels",
        "HD95 337 mm",
    ):
        assert part in descriptions
