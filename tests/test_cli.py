"""Options take several values, as in nnU-Net."""

import errno
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from segan_nnunet import cli
from segan_nnunet.cli import app
from segan_nnunet.cli.options import expand_values, numbered_folds
from segan_nnunet.errors import InputError


@pytest.fixture
def verbs() -> Any:
    return typer.main.get_command(app)


def test_options_of_several_values_expand_by_verb(verbs: Any) -> None:
    arguments = "crossval -d 15 -tr A B -p P Q --folds 0 1 --seeds 3"
    expanded = "crossval -d 15 -tr A -tr B -p P -p Q --folds 0 --folds 1 --seeds 3"
    assert expand_values(arguments.split(), verbs) == expanded.split()
    # -tr of `export` takes one value: the second value stays and is refused as a surplus argument
    assert expand_values(["export", "-tr", "A", "B"], verbs) == ["export", "-tr", "A", "B"]
    assert expand_values(["plan", "--spacing", "2", "-1.5"], verbs) == ["plan", "--spacing", "2", "-1.5"]


@pytest.mark.parametrize("arguments", ["crossval -c 2d -c 3d_fullres", "export -tr A -tr B", "compare -o X -o Y"])
def test_a_repeated_option_of_one_value_is_refused(arguments: str, verbs: Any) -> None:
    with pytest.raises(InputError, match="takes one value, and is given twice"):
        expand_values(arguments.split(), verbs)


@pytest.mark.parametrize("verb", ["crossval -d 1 -tr X -c 2d 3d_fullres", "export -d 1 -o Z -tr A B"])
def test_a_surplus_value_ends_with_an_error(verb: str, verbs: Any) -> None:
    result = CliRunner().invoke(app, expand_values(verb.split(), verbs))
    assert result.exit_code == 2 and "unexpected extra argument" in result.output


def test_an_error_explains_fold_all() -> None:
    assert numbered_folds(["0", "2"]) == [0, 2] and numbered_folds(None) is None
    with pytest.raises(InputError, match="fold all trains on every case.*export -f all"):
        numbered_folds(["all"])
    with pytest.raises(InputError, match="a fold is a number, or `all` in export, not x"):
        numbered_folds(["x"])


def test_a_system_error_prints_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x.json")

    monkeypatch.setattr(cli, "app", full)
    monkeypatch.setattr(cli, "expand_values", lambda arguments, verbs: [])
    monkeypatch.setattr(typer.main, "get_command", lambda app: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "segan_nnunet: /data/x.json: No space left on device; free some room and give the command again\n"
    )
