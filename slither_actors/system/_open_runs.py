"""The runs of a service that are open, and how they are brought to their end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from slither_actors.dispatch.drain import RunReport
from slither_actors.dispatch.run import LAST_WORDS_S, Run
from slither_actors.errors import SlitherError
from slither_actors.system._ending import Limit

# How long the thread of a run that was cut may take to say what is left of it, beyond the last words of its nodes.
_SLACK_S = 0.25


class OpenRuns:
    """Of one system: each with who is told of its end. Safe to use from any thread."""

    def __init__(self) -> None:
        # Re-entrant, since the garbage collector may end an abandoned stream anywhere, also within this lock.
        self._changed = threading.Condition(threading.RLock())
        self._runs: dict[Run, str | None] = {}  # with the pipe that it goes through, as its supervisor calls that
        self._stopping: dict[str | None, str] = {}  # who is, by pipe; `None` is all

    def add(self, run: Run, where: str | None) -> None:
        """A run is open. It is drained at once if that is what all others are."""
        with self._changed:
            if not run.orders.over:
                self._runs[run] = where
            by = self._stopping.get(None) or self._stopping.get(where)
            if by is not None:
                run.orders.drain(by)

    def remove(self, run: Run) -> None:
        """A run is over."""
        with self._changed:
            self._runs.pop(run, None)
            self._changed.notify_all()

    def drain(self, by: str, where: str | None = None) -> tuple[Run, ...]:
        """Have all runs pull no more, also each that comes late; or only those that go through one pipe."""
        with self._changed:
            self._stopping[where] = by
            chosen = tuple(run for run, through in self._runs.items() if where in (None, through))
        for run in chosen:
            run.orders.drain(by)
        return chosen

    def settle(self, chosen: tuple[Run, ...], limit: Limit, error: SlitherError) -> tuple[RunReport, ...]:
        """Wait for the end of runs that are being drained, and cut those that do not come to it in time.

        Args:
            limit: how long to wait.
            error: what those end with.
        """
        me = threading.get_ident()
        for run in chosen:
            if run.driver == me:  # it would wait for itself: a handler of a signal, or the source, or `on_end`
                run.orders.cut(error)
            else:
                _drive(run, limit.at + LAST_WORDS_S)
        others = [run for run in chosen if run.driver != me]
        self._wait(others, limit)
        for run in others:
            if not run.orders.over:
                run.orders.cut(error)
        self._wait(others, Limit(time.monotonic() + LAST_WORDS_S + _SLACK_S))
        return tuple(run.report() for run in chosen)

    def consumed_by(self, thread: int) -> bool:
        """Whether a thread takes the results of one."""
        with self._changed:
            return any(run.consumer == thread for run in self._runs)

    def forget(self, where: str) -> None:
        """A pipe is stopped."""
        with self._changed:
            self._stopping.pop(where, None)

    def hasten(self) -> None:
        """A limit is nearer than it was."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, runs: Iterable[Run], limit: Limit) -> None:
        with self._changed:
            while not all(run.orders.over for run in runs) and (left := limit.left_s):
                self._changed.wait(left)


def _drive(run: Run, until: float) -> None:
    """Whoever holds a stream may be busy, or never ask again."""
    keep: Callable[[float], None] | None = run.keep()
    if keep is not None:
        threading.Thread(target=keep, args=(until,), name="slither-drain", daemon=True).start()
