"""Telemetry: named events with numbers and labels, handed to whoever attached to them.

An event is a tuple of names such as ``("slither", "pipe", "run", "stop")``. A handler hears every event that begins
with its prefix, in the thread that emits it. A handler that raises is detached, with one warning in the log.

``EVENTS`` lists what the library reports, and docs/telemetry.md says where it is heard. ``capture`` collects events in
a list, for tests. ``span`` reports the start and the end of a block of your own on the same bus.
"""

import difflib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

import attrs

from slither_actors._describe import is_of_a_signal, message_of, shorten
from slither_actors._events import BATCH as BATCH
from slither_actors._events import DISPATCH_RUN as DISPATCH_RUN
from slither_actors._events import EVENTS as EVENTS
from slither_actors._events import PIPE_RUN as PIPE_RUN
from slither_actors._events import SESSION as SESSION
from slither_actors._events import STAGE as STAGE
from slither_actors._events import STORE as STORE
from slither_actors._events import STORE_WRITE as STORE_WRITE
from slither_actors._events import SUPERVISOR as SUPERVISOR
from slither_actors._events import VIEW as VIEW
from slither_actors._events import WORKER as WORKER
from slither_actors._events import EventKind as EventKind
from slither_actors._events import Name as Name
from slither_actors._signature import accepts
from slither_actors.errors import InvalidOption

__all__ = [
    "EVENTS",
    "Captured",
    "Event",
    "EventKind",
    "Handler",
    "Name",
    "Span",
    "attach",
    "capture",
    "detach",
    "emit",
    "listening",
    "span",
]

Handler = Callable[[Name, dict[str, Any], dict[str, Any]], object]

_LOG = logging.getLogger(__name__)


# What processes of the tree report only if somebody listens.
_RELAYED = (STORE_WRITE, (*STORE, "reload"), (*STORE, "restore"), VIEW, BATCH, STAGE)


class Interest(NamedTuple):
    """What the handlers of a process listen to, for others that ask before they report.

    Attributes:
        number: grows with each change.
        prefixes: of events of other processes.
    """

    number: int
    prefixes: tuple[Name, ...]


NO_INTEREST = Interest(0, ())


class Event(NamedTuple):
    """One event as it was emitted."""

    name: Name
    measurements: dict[str, Any]
    metadata: dict[str, Any]


class Captured(list[Event]):
    """The events of a ``capture``, in the order in which they were emitted."""

    def named(self, name: Name | str) -> list[Event]:
        """Those whose name begins with this one."""
        prefix = _heard(name)
        return [event for event in self if event.name[: len(prefix)] == prefix]

    def one(self, name: Name | str) -> Event:
        """The only one of this kind.

        Raises:
            AssertionError: there is none, or there are several; it says what there is.
        """
        found = self.named(name)
        if len(found) != 1:
            names = ", ".join(".".join(event.name) for event in self) or "none"
            raise AssertionError(f"{len(found)} events begin with {'.'.join(_as_name(name))!r}, of these: {names}")
        return found[0]


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
        self.interest = NO_INTEREST

    def attach(self, handler_id: str, prefix: Name | str, handler: Handler) -> None:
        """Call ``handler(event, measurements, metadata)`` for every event that begins with ``prefix``.

        Args:
            handler_id: Name for ``detach``.
            prefix: A tuple, or its names joined by dots; the empty one hears everything.
            handler: Called in the thread that emits, so it should be quick. If it raises it is detached.

        Raises:
            InvalidOption: The id is taken, an argument is none of the kind, or the prefix begins with ``slither`` and
                no event does so.
        """
        given: Any = handler  # not every caller asks a type checker
        if not callable(given) or not accepts(given, 3):
            allowed = "a function of (event, measurements, metadata)"
            raise InvalidOption("telemetry.attach", "handler", shorten(given), allowed)
        with self._lock:
            if handler_id in self._attached:
                raise InvalidOption("telemetry.attach", "handler_id", shorten(handler_id), "an id not attached yet")
            self._replace({**self._attached, handler_id: _Attached(_heard(prefix), handler)})

    def detach(self, handler_id: str) -> bool:
        """Stop calling a handler; tells whether there was one."""
        return self._drop(handler_id, None)

    def _drop(self, handler_id: str, only: _Attached | None) -> bool:
        with self._lock:
            found = self._attached.get(handler_id)
            if found is None or (only is not None and found is not only):
                return False
            self._replace({key: value for key, value in self._attached.items() if key != handler_id})
            return True

    def _replace(self, attached: dict[str, _Attached]) -> None:
        self._attached = attached
        wanted = tuple(prefix for prefix in _RELAYED if self.listening(prefix))
        self.interest = Interest(self.interest.number + 1, wanted)

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
            except Exception as error:  # a broken listener must not break the work it listens to
                if is_of_a_signal(error):
                    raise
                if self._drop(handler_id, attached):  # of several threads one gets here: one warning
                    _LOG.warning("telemetry handler %r raised and is detached", handler_id, exc_info=True)

    def span(self, prefix: Name, metadata: Mapping[str, Any] | None = None) -> "Span":
        """Report the start and the end of a ``with`` block. See Span."""
        return Span(self, prefix, dict(metadata or {}))

    @contextmanager
    def capture(self, prefix: Name | str = ()) -> Iterator[Captured]:
        """Collect the events that begin with ``prefix`` into a list while the block runs; made for tests."""
        events = Captured()
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


def _heard(prefix: Name | str) -> Name:
    """The prefix as a name, unless it means events of the library, and hears none of them."""
    name = _as_name(prefix)
    known = {".".join(kind.name[: len(name)]) for kind in EVENTS}
    text = ".".join(name)
    if name[:1] == _OURS and text not in known:
        nearest = difflib.get_close_matches(text, known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        allowed = f"what one of telemetry.EVENTS begins with, or names of your own{hint}"
        raise InvalidOption("telemetry", "prefix", repr(text), allowed)
    return name


_OURS = ("slither",)
_CAPTURES = itertools.count(1)
# The one bus of a process: events come from every layer, and a bus handed through all of them would be a global anyway.
_BUS = Bus()


def interest() -> Interest:
    """What the handlers of this process listen to."""
    return _BUS.interest


attach = _BUS.attach
detach = _BUS.detach
emit = _BUS.emit
listening = _BUS.listening
span = _BUS.span
capture = _BUS.capture
