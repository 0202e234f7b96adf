"""The service's ear: one thread that takes in log records and the news that the tree is going down."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from slither_actors import telemetry
from slither_actors.errors import SlitherError, SystemDown, TransportError
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.logs import replay
from slither_actors.otp.messages import EventNotes, Exiting, LogLine, TreeDown, TreeEvents, Up

_TICK_S = 1.0
_GLANCE_S = 0.1
_log = logging.getLogger(__name__)


class Gateway:
    """Reads the gateway endpoint until it is stopped or the host is dead.

    Args:
        name: of the system.
        endpoint: the address that actors know as the gateway.
        on_down: called once with the causes, when the tree gives up or the host dies.
        on_registry: called with the address of a new registry.
        tick: called once per second, or more often, in this thread.
        every_s: how often at least.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        on_down: Callable[[tuple[str, ...]], None],
        on_registry: Callable[[str], None],
        tick: Callable[[], None],
        every_s: float = _TICK_S,
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._on_down = on_down
        self._on_registry = on_registry
        self._tick = tick
        self._every_s = min(_TICK_S, every_s)
        self._stopping = threading.Event()
        self.root_exited = threading.Event()
        self.in_order = False  # whether it did so as it was asked to; known when it has exited
        self._thread = threading.Thread(target=self._run, name=f"slither-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def thread(self) -> int | None:
        """The listening thread's identifier, as long as it lives: then a new thread may get the same one."""
        return self._thread.ident if self._thread.is_alive() else None

    def settle(self, limit_s: float) -> None:
        """Wait, at most `limit_s`, until handlers have heard all events that had been sent by now. In the listening
        thread itself, as from a handler, it waits for nothing."""
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            return
        note = _Settle()
        with contextlib.suppress(TransportError):  # it is over
            self._endpoint.post(self._endpoint.address, note)
            deadline = time.monotonic() + limit_s
            while not note.heard.wait(_GLANCE_S) and self._thread.is_alive() and time.monotonic() < deadline:
                pass

    def _settle(self, note: _Settle) -> None:
        if note.begun:
            note.heard.set()
        else:
            note.begun = True
            self._endpoint.settle()
            self._endpoint.put_aside(note, "")

    def stop(self, limit_s: float) -> None:
        """Read what is left, then end the thread, at most `limit_s` later, and close the endpoint."""
        self._stopping.set()
        self._endpoint.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(limit_s)
        self._endpoint.close()

    def _run(self) -> None:
        causes: tuple[str, ...] = ()
        next_tick = time.monotonic() + self._every_s
        try:
            while True:
                received = self._endpoint.receive(0 if self._stopping.is_set() else self._every_s)
                if received is None and self._stopping.is_set():
                    return
                if time.monotonic() >= next_tick:
                    next_tick = time.monotonic() + self._every_s
                    _contain(self._tick)
                if received is None:
                    continue
                news = received[0]
                if isinstance(news, LogLine):
                    _contain(replay, news, self._name)
                elif isinstance(news, EventNotes | TreeEvents):
                    emit_all(news, self._name)
                elif isinstance(news, _Settle):
                    self._settle(news)
                elif isinstance(news, Up):
                    self._on_registry(news.ref.address)
                elif isinstance(news, TreeDown):
                    causes = news.causes
                elif isinstance(news, Exiting):
                    self.in_order = not causes and (self._stopping.is_set() or news.reason.is_normal)
                    if not self.in_order:
                        self._on_down(causes or (str(news.reason),))
                    self.root_exited.set()
        except SystemDown:
            self._on_down(causes)
        except SlitherError as error:
            self._on_down((str(error),))
        finally:
            self.root_exited.set()


class _Settle:
    """A note to self: tell somebody when all is heard that has arrived by now."""

    def __init__(self) -> None:
        self.begun = False
        self.heard = threading.Event()


def emit_all(notes: EventNotes | TreeEvents, system: str) -> None:
    """Report events of actors to the handlers of this process."""
    about = {"system": system} if isinstance(notes, TreeEvents) else {}
    for name, measurements, metadata in notes.events:
        telemetry.emit(name, measurements, about | metadata)


def _contain(action: Callable[..., None], *args: object) -> None:
    """Do it, whatever it raises: a handler of the service, or a pipe that does not stop, must not end the listening."""
    try:
        action(*args)
    except Exception:
        _log.exception("the gateway goes on after an error")
