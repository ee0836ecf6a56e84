"""Protocols: their definitions, the protocol of each release, and the notes below the tables."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from segan_nnunet.cli import app
from segan_nnunet.comparison import compare
from segan_nnunet.data.releases.tables import available_releases
from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.methods.methods_on_cases import Folders
from segan_nnunet.evaluation.scores.definitions import LESION_RULES, Hd95, Lesions, Measures
from segan_nnunet.evaluation.scores.empty_masks import EmptyPolicy
from segan_nnunet.evaluation.scores.protocols import AUTO, BY_COHORT, PROTOCOLS, Definitions, resolve
from segan_nnunet.evaluation.settings import MEASURES, Settings
from tests.hand_made_results import cubes, write_folder

pytestmark = pytest.mark.usefixtures("quick_correction")


def of_release(release: str) -> Definitions:
    return resolve(AUTO, release, EmptyPolicy.AUTO, MEASURES)


def test_a_release_selects_its_own_protocol() -> None:
    releases = available_releases()
    own = {release for release in releases if of_release(release).protocol == release}
    newer = {release for release in releases if "2023" in release or "2024" in release}
    assert own == newer - {"brats2024-goat"} and len(own) == 9
    assert of_release("brats2024-goat").protocol == "brats2026"
    for release in (set(releases) - newer) | {"", "unknown"}:
        assert of_release(release) == Definitions("segan", EmptyPolicy.NNUNET, Measures())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_has_one_definition_per_score(name: str) -> None:
    chosen = resolve(name, "brats2023-gli", EmptyPolicy.AUTO, MEASURES)
    rule = chosen.measures.lesion_rule
    assert (rule is None) == (name in ("segan", "nnunet"))
    assert chosen.policy is not EmptyPolicy.AUTO and chosen.measures.lesions is not Lesions.AUTO
    if rule:
        assert (chosen.measures.hd95, chosen.measures.nsd_by_mask) == (rule.hd95, rule.nsd_by_mask)
        year = name[5:9]
        assert year in rule.challenge and year in PROTOCOLS[name].title
        assert name.partition("-")[2].upper() in rule.challenge
    assert chosen.describe() == f"Protocol {name} ({PROTOCOLS[name].title})."
    assert resolve(name, "", chosen.policy, chosen.measures) == chosen, "resolved once, resolved for good"


def test_every_lesion_rule_belongs_to_a_protocol() -> None:
    assert {protocol.lesions for protocol in PROTOCOLS.values()} == set(LESION_RULES) | {Lesions.NONE}


def test_an_option_overrides_a_single_definition_of_a_protocol() -> None:
    resolved = resolve("brats2023-met", "", EmptyPolicy.BRATS, Measures(Hd95.POOLED, (2,), Lesions.AUTO))
    assert resolved.policy is EmptyPolicy.BRATS
    assert resolved.measures == Measures(Hd95.POOLED, (2,), Lesions.BRATS_2023_MET)
    assert resolved.describe() == "Protocol brats2023-met (BraTS 2023 MET), but for empty brats, hd95 pooled."
    of_2026 = resolve(AUTO, "brats2023-gli", EmptyPolicy.AUTO, Measures(Hd95.AUTO, lesions=Lesions.BRATS_2026))
    assert (of_2026.measures.hd95, of_2026.measures.nsd_by_mask) == (Hd95.POOLED, True)
    assert of_2026.describe().endswith("but for lesions 2026, hd95 pooled.")
    without = resolve(AUTO, "brats2023-gli", EmptyPolicy.AUTO, Measures(Hd95.AUTO, lesions=Lesions.NONE))
    assert without.measures.lesion_rule is None and without.measures.hd95 is Hd95.SURFACE


def test_an_unknown_protocol_error_suggests_similar_names() -> None:
    with pytest.raises(InputError, match="there is no protocol 'BraTS2024GLI'; --protocol takes auto, brats2024-gli, "):
        resolve("BraTS2024GLI", "", EmptyPolicy.AUTO, MEASURES)


@pytest.mark.parametrize("name", BY_COHORT)
def test_a_protocol_that_needs_unpublished_cohorts_is_refused(name: str) -> None:
    assert set(BY_COHORT[name]) <= set(PROTOCOLS)
    with pytest.raises(InputError, match="table of cohorts is not public. Compare the cases of each cohort separately"):
        resolve(name, "", EmptyPolicy.AUTO, MEASURES)


def test_the_protocol_sets_the_empty_policy_and_is_named_below_the_tables(tmp_path: Path) -> None:
    truth = write_folder(tmp_path / "truth", {"a": cubes(4, 2), "b": np.zeros((10, 10, 10), np.uint8)})
    other = write_folder(tmp_path / "other", {"a": cubes(4, 2), "b": cubes(5, 3)})
    described = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps({**described, "brats_release": "brats2024-gli"}))
    folders = Folders({"Other": other}, truth)
    for protocol, mean in ((AUTO, (0 + 337) / 2), ("brats2024-men-rt", (0 + 300**0.5) / 2)):
        folder = tmp_path / protocol
        compare(output=folder, folders=folders, settings=Settings(protocol=protocol))
        for table in ("table1.md", "lesion_scores.md"):
            name = "brats2024-gli" if protocol == AUTO else protocol
            assert f"Protocol {name} (BraTS 2024 {name[10:].upper()})." in (folder / table).read_text()
        assert f"{mean:.2f}" in (folder / "further_scores.md").read_text(), "HD95 of the false find is the penalty"


def test_a_protocol_that_does_not_match_the_regions_writes_nothing(tmp_path: Path) -> None:
    truth = write_folder(tmp_path / "truth", {"a": cubes(4, 2)})
    labels = {"background": 0, "whole tumor": [1, 2], "lesion": 2}
    described = json.loads((truth / "dataset.json").read_text())
    (truth / "dataset.json").write_text(json.dumps({**described, "labels": labels}))
    with pytest.raises(InputError, match="none for 'lesion'"):
        settings = Settings(protocol="brats2024-gli")
        compare(output=tmp_path / "out", folders=Folders({"A": truth}, truth), settings=settings)
    assert not (tmp_path / "out").exists()


def test_the_command_accepts_a_protocol_and_hidden_older_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Settings] = []

    def remember(*arguments: object) -> None:
        taken.extend(each for each in arguments if isinstance(each, Settings))
        raise InputError("enough")

    monkeypatch.setattr("segan_nnunet.comparison.compare", remember)
    (tmp_path / "s.toml").write_text('protocol = "brats2023-men"\nempty = "brats2015"\nlesions = "none"\n')
    file = ["--settings", str(tmp_path / "s.toml")]
    for options in (
        [],
        ["--protocol", "nnunet", "--empty", "brats", "--lesions", "2023"],
        file,
        [*file, "--protocol", "brats2026", "--empty", "nnunet"],
    ):
        CliRunner().invoke(app, ["compare", "-d", "1", *options])
    found = [(each.protocol, each.policy, each.measures.lesions) for each in taken]
    assert found == [
        (AUTO, EmptyPolicy.AUTO, Lesions.AUTO),
        ("nnunet", EmptyPolicy.BRATS, Lesions.BRATS_2023),
        ("brats2023-men", EmptyPolicy.BRATS_2015, Lesions.NONE),
        ("brats2026", EmptyPolicy.NNUNET, Lesions.NONE),
    ]
    shown = CliRunner().invoke(app, ["compare", "--help"]).output
    assert "--protocol" in shown and "--empty" not in shown and "--lesions" not in shown


def test_every_protocol_is_documented() -> None:
    page = Path("docs/evaluation.md").read_text().split("## Protocols")[1].split("\n## ")[0]
    assert all(f"`{name}`" in page for name in (*PROTOCOLS, *BY_COHORT))
