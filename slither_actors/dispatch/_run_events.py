"""What telemetry hears of one run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from slither_actors import telemetry

_COUNTS = ("items_in", "items_out", "skipped", "dropped", "dead")


class RunEvents:
    """The start and the stop of one run, each told once.

    The start is told in the thread that wants the run, before anything of it goes to another process: what handlers add
    to its `trace` travels with the run.

    Args:
        event: prefix of the events.
        about: their metadata.
        trace: the headers of tracing that the caller gave.
    """

    def __init__(self, event: telemetry.Name, about: dict[str, Any], trace: Mapping[str, str] | None = None) -> None:
        self.about = about
        self._event = event
        self._trace: dict[Any, Any] = dict(trace or {})
        self._began = time.perf_counter()
        self._opened: float | None = None
        self._is_begun = self._is_over = False

    def start(self) -> dict[str, str]:
        """The run begins; returns the headers that travel with it."""
        if not self._is_begun:
            self._is_begun = True
            telemetry.emit((*self._event, "start"), {}, self._metadata())
        # a handler may have put anything there
        return {key: text for key, text in self._trace.items() if isinstance(key, str) and isinstance(text, str)}

    def opened(self) -> None:
        """All its processes are ready."""
        self._opened = time.perf_counter()

    def stop(self, outcome: str, counts: Mapping[str, int] | None = None) -> None:
        """It is over; without counts, if it was never open."""
        if self._is_over:
            return
        self._is_over = True
        now = time.perf_counter()
        opened = now if self._opened is None else self._opened
        measured = {"duration_s": now - self._began, "queue_s": opened - self._began, "run_s": now - opened}
        measured |= counts or dict.fromkeys(_COUNTS, 0)
        telemetry.emit((*self._event, "stop"), measured, self._metadata() | {"outcome": outcome})

    def _metadata(self) -> dict[str, Any]:
        return self.about | {"trace": self._trace}
