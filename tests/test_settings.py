"""A settings file for `compare`: the accepted settings, and the errors for files that break a rule."""

from pathlib import Path

import pytest

from segan_nnunet.errors import InputError
from segan_nnunet.evaluation.scores.definitions import Hd95
from segan_nnunet.evaluation.settings import RULES, read_settings


def test_every_setting_is_read_and_documented(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        'protocol = "brats2026"\nempty = "brats"\nlesions = "2023"\n'
        'hd95 = "pooled"\nnsd = [1, 2.5]\nprimary = ["Dice"]\nmargin = 0.02\nall-pairs = true\n'
        "spread = false\nviewer-cases = 0\n"
    )
    settings = read_settings(path)
    assert set(settings) == set(RULES)
    assert Hd95(settings["hd95"]) is Hd95.POOLED and settings["nsd"] == [1, 2.5] and settings["viewer-cases"] == 0
    documented = Path("docs/evaluation.md").read_text().split("## Settings")[1].split("\n## ")[0]
    assert all(f"`{key}`" in documented for key in RULES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spraed = true", "unknown key 'spraed'; it takes protocol, empty, lesions, hd95, nsd.*Rename or delete it"),
        ('spread = "yes"', "'spread' is 'yes', and must be true or false"),
        ('hd95 = "monai"', "'hd95' is 'monai', and must be one of auto, directed-max"),
        ('empty = "zero"', "'empty' is 'zero', and must be one of auto, nnunet"),
        ("lesions = 2023", "'lesions' is 2023, and must be one of auto, none, 2023"),
        ("protocol = 2023", "'protocol' is 2023, and must be the name of a protocol"),
        ("hd95 = [1]", "'hd95' is .1., and must be one of"),
        ("nsd = [-1]", "'nsd' is .-1., and must be a list of tolerances in mm"),
        ("nsd = [inf]", "'nsd' is .inf., and must"),
        ("nsd = []", "'nsd' is .., and must"),
        ("primary = [1]", "'primary' is .1., and must be a list of scores"),
        ("margin = 2", "'margin' is 2, and must be a number above 0 and below 1"),
        ("margin = 0", "'margin' is 0, and must be"),
        ("margin = true", "'margin' is True, and must be"),
        ("margin = nan", "'margin' is nan, and must be"),
        ("viewer-cases = 1.5", "'viewer-cases' is 1.5, and must be a whole number"),
        ("viewer-cases = true", "'viewer-cases' is True, and must be a whole number"),
        ("spread", "is not TOML: .*Write each setting as"),
    ],
)
def test_an_error_of_bad_settings_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"settings.toml.*{message}"):
        read_settings(path)
    with pytest.raises(InputError, match="missing.toml"):
        read_settings(tmp_path / "missing.toml")
