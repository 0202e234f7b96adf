"""`Session`: work that belongs together, done by one worker."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Protocol, Self

import attrs

from slither_actors import telemetry
from slither_actors._code import Code
from slither_actors._keywords import known_keywords
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch.messages import InPort, Origin, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.dispatch.session_options import SessionOptions
from slither_actors.errors import SessionLost
from slither_actors.item import Item
from slither_actors.pipe.outputs import Outputs
from slither_actors.pipe.pipe import Pipe
from slither_actors.policy import Skip
from slither_actors.system._calls import WINDOW, Line
from slither_actors.system._runs import sealed_context
from slither_actors.system._sessions import Sessions
from slither_actors.system.results import Results, Stream
from slither_actors.workers.executor import AnyExecutor
from slither_actors.workers.messages import Job


class Service(Protocol):
    """What a session uses of its system."""

    name: str

    @property
    def dispatch(self) -> Callable[..., Results]: ...
    @property
    def stream(self) -> Callable[..., Stream]: ...
    @property
    def call_batch(self) -> Callable[..., list[Item]]: ...
    @property
    def run_pipe(self) -> Callable[..., Outputs]: ...
    @property
    def stream_pipe(self) -> Callable[..., Stream]: ...
    @property
    def _options(self) -> Callable[[Mapping[str, Any], str], DispatchOptions]: ...
    @property
    def _code(self) -> Callable[[Any, DispatchOptions, str], Code]: ...
    def _run_id(self) -> str: ...


class Session:
    """A session, as `system.session()` returns it: what it is given to do goes to one worker of each pool, one batch at
    a time and in order, and finds the same `ctx.state` there. A context manager; safe to use from any thread.

    Leaving the block waits for the calls that are open, unless it is left by an error, then for `session_stop`. It ends
    the session, unless another block holds it too.
    """

    def __init__(self, system: Service, sessions: Sessions, session_id: str, options: SessionOptions) -> None:
        self.id = session_id
        self.options = options
        sessions.check_admission()
        self._system = system
        self._sessions = sessions
        self._held = sessions.hold(options.ticket(session_id, sessions.default_ttl_s))
        self._lock = threading.Lock()
        self._lines: dict[Any, Line] = {}
        self._closed = False
        self._left_by_error = False
        self._began = time.perf_counter()
        telemetry.emit((*telemetry.SESSION, "start"), {}, self._about())

    def __repr__(self) -> str:
        return f"<Session {self.id} {'closed' if self._closed else 'open'}>"

    def _about(self) -> dict[str, Any]:
        return {"system": self._system.name, "session": self.id}

    # -- the calls of a system

    def dispatch(self, items: Iterable[Any], executor: AnyExecutor, **options: Any) -> Results:
        """`System.dispatch` with its options, in this session.

        Raises:
            SessionLost: the session is over. DispatchError: as there; its reason is `SessionLost` if that happened
                meanwhile.
        """
        return self._system.dispatch(items, executor, **self._in_session(options))

    def stream(self, items: Iterable[Any], executor: AnyExecutor, **options: Any) -> Stream:
        """`System.stream` with its options, in this session."""
        return self._system.stream(items, executor, **self._in_session(options))

    def call_batch(self, items: Iterable[Any], executor: AnyExecutor, **options: Any) -> list[Item]:
        """`System.call_batch` with its options, in this session."""
        return self._system.call_batch(items, executor, **self._in_session(options))

    def run_pipe(
        self, pipe: type[Pipe], inputs: Iterable[Any], *, metadata: Mapping[str, Any] | None = None, **options: Any
    ) -> Outputs:
        """`System.run_pipe` with its options, in this session: each worker stage works in the session's worker."""
        self._check_open()
        return self._system.run_pipe(pipe, inputs, session_id=self.id, metadata=metadata, **options)

    def stream_pipe(
        self, pipe: type[Pipe], inputs: Iterable[Any], *, metadata: Mapping[str, Any] | None = None, **options: Any
    ) -> Stream:
        """`System.stream_pipe` with its options, in this session."""
        self._check_open()
        return self._system.stream_pipe(pipe, inputs, session_id=self.id, metadata=metadata, **options)

    def _in_session(self, options: dict[str, Any]) -> dict[str, Any]:
        self._check_open()
        context = options.get("context")
        if context is None:
            context = Context()
        return {**options, "context": attrs.evolve(context, session_id=self.id)}

    # -- calls

    @known_keywords
    def submit(
        self, item: Any, executor: AnyExecutor, *, pool: str = "default", timeout_s: float = 30.0
    ) -> Future[Any]:
        """Call the executor with a batch of this one item, and do not wait. Calls run in the order they were submitted.

        Args:
            item: a payload or an `Item`.
            executor: as in `dispatch`. Give the same object each time: what was sent before is not sent again.
            pool: the worker pool.
            timeout_s: seconds it may run before the worker is killed, and the session lost.

        Returns:
            A future of the payload of the result, or of what happened, such as `RemoteError` or `SessionLost`.
            What you do in its callbacks holds up the answers to all other calls.

        Raises:
            SessionLost: the session is over. NotPicklable, InvalidOption, UnknownPool: it cannot be called at all.
        """
        self._check_open()
        key = (executor, pool, timeout_s)
        line = self._lines.get(key)
        if line is None or (line.over is not None and not isinstance(line.over, SessionLost)):
            with self._lock:
                line = self._lines.get(key)
                if line is None or (line.over is not None and not isinstance(line.over, SessionLost)):
                    line = self._lines[key] = self._open_line(executor, pool, timeout_s)
        return line.submit(item)

    def _open_line(self, executor: AnyExecutor, pool: str, timeout_s: float) -> Line:
        given = {"pool": pool, "timeout_s": timeout_s, "batch_size": 1, "max_in_flight": 1, "on_error": Skip()}
        options = self._system._options(given, "submit")
        code = self._system._code(executor, options, "submit")
        run_id = self._system._run_id()
        sealed = sealed_context(Context(session_id=self.id), run_id, "submit")
        to, part = self._sessions.part(self.id, pool, calls=True)
        return self._sessions.calls.open(
            self.id, code.name, to, lambda service: _line_plan(service, options, code, sealed, part)
        )

    # -- the end

    def close(self) -> None:
        """End the session: its state is gone when this returns. What is still open of it fails. Repeating it does no
        harm."""
        if not self._sessions.is_ours:  # a fork must not end what is its parent's
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for line in self._lines.values():
            line.close()
        losses, is_lost = self._sessions.release(self._held)
        outcome = "lost" if is_lost else "error" if self._left_by_error else "ok"
        measured = {"duration_s": time.perf_counter() - self._began, "losses": losses}
        telemetry.emit((*telemetry.SESSION, "stop"), measured, self._about() | {"outcome": outcome})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left_by_error = kind is not None
        if kind is None and self._sessions.is_ours:
            concurrent.futures.wait([future for line in self._lines.values() for future in line.pending()])
        self.close()

    def _check_open(self) -> None:
        self._sessions.check_admission()
        if self._closed:
            raise SessionLost(self.id, "", 1, "it was ended")


def _line_plan(service: str, options: DispatchOptions, code: Code, context: SealedContext, part: Any) -> DispatchPlan:
    back = OutPort(2, service, WINDOW, 1)
    inputs = (InPort(1, service, WINDOW, Origin(None, Skip()), back=2),)
    return DispatchPlan(inputs, back, back, Job(code, context), options, session=part)
