"""What a supervisor of workers reports of them."""

from __future__ import annotations

import time
from typing import Any

from slither_actors import telemetry
from slither_actors.otp._children import Process
from slither_actors.otp.child import ExitReason, last_line
from slither_actors.otp.ref import Ref
from slither_actors.otp.reports import tell
from slither_actors.otp.server import Server


class WorkerEvents:
    """Events of the workers of one pool.

    Args:
        server: their supervisor.
        pool: its name.
    """

    def __init__(self, server: Server, pool: str) -> None:
        self._server = server
        self._pool = pool

    def up(self, ref: Ref, process: Process | None) -> None:
        """A worker is up, for the first time or again."""
        took_s = 0.0 if process is None else time.monotonic() - process.born
        self._tell("start", {"duration_s": took_s}, worker=ref.name, pid=ref.pid)

    def down(self, process: Process, reason: ExitReason, batches: int) -> None:
        """A worker that was up has ended, and had begun so many batches."""
        about: dict[str, Any] = {"worker": self._name(process), "pid": process.pid, "reason": reason.kind}
        about["outcome"] = "ok" if reason.is_normal else "error"
        if not reason.is_normal:
            about["error"] = last_line(reason)
        self._tell("stop", {"duration_s": time.monotonic() - process.born, "batches": batches}, **about)

    def recycled(self, worker: str, why: str) -> None:
        """A worker is worn out, and is to be replaced."""
        self._tell("recycle", {}, worker=worker, reason=why)

    def quarantined(self, worker: str, pause_s: float, error: str) -> None:
        """A worker keeps dying, and its place stays empty for a while."""
        self._tell("quarantine", {"pause_s": pause_s}, worker=worker, error=error)

    def _tell(self, what: str, measurements: dict[str, Any], **about: Any) -> None:
        tell(self._server, (*telemetry.WORKER, what), measurements, pool=self._pool, **about)

    def _name(self, process: Process) -> str:
        return f"{self._server.name}/{process.spec.id}"
