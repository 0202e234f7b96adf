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
from slither_actors.worker.messages import ListWorkers, OnceDone, RunOnce
from slither_actors.worker.pool import LEASES, WORKERS, worker_names

# An endpoint is lent again and again: an answer that comes too late must not be taken for that of a later call.
_numbers = itertools.count(1)


def call_each(
    client: Client, pool: str, size: int, executor: Code, context: SealedContext, timeout_s: float
) -> list[Any]:
    """Run a function once on each worker; the results in the order of the workers.

    Workers that are being restarted are waited for. All answers are, also behind an error, so that no worker is still
    at work on it afterwards; those that do not answer in time are killed.

    Raises:
        WorkerCrashed: a worker died before it answered. CallTimeout: one did not answer in time.
        NoProcess: one does not come up.
        SlitherError: the function cannot be loaded, or raised (`RemoteError`).
    """
    workers = _listed(client, pool, size)
    with client.endpoint() as endpoint:
        call = _Round(endpoint, executor.name, client.last_exit)
        try:
            call.ask(workers, executor, context)
            return call.answers(time.monotonic() + timeout_s, timeout_s)
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


def _listed(client: Client, pool: str, size: int) -> Sequence[Ref]:
    """All workers of a pool, as soon as all are up."""
    deadline = time.monotonic() + RESTART_LIMIT_S
    while True:
        workers: Sequence[Ref] = client.call(f"{POOLS}/{pool}/{LEASES}", ListWorkers(), CALL_LIMIT_S)
        # the pool hears of a death a little later than the kernel knows
        living = [ref for ref in workers if not has_ended(ref.pid)]
        if len(living) == size:
            return living
        if time.monotonic() > deadline:
            raise NoProcess(next(name for name in worker_names(pool, size) if name not in {ref.name for ref in living}))
        time.sleep(0.005)  # the pool has no way to say when


class _Round:
    """One call to each of some workers: who has not answered yet, what the others did, and what went wrong first.

    Args:
        endpoint: where the answers come; nobody else uses it meanwhile.
        name: how errors call the function.
        last_exit: tells how a worker ended.
    """

    def __init__(self, endpoint: Endpoint, name: str, last_exit: Callable[[Ref], str]) -> None:
        self.missing: dict[str, tuple[Ref, int]] = {}  # by address; the number is that of the call
        self._endpoint = endpoint
        self._name = name
        self._last_exit = last_exit
        self._results: dict[str, Any] = {}  # by address, in the order of the workers
        self._error: Exception | None = None
        self._watches: list[Callable[[], None]] = []

    def ask(self, workers: Sequence[Ref], executor: Code, context: SealedContext) -> None:
        for ref in workers:
            self._results[ref.address] = None
            try:
                self._watches.append(self._endpoint.watch(ref))
            except NoProcess:
                self._note_crash(ref)
                continue
            self.missing[ref.address] = ref, next(_numbers)
            self._endpoint.post(ref.address, RunOnce(self.missing[ref.address][1], executor, context))

    def answers(self, deadline: float, timeout_s: float) -> list[Any]:
        """What all answered, in their order; raises the first error when none is missing, or at the deadline."""
        while self.missing:
            received = self._endpoint.receive(deadline - time.monotonic())
            if received is None:
                ref, _ = next(iter(self.missing.values()))
                self._note(CallTimeout(f"worker {ref.name}", timeout_s))
                break
            self._take(*received)
        if self._error is not None:
            self._results.clear()  # the error leads to this frame, and no buffer may be part of such a cycle
            raise self._error
        return list(self._results.values())

    def _take(self, news: Any, sender: str) -> None:
        ref, number = self.missing.get(sender, (None, 0))
        if ref is None:
            return
        if isinstance(news, OnceDone) and news.number == number:
            if news.error is not None:
                self._note(news.error)
            else:
                self._open(sender, news.result)
        elif isinstance(news, Unread) and news.head == ("RunOnce", number):
            self._note(NotDecodable(f"the call of {self._name}", news.error))
        elif isinstance(news, Ended):
            self._note_crash(ref)
        else:
            return
        del self.missing[sender]

    def _open(self, sender: str, result: Frame) -> None:
        try:
            self._results[sender] = result.open("the result")
        except NotDecodable as error:
            self._note(InvalidOutcome.unreadable(self._name, error.why))

    def _note_crash(self, ref: Ref) -> None:
        self._note(WorkerCrashed(ref.name, ref.pid, self._last_exit(ref)))

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
