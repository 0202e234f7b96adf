"""The service's ear goes on with its other duties however much it hears."""

from __future__ import annotations

import threading
import time

import pytest

from slither_actors.otp.messages import LogLine
from slither_actors.system import gateway as module
from slither_actors.system.gateway import Gateway
from tests.helpers.patience import PATIENCE_S

LIMIT_S = PATIENCE_S


class Chatter:
    """An endpoint at which log records never end, until it is woken."""

    def __init__(self) -> None:
        self.woken = False

    def receive(self, timeout_s: float) -> tuple[LogLine, str] | None:
        time.sleep(0.001)  # a record every millisecond
        return None if self.woken else (LogLine("tests.gateway", 0, "again", 0.0, "worker", 1), "/run/x/1")

    def wake(self) -> None:
        self.woken = True

    def close(self) -> None:
        pass


def test_its_regular_duty_is_done_while_log_records_come_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK_S", 0.01)
    done = threading.Semaphore(0)
    gateway = Gateway("g", Chatter(), lambda _: None, lambda _: None, done.release)  # type: ignore[arg-type]
    gateway.start()
    try:
        for _ in range(3):
            assert done.acquire(timeout=LIMIT_S)
        assert gateway.thread in {thread.ident for thread in threading.enumerate()}
    finally:
        gateway.stop(LIMIT_S)
    assert gateway.thread is None, "else a new thread that has its identifier would not wait for a stop"
