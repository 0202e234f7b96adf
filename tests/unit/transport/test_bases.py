"""Systems are started again where a port was taken in the wrong moment, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest
from thespian.actors import ActorSystemFailure

from slither_actors.transport import bases
from slither_actors.transport.address import RUN_DIRECTORY


class Starts:
    """Plays Thespian: fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.tried: list[Any] = []
        self.cleared = 0

    def __call__(self, base: str, capabilities: Any, *, may_start: bool = False) -> tuple[str, str]:
        assert may_start
        self.tried.append(capabilities)
        if len(self.tried) <= self.failures:
            raise ActorSystemFailure("taken")
        return "system", "base"

    def clear(self) -> None:
        self.cleared += 1


def play(monkeypatch: pytest.MonkeyPatch, failures: int) -> Starts:
    starts = Starts(failures)
    monkeypatch.setattr(bases, "open_system", starts)
    return starts


def test_a_start_that_fails_is_tried_again_on_another_port(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = play(monkeypatch, failures=2)

    joining, system, base = bases.start_system("tcp", "/run/x", starts.clear)

    assert (system, base, starts.cleared) == ("system", "base", 2)
    assert joining == starts.tried[-1]
    assert joining[RUN_DIRECTORY] == "/run/x"
    assert len({tried["Admin Port"] for tried in starts.tried}) == 3
    assert all(1024 < tried["Admin Port"] < 32_768 for tried in starts.tried)


def test_a_start_that_always_fails_is_an_error_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = play(monkeypatch, failures=9)

    with pytest.raises(ActorSystemFailure):
        bases.start_system("unix", "/run/x", starts.clear)
    assert starts.cleared == len(starts.tried) == 3
