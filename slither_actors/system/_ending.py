"""The end of a system: once, by whoever is first, and in the hurry of whoever is in most."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from slither_actors.dispatch.drain import DrainReport
from slither_actors.incident import Incident
from slither_actors.logs import about
from slither_actors.otp.ref import ProcessInfo
from slither_actors.system.names import ROOT
from slither_actors.transport.process import has_ended, is_held

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Limit:
    """When something must be over, in times of the monotonic clock; others may want it sooner.

    Args:
        at: when what is open must have come to its end.
        end: when the rest must be over too.
    """

    def __init__(self, at: float, end: float = 0.0) -> None:
        self.at = at
        self.end = end

    @property
    def left_s(self) -> float:
        return max(0.0, self.at - time.monotonic())

    def hasten(self, other: Limit) -> None:
        self.at = min(self.at, other.at)
        self.end = min(self.end, other.end)


class Ending:
    """Safe to use from any thread, and from a handler of a signal that interrupts it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._limit: Limit | None = None
        self._stopper = 0
        self._report: DrainReport | None = None
        self._interruption: BaseException | None = None

    @property
    def begun(self) -> bool:
        return self._limit is not None

    def once(
        self,
        limit: Limit,
        stop: Callable[[Limit], DrainReport],
        hasten: Callable[[], None],
        deaf: Collection[int | None],
    ) -> DrainReport | None:
        """Have it done, or wait until it is.

        Args:
            limit: when it must be over.
            stop: does it.
            hasten: tells that the limit is nearer than it was.
            deaf: threads that must not wait, since it waits for them.

        Returns:
            The report; `None` where this thread cannot wait for it.
        """
        with self._lock:
            first = self._limit is None
            if self._limit is None:
                self._limit = limit
                self._stopper = threading.get_ident()
            else:
                self._limit.hasten(limit)
                hasten()
        if first:
            try:
                self._report = stop(limit)
            finally:
                self._over.set()
            if self._interruption is not None:
                raise self._interruption
        elif threading.get_ident() not in (self._stopper, *deaf):
            self._over.wait()
        return self._report

    def insist(self, settle: Callable[[], T], limit: Limit) -> T:
        """Do a part of it that may take until the limit. What interrupts that, such as Ctrl-C, brings the limit, and
        comes out of `once` when there is a report: what is cut must not be lost without a word."""
        try:
            return settle()
        except BaseException as error:
            self._interruption = error
            limit.hasten(Limit(0.0))
            return settle()


def told(report: DrainReport, causes: Collection[str] = (), *, in_haste: bool = False) -> DrainReport:
    """Warn of a stop that was not complete, since whoever only leaves a block never sees its report.

    Args:
        report: of the stop.
        causes: why the tree had died, if it had.
        in_haste: whether nobody wanted to wait, so that those who did not end at once are nothing to speak of.

    Returns:
        The report.
    """
    loses = bool(causes or report.abandoned or report.failed)
    if report.complete or (in_haste and not loses):
        return report
    of, by = (
        (f"system {report.system!r}", "stop()") if report.pipe is None else (f"pipe {report.pipe!r}", "stop_pipe()")
    )
    said = f"the stop of {of} was {'cut' if report.abandoned else 'not complete'}"
    if causes:
        said = f"{of} died and could not be drained ({'; '.join(causes)})"
    parts = []
    if report.abandoned:
        parts.append(f"{report.abandoned.count} of {report.pulled} items were abandoned")
    if report.failed:
        parts.append(f"{report.failed.count} of {report.pulled} items failed with their run")
    if causes and not parts:
        parts.append("what was under way is lost, how many items is unknown")
    if report.killed and not causes:
        parts.append(f"killed since they did not end: {', '.join(report.killed)}")
    text = f"{said}: {', '.join(parts)}; {by} returns the report"
    _log.warning("%s", text, extra=about(system=report.system, pipe=report.pipe))
    return report


def had_killed(incidents: Iterable[Incident], since: float) -> tuple[str, ...]:
    """Whom their supervisors had killed since then, in seconds since 1970, because they did not end in their time."""
    return tuple(one.name for one in incidents if one.at >= since and one.ordered and one.outcome == "stopped")


def killed(before: Iterable[ProcessInfo]) -> tuple[str, ...]:
    """Who of these still lives: those that did not end, without those above that only wait for them. One that was
    halted by a signal waits for nobody."""
    left = {info.ref.name: info.ref.pid for info in before if info.alive and not has_ended(info.ref.pid)}

    def waits(name: str) -> bool:
        return any(other != name and (name == ROOT or other.startswith(f"{name}/")) for other in left)

    return tuple(sorted(name for name, pid in left.items() if is_held(pid) or not waits(name)))
