"""Telemetry: named events with numbers and labels, handed to whoever attached to them.

An event is a tuple of names such as ``("slither", "pipe", "run", "stop")``. A handler hears every event that begins
with its prefix, in the thread that emits it. A handler that raises is detached, with one warning in the log.

The library reports its runs, in the service, in the thread that consumes the results::

    ("slither", "dispatch", "run", "start")    a dispatch(), stream() or call_batch() begins
    ("slither", "dispatch", "run", "stop")     it is over
    ("slither", "pipe", "run", "start")        a run_pipe() or stream_pipe() begins
    ("slither", "pipe", "run", "stop")         it is over
    ("slither", "session", "start")            a block of session() begins
    ("slither", "session", "stop")             it is over

Metadata are ``system``, ``run`` (its id) and ``pool`` or ``pipe``; of a stop also ``outcome``: "ok", "error" or
"cancelled". Those of a session are ``system`` and ``session`` (its id). Measurements of a run's stop are
``duration_s``, ``items_in`` (pulled from the source), ``items_out``, ``skipped``, ``dropped`` and ``dead``. There is
one stop for each start, whatever the outcome. Nothing is reported from the processes of the tree: batches, stages,
workers and supervisors have no events.

``span`` reports the start and the end of a block of your own on the same bus.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

import attrs

from slither_actors._describe import message_of, shorten
from slither_actors._signature import accepts
from slither_actors.errors import InvalidOption

Name = tuple[str, ...]
Handler = Callable[[Name, dict[str, Any], dict[str, Any]], object]

# Each is followed by "start" or "stop".
DISPATCH_RUN = ("slither", "dispatch", "run")
PIPE_RUN = ("slither", "pipe", "run")
SESSION = ("slither", "session")

_LOG = logging.getLogger(__name__)


class Event(NamedTuple):
    """One event as it was emitted."""

    name: Name
    measurements: dict[str, Any]
    metadata: dict[str, Any]


@attrs.frozen(eq=False)
class _Attached:
    prefix: Name
    handler: Handler

    def hears(self, event: Name) -> bool:
        return event[: len(self.prefix)] == self.prefix


class Bus:
    """Who listens to what. Thread-safe; emitting takes no lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attached: dict[str, _Attached] = {}  # replaced, never changed, so that emit may walk it unlocked

    def attach(self, handler_id: str, prefix: Name | str, handler: Handler) -> None:
        """Call ``handler(event, measurements, metadata)`` for every event that begins with ``prefix``.

        Args:
            handler_id: Name for ``detach``.
            prefix: A tuple, or its names joined by dots; the empty one hears everything.
            handler: Called in the thread that emits, so it should be quick. If it raises it is detached.

        Raises:
            InvalidOption: The id is taken, or an argument is none of the kind.
        """
        given: Any = handler  # not every caller asks a type checker
        if not callable(given) or not accepts(given, 3):
            allowed = "a function of (event, measurements, metadata)"
            raise InvalidOption("telemetry.attach", "handler", shorten(given), allowed)
        with self._lock:
            if handler_id in self._attached:
                raise InvalidOption("telemetry.attach", "handler_id", shorten(handler_id), "an id not attached yet")
            self._attached = {**self._attached, handler_id: _Attached(_as_name(prefix), handler)}

    def detach(self, handler_id: str) -> bool:
        """Stop calling a handler; tells whether there was one."""
        return self._drop(handler_id, None)

    def _drop(self, handler_id: str, only: _Attached | None) -> bool:
        with self._lock:
            found = self._attached.get(handler_id)
            if found is None or (only is not None and found is not only):
                return False
            self._attached = {key: value for key, value in self._attached.items() if key != handler_id}
            return True

    def listening(self, prefix: Name) -> bool:
        """Whether anybody would hear some event that begins with ``prefix``: if not, do not even build it."""
        for attached in self._attached.values():  # not any(...): making its generator costs more than the empty loop
            if attached.hears(prefix) or attached.prefix[: len(prefix)] == prefix:
                return True
        return False

    def emit(self, event: Name, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Hand an event to everyone who listens, in the order they attached."""
        for handler_id, attached in self._attached.items():
            if not attached.hears(event):
                continue
            try:
                attached.handler(event, measurements, metadata)
            except Exception:  # a broken listener must not break the work it listens to
                if self._drop(handler_id, attached):  # of several threads one gets here: one warning
                    _LOG.warning("telemetry handler %r raised and is detached", handler_id, exc_info=True)

    def span(self, prefix: Name, metadata: Mapping[str, Any] | None = None) -> "Span":
        """Report the start and the end of a ``with`` block. See Span."""
        return Span(self, prefix, dict(metadata or {}))

    @contextmanager
    def capture(self, prefix: Name | str = ()) -> Iterator[list[Event]]:
        """Collect the events that begin with ``prefix`` into a list while the block runs; made for tests."""
        events: list[Event] = []
        handler_id = f"capture-{next(_CAPTURES)}"
        self.attach(handler_id, prefix, lambda *event: events.append(Event(*event)))
        try:
            yield events
        finally:
            self.detach(handler_id)


@attrs.define(eq=False)
class Span:
    """A stretch of work as a context manager: ``start``, then ``stop`` or, if the block raises, ``exception``.

    The block may add to both dicts. The last event has ``duration_s`` among its measurements and ``outcome`` in its
    metadata: "ok", or "error" with the text of the ``error``, unless the block has set an outcome itself. If nobody
    listens when the block is entered, nothing is emitted, so no handler hears an end without its start.
    """

    _bus: Bus
    _prefix: Name
    metadata: dict[str, Any]
    measurements: dict[str, Any] = attrs.field(factory=dict, init=False)
    _started: float | None = attrs.field(default=None, init=False)

    def __enter__(self) -> Self:
        if self._bus.listening(self._prefix):
            self._started = time.perf_counter()
            self._bus.emit((*self._prefix, "start"), {"time_s": time.time()}, dict(self.metadata))
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._started is None:
            return
        self.measurements["duration_s"] = time.perf_counter() - self._started
        if error is None:
            self.metadata.setdefault("outcome", "ok")
        else:
            self.metadata.setdefault("outcome", "error")
            self.metadata["error"] = f"{type(error).__qualname__}: {message_of(error)}"
        end = "stop" if error is None else "exception"
        self._bus.emit((*self._prefix, end), self.measurements, self.metadata)


def _as_name(prefix: Name | str) -> Name:
    if isinstance(prefix, str):
        return tuple(prefix.split(".")) if prefix else ()
    names: Any = prefix
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise InvalidOption("telemetry", "prefix", shorten(names), 'a tuple of names, or "names.joined.by.dots"')
    return names


_CAPTURES = itertools.count(1)
# The one bus of a process: events come from every layer, and a bus handed through all of them would be a global anyway.
_BUS = Bus()
attach = _BUS.attach
detach = _BUS.detach
emit = _BUS.emit
listening = _BUS.listening
span = _BUS.span
capture = _BUS.capture
