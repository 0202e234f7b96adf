"""One call on every worker of a pool."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from slither_actors._code import Code
from slither_actors._codec import Frame
from slither_actors.context import SealedContext
from slither_actors.errors import (
    CallTimeout,
    InvalidOutcome,
    NoProcess,
    NotDecodable,
    SlitherError,
    WorkerCrashed,
)
from slither_actors.otp.endpoint import Ended, Endpoint
from slither_actors.otp.messages import KillProcess
from slither_actors.otp.ref import Ref
from slither_actors.system.client import CALL_LIMIT_S, RESTART_LIMIT_S, Client
from slither_actors.system.names import POOLS
from slither_actors.transport.hub import Unread
from slither_actors.transport.process import has_ended
from slither_actors.workers.messages import ListWorkers, OnceDone, RunOnce
from slither_actors.workers.pool import WORKERS

# An endpoint is lent again and again: an answer that comes too late must not be taken for that of a later call.
_numbers = itertools.count(1)


def call_each(client: Client, pool: str, executor: Code, context: SealedContext, timeout_s: float) -> list[Any]:
    """Run a function once on each worker; the results in the order of the workers.

    Workers that are being restarted are waited for. Who takes the place of one that ended before it began is asked
    instead; those that retire and those in quarantine are not. All answers are waited for, also behind an error, so
    that no worker is still at work on it afterwards; those that do not answer in time are killed.

    Raises:
        WorkerCrashed: a worker died over it. CallTimeout: one did not answer in time.
        NoProcess: one does not come up. PoolQuarantined: none is there.
        SlitherError: the function cannot be loaded, or raised (`RemoteError`).
    """
    with client.endpoint() as endpoint:
        call = _Round(endpoint, executor.name, timeout_s, client.end_of)
        try:
            workers = _listed(client, pool)
            while call.lacks(workers):
                call.ask(workers, executor, context)
                call.listen()
                workers = _listed(client, pool) if call.goes_on else workers
            return call.results(workers)
        finally:
            try:
                # or they would be at work for ever on what nobody waits for
                for ref, number in call.missing.values():
                    kill = KillProcess(ref, "nobody waits for it", number)
                    with contextlib.suppress(SlitherError):
                        if client.call(f"{POOLS}/{pool}/{WORKERS}", kill, CALL_LIMIT_S):
                            call.await_end(ref)
            finally:
                call.close()
                client.hear()


def _listed(client: Client, pool: str) -> Sequence[Ref]:
    """All workers of a pool, as soon as all are up."""
    deadline = time.monotonic() + RESTART_LIMIT_S
    supervisor = f"{POOLS}/{pool}/{WORKERS}"
    while True:
        workers, expected = client.call(supervisor, ListWorkers(), CALL_LIMIT_S)
        # the supervisor hears of a death a little later than the kernel knows
        living = [ref for ref in workers if not has_ended(ref.pid)]
        missing = set(expected).difference(ref.name for ref in living)
        if not missing:
            return living
        if time.monotonic() > deadline:
            raise NoProcess(min(missing))
        time.sleep(0.005)  # the supervisor has no way to say when


class _Round:
    """One call to each of some workers: who has not answered yet, what the others did, and what went wrong first.

    Args:
        endpoint: where the answers come; nobody else uses it meanwhile.
        name: how errors call the function.
        timeout_s: how long the answers may take, from when the first workers are asked.
        end_of: tells how a worker ended, and what it was at.
    """

    def __init__(
        self, endpoint: Endpoint, name: str, timeout_s: float, end_of: Callable[[Ref], tuple[str, Any]]
    ) -> None:
        self.missing: dict[str, tuple[Ref, int]] = {}  # by address; the number is that of the call
        self._endpoint = endpoint
        self._name = name
        self._timeout_s = timeout_s
        self._deadline: float | None = None
        self._end_of = end_of
        self._results: dict[str, Any] = {}  # by the name of the worker, of those that began
        self._error: Exception | None = None
        self._watches: list[Callable[[], None]] = []

    @property
    def goes_on(self) -> bool:
        """Whether nothing went wrong."""
        return self._error is None

    def lacks(self, workers: Sequence[Ref]) -> bool:
        """Whether nothing went wrong, and some of these have not begun."""
        return self.goes_on and any(ref.name not in self._results for ref in workers)

    def ask(self, workers: Sequence[Ref], executor: Code, context: SealedContext) -> None:
        """Call those that have not begun, if there is time left for them."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._timeout_s
        elif time.monotonic() > self._deadline:
            late = next(ref for ref in workers if ref.name not in self._results)
            self._note(CallTimeout(f"worker {late.name}", self._timeout_s))
            return
        for ref in workers:
            if ref.name in self._results:
                continue
            with contextlib.suppress(NoProcess):  # whoever takes its place is asked
                self._watches.append(self._endpoint.watch(ref))
                self.missing[ref.address] = ref, next(_numbers)
                self._endpoint.post(ref.address, RunOnce(self.missing[ref.address][1], executor, context))

    def listen(self) -> None:
        """Hear all that were called, or as many as answer in time."""
        assert self._deadline is not None
        while self.missing:
            received = self._endpoint.receive(self._deadline - time.monotonic())
            if received is None:
                ref, _ = next(iter(self.missing.values()))
                self._note(CallTimeout(f"worker {ref.name}", self._timeout_s))
                break
            self._take(*received)

    def results(self, workers: Sequence[Ref]) -> list[Any]:
        """What these workers answered; raises what went wrong first."""
        if self._error is not None:
            self._results.clear()  # the error leads to this frame, and no buffer may be part of such a cycle
            raise self._error
        return [self._results[ref.name] for ref in workers]

    def _take(self, news: Any, sender: str) -> None:
        ref, number = self.missing.get(sender, (None, 0))
        if ref is None:
            return
        if isinstance(news, OnceDone) and news.number == number:
            if news.error is not None:
                self._note(news.error)
            else:
                self._open(ref, news.result)
        elif isinstance(news, Unread) and news.head == ("RunOnce", number):
            self._note(NotDecodable(f"the call of {self._name}", news.error))
        elif isinstance(news, Ended):
            why, was_at = self._end_of(ref)
            if was_at in (None, number):  # as far as anybody knows
                self._note(WorkerCrashed(ref.name, ref.pid, why))
        else:
            return
        del self.missing[sender]

    def _open(self, ref: Ref, result: Frame) -> None:
        try:
            self._results[ref.name] = result.open("the result")
        except NotDecodable as error:
            self._note(InvalidOutcome.unreadable(self._name, error.why))

    def _note(self, error: Exception) -> None:
        self._error = self._error or error

    def await_end(self, ref: Ref) -> None:
        """Wait for the end of a worker that is killed: whoever calls next must not meet it."""
        deadline = time.monotonic() + CALL_LIMIT_S
        while (received := self._endpoint.receive(deadline - time.monotonic())) is not None:
            if isinstance(received[0], Ended) and received[0].ref == ref:
                return

    def close(self) -> None:
        for forget in self._watches:
            forget()
