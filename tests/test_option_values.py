"""Values of options and environment variables are used as intended, or refused in one sentence."""

import os
from pathlib import Path
from typing import Any

import pytest
import typer

from segan_nnunet import cli
from segan_nnunet.cli.options import expand_values, folds_or_all, numbered_folds
from segan_nnunet.data.conversion import Options, convert
from segan_nnunet.data.environment import (
    check_variables,
    default_processes,
    device_here,
    existing_datasets,
    nnunet_folder,
    omp_threads,
    usable_cores,
)
from segan_nnunet.data.releases.tables import load_release
from segan_nnunet.errors import InputError

FOLDER = "nnUNet_raw"


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command line in this process; return its exit status and error output."""
    monkeypatch.setattr("sys.argv", ["segan_nnunet", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (FOLDER, "/data/raw\r", r"nnUNet_raw is '/data/raw\\r', with white space at its start or end: .*dos2unix"),
        ("nnUNet_results", " /data/results", "nnUNet_results is ' /data/results', with white space at its start"),
        (FOLDER, "~/raw", "nnUNet_raw is ~/raw, in which the shell did not replace ~"),
        ("nnUNet_preprocessed", "$HOME/pre", "nnUNet_preprocessed is .HOME/pre, in which the shell did not replace"),
        (FOLDER, '"/data/raw"', "the quotes are part of the value: set it without quotes"),
        (FOLDER, "\u201c/data/raw\u201d", "the quotes are part of the value"),
        (FOLDER, "/data/raw/Dataset137_BraTS", "the folder of one dataset, .* the folder above: /data/raw$"),
        (FOLDER, __file__, "which is not a folder; set it to a folder"),
        ("nnUNet_extTrainer", "/mine:/theirs\r", "nnUNet_extTrainer is '/theirs.r', with white space"),
        ("nnUNet_def_n_proc", "auto", "nnUNet_def_n_proc is 'auto'; it takes a whole number of 1 or more"),
        ("nnUNet_def_n_proc", "2.0", "nnUNet_def_n_proc is '2.0'; it takes a whole number of 1 or more"),
        ("nnUNet_def_n_proc", "0", "nnUNet_def_n_proc is '0'; it takes a whole number of 1 or more"),
        ("nnUNet_n_proc_DA", "-1", "nnUNet_n_proc_DA is '-1'; it takes a whole number of 0 or more"),
        ("OMP_NUM_THREADS", "all", "OMP_NUM_THREADS is 'all'; it takes a whole number of 1 or more"),
        ("OMP_NUM_THREADS", "2,1", "OMP_NUM_THREADS is '2,1'; it takes a whole number of 1 or more"),
        ("OMP_NUM_THREADS", "0", "OMP_NUM_THREADS is '0'; it takes a whole number of 1 or more"),
    ],
)
def test_an_unusable_variable_is_refused(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=message):
        check_variables()


def test_every_verb_except_the_setup_verbs_checks_the_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER, "~/raw")
    for verb in (["plan", "-d", "1"], ["convert", "--list"], ["benchmark"]):
        status, errors = printed(monkeypatch, capsys, *verb)
        assert status == 1 and errors.startswith("segan_nnunet: nnUNet_raw is ~/raw"), verb
    for verb in (["trainer-folder"], ["plan", "--help"]):
        assert printed(monkeypatch, capsys, *verb) == (0, "")


def test_variables_are_read_as_nnunet_reads_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable, value in (("nnUNet_def_n_proc", " 3\r"), ("nnUNet_n_proc_DA", "0"), ("OMP_NUM_THREADS", " 4")):
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv(FOLDER, str(tmp_path / "made later $5"))
    check_variables()
    assert (default_processes(), omp_threads()) == (3, 4)
    assert nnunet_folder(FOLDER) == tmp_path / "made later $5"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("nnUNet_def_n_proc", "nnUNet_n_proc_DA", "OMP_NUM_THREADS", FOLDER):
        monkeypatch.setenv(variable, " " if variable.endswith("DA") else "")
    check_variables()
    assert "nnUNet_def_n_proc" not in os.environ, "nnU-Net would end with a traceback on import"
    assert default_processes() == min(8, usable_cores()) and omp_threads() is None
    with pytest.raises(InputError, match="nnUNet_raw is not set"):
        nnunet_folder(FOLDER)


def test_the_python_functions_apply_the_same_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (0, -1):
        with pytest.raises(InputError, match=f"-np takes a number of processes of 1 or more, not {number}"):
            default_processes(number)
    monkeypatch.setenv("nnUNet_def_n_proc", "-2")
    with pytest.raises(InputError, match="nnUNet_def_n_proc is '-2'"):
        default_processes(None)
    assert default_processes(5) == 5
    monkeypatch.setenv(FOLDER, "'/raw'")
    with pytest.raises(InputError, match="the quotes are part of the value"):
        existing_datasets(1)


@pytest.mark.parametrize(
    "command",
    [
        "compare -np -1",
        "plan -d 1 -np 0",
        "plan -d 1 --width 0",
        "plan -d 1 --batch-size -4",
        "split -d -1",
        "split -d 1 --seed -1",
        "simulate brats2015 out --seed 4294967296",
        "demo out --seed -3",
        "compare -d 1 --seeds -1",
        "crossval -d 1 -tr X --seeds 0 4294967296",
        "crossval -d 1 -tr X --jobs 0",
        "crossval -d 1 -tr X --gpus -1",
        "reproduce --brats2015 x -d 1 --folds 0",
        "benchmark --steps 0",
        "benchmark --regions 3 0",
    ],
)
def test_an_option_refuses_numbers_out_of_its_range(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    status, errors = printed(monkeypatch, capsys, *command.split())
    assert status == 2 and "Invalid value for" in errors and not list(tmp_path.iterdir())


def test_the_folds_option_takes_distinct_numbers() -> None:
    assert numbered_folds(["0", "2", "0", "00"]) == [0, 2]
    assert folds_or_all(["all"]) == ["all"] and folds_or_all(["1", "1"]) == [1] and folds_or_all(None) is None
    for odd in ("-1", "0,1", "²", "1.0"):
        with pytest.raises(InputError, match="a fold is a number, or `all` in export, not"):
            folds_or_all([odd])


def test_empty_values_long_dashes_and_carriage_returns_are_refused() -> None:
    verbs: Any = typer.main.get_command(cli.app)
    for arguments, message in (
        (["compare", "-o", ""], "-o has an empty value; is a variable in the command not set"),
        (["compare", "--reference="], "--reference has an empty value"),
        (["simulate", "brats2015", " "], "an argument has an empty value"),
        (["compare", "\u2013d", "1"], "'\u2013d' begins with a long dash"),
        (["compare", "\u2014folds", "1"], "begins with a long dash"),
        (["compare", "-d", "1", "-o", "out\r"], r"'out\\r' ends in a carriage return"),
    ):
        with pytest.raises(InputError, match=message):
            expand_values(arguments, verbs)
    assert expand_values(["crossval", "--sbatch", "account="], verbs) == ["crossval", "--sbatch", "account="]


def test_a_repeated_channel_is_refused(nnunet_folders: Path) -> None:
    with pytest.raises(InputError, match="--channels T1c FLAIR T1c has a channel twice"):
        convert(load_release("brats2015"), nnunet_folders, 1, Options(("T1c", "FLAIR", "T1c")))


def test_the_device_option_refuses_missing_and_unknown_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device_here(None) == device_here("cpu") == "cpu"
    with pytest.raises(InputError, match="no GPU that torch can use"):
        device_here("cuda")
    with pytest.raises(InputError, match="there is no device 'gpu'; nnU-Net knows cpu, cuda, mps"):
        device_here("gpu")


def test_two_variables_with_the_same_folder_are_refused(nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_variables()
    (nnunet_folders / "link").symlink_to(nnunet_folders / "nnUNet_raw")
    monkeypatch.setenv("nnUNet_results", str(nnunet_folders / "link"))
    with pytest.raises(InputError, match="nnUNet_raw and nnUNet_results are both .*link.*Set the two variables to"):
        check_variables()
