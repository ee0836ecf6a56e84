"""Any signal that ends the grid first ends its trainings and all processes that they have started."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from segan_nnunet.cli.grids import carry_out
from segan_nnunet.folds.locks import FOLD_LOCK, is_locked
from segan_nnunet.grid import crossval, local
from segan_nnunet.grid.jobs import ATTEMPT, Job, State, read_state
from tests.conftest import DATASET


def job(trainer: str, fold: int = 0) -> Job:
    return Job(DATASET, "2d", trainer, "P", fold, "cpu")


@pytest.fixture(autouse=True)
def survives() -> Iterator[list[int]]:
    """Record the signals that would end this process; return their list."""
    noted: list[int] = []
    before = {each: signal.signal(each, lambda number, _: noted.append(number)) for each in local.ENDING}
    yield noted
    for each, handler in before.items():
        signal.signal(each, handler)


def kill_after(path: Path, *signals: int) -> None:
    """Send signals to this process, 20 ms apart, after a file appears."""

    def send() -> None:
        while not path.exists():
            time.sleep(0.01)
        for each in signals:
            os.kill(os.getpid(), each)
            time.sleep(0.02)

    threading.Thread(target=send, daemon=True).start()


def is_alive(process: int) -> bool:
    """Return whether a process runs. A zombie process does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGHUP,),  # a closed terminal or a lost ssh connection
        (signal.SIGQUIT, signal.SIGUSR1),  # Ctrl-\, and the warning of batch systems
        (signal.SIGINT, signal.SIGINT, signal.SIGINT),  # a repeated Ctrl-C
        (
            signal.SIGHUP,
            signal.SIGTERM,
            signal.SIGHUP,
        ),  # a closed terminal, followed by the signal at the end of the session
    ],
)
def test_a_signal_ends_the_grid_and_its_trainings(
    signals: tuple[signal.Signals, ...], stand_in: Path, survives: list[int]
) -> None:
    endless = job("Endless")
    kill_after(endless.folder / "checkpoint_latest.pth", *signals)
    with pytest.raises((SystemExit, KeyboardInterrupt)) as ended:
        local.run_locally([endless, job("Endless", 1)], 1)
    expected = KeyboardInterrupt if signals[0] == signal.SIGINT else SystemExit
    assert ended.type is expected and getattr(ended.value, "code", None) in (None, 128 + signals[0])
    training, its_child = map(int, (endless.folder / "processes").read_text().split())
    assert not is_alive(training) and not is_alive(its_child)
    assert not is_locked(endless.folder / FOLD_LOCK) and not (endless.folder / ATTEMPT).exists()
    assert read_state(endless.folder).state is State.WAITING, "a stopped job has not failed"
    assert len(stand_in.read_text().splitlines()) == 1, "the next job does not begin"
    assert all(signal.getsignal(each) not in (signal.SIG_IGN, signal.SIG_DFL) for each in local.ENDING), (
        "the signal handlers are restored"
    )


def test_a_signal_between_two_jobs_ends_the_grid(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "report", lambda *_: os.kill(os.getpid(), signal.SIGHUP))
    with pytest.raises(SystemExit):
        local.run_locally([job("Good"), job("Endless"), job("Endless", 1)], 1)
    assert read_state(job("Good").folder).state is State.FINISHED
    for stopped in (job("Endless"), job("Endless", 1)):
        processes = stopped.folder / "processes"
        assert not (processes.exists() and any(map(is_alive, map(int, processes.read_text().split()))))
        assert not is_locked(stopped.folder / FOLD_LOCK)


def test_an_ignored_signal_stays_ignored(stand_in: Path) -> None:
    """This is SIGHUP under nohup: the grid continues after the terminal is closed."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    kill_after(stand_in, signal.SIGHUP)
    local.run_locally([job("Good"), job("Good", 1)], 1)
    assert [read_state(job("Good", fold).folder).state for fold in (0, 1)] == [State.FINISHED] * 2
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_signal_before_the_trainings_raises_an_exception(
    survives: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This happens, for example, during preprocessing: an exception lets process pools end their workers."""

    def preprocess(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(5)

    monkeypatch.setattr(crossval, "crossval", preprocess)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with pytest.raises(SystemExit) as ended:
        carry_out(None, None)  # type: ignore[arg-type]
    assert ended.value.code == 128 + signal.SIGHUP and not survives
