"""The handler of SIGTERM interrupts the main thread within its blocks only."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable

import pytest

from slither_actors.dispatch.drain import DrainReport
from slither_actors.system._signals import Terminator
from tests.helpers.patience import PATIENCE_S


class FakeSystem:
    """One that the main thread takes no part in."""

    def __init__(self, on_stop: Callable[[], None] = lambda: None) -> None:
        self._on_stop = on_stop

    def stop(self, timeout_s: float, *, drain: bool = True) -> DrainReport:
        self._on_stop()
        return DrainReport(None, 0, 0, 0.0)

    def _consumed_by(self, thread: int) -> bool:
        return False


def test_the_block_is_not_left_while_the_main_thread_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminator, system = Terminator(), FakeSystem()
    terminator._systems.append((system, 0.0))
    leaver = threading.Thread(target=terminator.leave, args=[system])
    waited: list[bool] = []

    def interrupt(thread: int, signum: int) -> None:
        leaver.start()
        leaver.join(0.1)
        waited.append(leaver.is_alive())

    monkeypatch.setattr(signal, "pthread_kill", interrupt)
    terminator._drain()
    leaver.join(PATIENCE_S)
    assert waited == [True]
    assert not leaver.is_alive()


def test_who_has_left_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminator = Terminator()
    system = FakeSystem(lambda: terminator.leave(system))
    terminator._systems.append((system, 0.0))
    killed: list[int] = []
    monkeypatch.setattr(signal, "pthread_kill", lambda thread, signum: killed.append(thread))
    terminator._drain()
    assert killed == []


def test_each_further_signal_interrupts_again_who_has_caught_the_last_one_and_nobody_who_cleans_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminator, system = Terminator(), FakeSystem()
    terminator._systems.append((system, 0.0))
    begun: list[object] = []
    monkeypatch.setattr(_thread, "start_new_thread", lambda function, args: begun.append(function))
    terminator(signal.SIGTERM, None)
    for _ in range(3):
        try:
            terminator(signal.SIGTERM, None)
        except SystemExit:
            terminator(signal.SIGTERM, None)
            try:
                raise KeyError("while it cleans up")
            except KeyError:
                terminator(signal.SIGTERM, None)
        else:
            raise AssertionError("it was not interrupted")
    assert begun == [terminator._drain, terminator._cut], "each once"
    try:
        raise KeyError("an error of the block")
    except KeyError:
        with pytest.raises(SystemExit):
            terminator(signal.SIGTERM, None)
    terminator.leave(system)
    terminator(signal.SIGTERM, None)
