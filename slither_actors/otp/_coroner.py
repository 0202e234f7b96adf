"""What a supervisor does to be able to say why a child died: it listens while that lives, and looks when it is dead."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from slither_actors._record import replaced
from slither_actors.incident import Incident
from slither_actors.otp._children import Process
from slither_actors.otp._inquest import Death, Inquest, Work
from slither_actors.otp._life import Life
from slither_actors.otp._rulings import Fate
from slither_actors.otp._stderr import Sink
from slither_actors.otp.child import ExitReason
from slither_actors.transport.incident_file import append
from slither_actors.transport.oom import oom_kills
from slither_actors.transport.process import describe_exit

_log = logging.getLogger(__name__)

# How long a child is not listened to while nobody takes what it says.
_DEAF_S = 0.05


class Coroner:
    """Belongs to one supervisor.

    Args:
        life: the supervisor's process.
        stderr: a descriptor of the service's standard error, where the words of children go; taken over.
        start_timer: of the supervisor.
    """

    def __init__(self, life: Life, stderr: int, start_timer: Callable[[float, Callable[[], None]], Any]) -> None:
        directory = life.surroundings.directory
        self._hub = life.transport.hub
        self._start_timer = start_timer
        self._oom_kills = oom_kills()
        self.sink = Sink(stderr)
        prefix = f"{life.name}/" if life.name else ""
        self._directory = directory
        self.inquest = Inquest(prefix, self._write_down)

    def _write_down(self, incident: Incident) -> None:
        if not append(self._directory, incident):
            _log.warning("no room in %s to write an incident down:\n%s", self._directory, incident)

    # -- the living

    def attend(self, process: Process) -> None:
        """Listen to what a child writes to its standard error."""
        process.born = time.monotonic()
        self._listen(process)

    def _listen(self, process: Process) -> None:
        ear = process.ear
        if ear is not None and not ear.closed:
            self._hub.watch(ear.fd, lambda: self._hear(process))

    def _hear(self, process: Process) -> None:
        ear = process.ear
        goes_on = None if ear is None else ear.listen()
        if ear is not None and not goes_on:
            self._hub.unwatch(ear.fd)
            if goes_on is False:
                self._start_timer(_DEAF_S, lambda: self._listen(process))

    # -- the dead

    def examine(self, process: Process, reason: ExitReason, work: Work) -> None:
        """Take down what is known of a dead child. If its death is for the supervisor to decide about, the incident
        waits for the ruling."""
        if process.ear is not None:
            self._hub.unwatch(process.ear.fd)
            process.ear.close()
        if process.ignored or process.unasked:
            return
        death = self._facts(process, process.failure or reason, work)
        limit_s = process.spec.shutdown_s
        if process.overdue:
            rule = f"it did not end within {limit_s:g} s of being asked to (its shutdown_s), and was killed"
            self.inquest.closed(death, Fate.STOPPED, rule)
        elif process.stopping:
            if not reason.is_normal:
                self.inquest.closed(death, Fate.STOPPED, "it was to end, but not like this")
        elif process.ref is None:
            self.inquest.closed(death, Fate.NOT_STARTED, "whoever started it is told; a restart is tried again")
        else:
            self.inquest.died(death)

    def _facts(self, process: Process, reason: ExitReason, work: Work) -> Death:
        if process.handling and not work.handling:
            work = replaced(work, handling=process.handling)
        code = process.handle.exitcode
        return Death(
            child_id=process.spec.id,
            incarnation=process.incarnation,
            pid=process.pid,
            ran_s=time.monotonic() - process.born,
            reason=reason,
            exit=describe_exit(code),
            ordered=process.ordered or process.overdue or process.stood_still or process.failure is not None,
            out_of_memory=code == -9 and not (process.ordered or process.stood_still) and self._memory_ran_out(),
            work=work,
            peak_bytes=process.peak_bytes,
            last_lines=() if process.ear is None else process.ear.tail.lines(),
        )

    def _memory_ran_out(self) -> bool:
        before, self._oom_kills = self._oom_kills, oom_kills()
        return self._oom_kills > before
