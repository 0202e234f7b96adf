"""The part of the handle of a system that ends it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from slither_actors._keywords import known_keywords
from slither_actors._validators import check_bool, checked_seconds
from slither_actors.dispatch.drain import DrainReport
from slither_actors.system._signals import CODE, Terminator, is_of_the_end
from slither_actors.system.client import HURRIED_S, Client


class Lifecycle:
    """How a system ends."""

    _client: Client
    _handle_signals: bool
    _stop_timeout_s: float
    _terminator: Terminator | None = None

    @known_keywords
    def stop(self, timeout_s: float | None = None, *, drain: bool = True) -> DrainReport:
        """Drain what is open, then stop the tree in reverse order.

        From now on nothing more is read from any source. What was read comes to its end, and reaches whoever asked for
        it: a stream ends behind its last result, a call that would have given all results raises with those it has.
        What is not finished in time is cut, and who does not end is killed, within three seconds.

        There is one stop: other threads that call it wait for its end, and make it as hurried as they are. A handler
        of a signal that interrupts it gets an empty report.

        Args:
            timeout_s: how many seconds all of it may take; 10 unless `start` was told otherwise.
            drain: whether to wait for what is open; else it is cut at once.

        Returns:
            What became of everything that was open.

        Raises:
            InvalidOption: `timeout_s` is no time, or `drain` no bool. ForkedSystem: it is another process's.
        """
        check_bool("stop", "drain", drain)
        limit_s = self._stop_timeout_s if timeout_s is None else checked_seconds("stop", timeout_s)
        return self._client.stop(limit_s, drain=drain)

    def _consumed_by(self, thread: int) -> bool:
        """Whether this thread takes part in an open run, by its identifier."""
        return self._client.runs.consumed_by(thread)

    def __enter__(self) -> Self:
        if self._handle_signals and self._terminator is None:
            self._terminator = Terminator.join(self, self._stop_timeout_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._client.is_ours:  # a forked child leaves the block too
            return
        terminator, self._terminator = self._terminator, None
        try:
            if kind is None or (terminator is not None and terminator.received and is_of_the_end(error)):
                self.stop()
            else:
                self.stop(HURRIED_S, drain=False)
        finally:
            if terminator is not None:
                terminator.leave(self)
        if terminator is not None and terminator.received and is_of_the_end(error):
            raise SystemExit(CODE)
