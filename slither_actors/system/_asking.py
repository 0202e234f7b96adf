"""Questions to the processes of a tree: who is where, and what they answer."""

from __future__ import annotations

import contextlib
import time
from contextlib import AbstractContextManager
from typing import Any

from slither_actors.errors import CallTimeout, NoProcess, SlitherError
from slither_actors.otp.child import ExitReason, last_line
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.messages import EndOf, ListProcesses, Resolve
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.system.endpoints import Endpoints

# How long a call waits for a process that is being restarted.
RESTART_LIMIT_S = 5.0
# How long one that came by request is waited for before somebody looks whether it was forgotten.
GLANCE_S = 0.2
CALL_LIMIT_S = 10.0

# How long the registry, or the end of the whole tree, may lag behind a death.
_NEWS_LIMIT_S = 1.0


class Asking:
    """The part of a `Client` that asks. Safe to use from any thread."""

    _registry: str
    _endpoints: Endpoints

    def _refusal(self) -> SlitherError | None:
        raise NotImplementedError

    def resolve(self, names: tuple[str, ...], limit_s: float = RESTART_LIMIT_S) -> tuple[Ref, ...]:
        """Who runs under these names; a process that is being restarted is waited for.

        Raises:
            NoProcess: it did not come back in time. SystemDown: the system is stopped, or gave up.
        """
        deadline = time.monotonic() + limit_s
        while True:
            try:
                refs: tuple[Ref, ...] = self._ask_registry(Resolve(names))
                return refs
            except NoProcess:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)  # it is being restarted; the registry has no way to say when

    def call(self, name: str, request: Any, timeout_s: float) -> Any:
        """Ask the process called `name`."""
        (ref,) = self.resolve((name,))
        with self._endpoints.lent() as endpoint:
            return endpoint.call(ref.address, request, timeout_s, name)

    def ask(self, to: str | Ref, request: Any, timeout_s: float) -> Any:
        """Ask a process; one that is being restarted is not waited for."""
        with self._endpoints.lent() as endpoint:
            ref = endpoint.find(self._registry, to, timeout_s)
            return endpoint.call(ref.address, request, timeout_s, ref.name)

    def cast(self, to: str | Ref, request: Any) -> None:
        """Send without wanting an answer; the dead are no error."""
        with self._endpoints.lent() as endpoint:
            endpoint.cast(self._registry, to, request, CALL_LIMIT_S)
            if not endpoint.flush(CALL_LIMIT_S):  # nobody polls an endpoint that idles
                raise CallTimeout(str(to), CALL_LIMIT_S)

    def whereis(self, name: str) -> Ref | None:
        """Who runs under this name now."""
        try:
            found: tuple[Ref, ...] = self._ask_registry(Resolve((name,)))
        except NoProcess:
            return None
        return found[0]

    def processes(self) -> tuple[ProcessInfo, ...]:
        """All that the registry knows."""
        found: tuple[ProcessInfo, ...] = self._ask_registry(ListProcesses())
        return found

    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """An endpoint for the time of a block."""
        return self._endpoints.lent()

    def _ask_registry(self, request: Any, limit_s: float = CALL_LIMIT_S) -> Any:
        with self._endpoints.lent() as endpoint:
            return endpoint.call(self._registry, request, limit_s, "the registry")

    def last_exit(self, ref: Ref) -> str:
        """How a process ended, in one line.

        Raises:
            SystemDown: it ended with everything else.
        """
        return self.end_of(ref)[0]

    def end_of(self, ref: Ref) -> tuple[str, Any]:
        """How a process ended, in one line, and what its supervisor found, `None` if nobody can tell.

        The kernel has told us of the end sooner than the registry, so this waits a moment for the registry's news.

        Raises:
            SystemDown: it ended with everything else.
        """
        deadline = time.monotonic() + _NEWS_LIMIT_S
        while time.monotonic() < deadline:
            refusal = self._refusal()
            if refusal is not None:
                raise refusal
            with contextlib.suppress(NoProcess, CallTimeout):
                has_ended, reason, finding = self._ask_registry(EndOf(ref))
                if has_ended:
                    return _said(reason), finding
            time.sleep(0.005)
        return "an unknown exit", None


def _said(reason: ExitReason | None) -> str:
    if reason is not None and not reason.is_normal:
        return last_line(reason)
    why = reason.text if reason is not None and reason.kind == "shutdown" else ""
    return f"an orderly stop ({why})" if why else "an orderly stop"
