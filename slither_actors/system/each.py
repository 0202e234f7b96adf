"""One call on every worker of a pool."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from slither_actors._code import Code
from slither_actors._codec import Frame
from slither_actors.context import SealedContext
from slither_actors.errors import CallTimeout, InvalidOutcome, NoProcess, NotDecodable, WorkerCrashed
from slither_actors.otp.endpoint import Ended, Endpoint
from slither_actors.otp.messages import KillProcess
from slither_actors.otp.ref import Ref
from slither_actors.system.client import CALL_LIMIT_S, RESTART_LIMIT_S, Client
from slither_actors.system.names import POOLS
from slither_actors.transport.hub import Unread
from slither_actors.transport.process import has_ended
from slither_actors.worker.messages import ListWorkers, OnceDone, RunOnce
from slither_actors.worker.pool import LEASES, WORKERS

# An endpoint is lent again and again: an answer that comes too late must not be taken for that of a later call.
_numbers = itertools.count(1)


def call_each(
    client: Client, pool: str, size: int, executor: Code, context: SealedContext, timeout_s: float
) -> list[Any]:
    """Run a function once on each worker; the results in the order of the workers.

    Workers that are being restarted are waited for; those that do not answer in time are killed.

    Raises:
        WorkerCrashed: a worker died before it answered. CallTimeout: one did not answer in time.
        SlitherError: the function cannot be loaded, or raised (`RemoteError`).
    """
    # the pool hears of a death a little later than the kernel knows
    workers = _listed(client, pool, lambda them: len(them) == size and not any(has_ended(ref.pid) for ref in them))
    (supervisor,) = client.resolve((f"{POOLS}/{pool}/{WORKERS}",))
    missing: dict[str, int] = {}
    with client.endpoint() as endpoint:
        try:
            return _call_each(endpoint, workers, missing, executor, context, timeout_s)
        finally:
            late = {ref for ref in workers if ref.address in missing}
            for ref in late:  # or it would be at work on it for ever, and nobody waits for that
                endpoint.post(supervisor.address, KillProcess(ref, "nobody waits for it", missing[ref.address]))
            if late:
                _listed(client, pool, late.isdisjoint)


def _listed(client: Client, pool: str, settled: Callable[[Sequence[Ref]], bool]) -> Sequence[Ref]:
    """The workers that the pool knows, as soon as that is settled, or when it takes too long."""
    deadline = time.monotonic() + RESTART_LIMIT_S
    while True:
        workers: Sequence[Ref] = client.call(f"{POOLS}/{pool}/{LEASES}", ListWorkers(), CALL_LIMIT_S)
        if settled(workers) or time.monotonic() > deadline:
            return workers
        time.sleep(0.005)  # the pool has no way to say when


def _call_each(
    endpoint: Endpoint,
    workers: Sequence[Ref],
    missing: dict[str, int],
    executor: Code,
    context: SealedContext,
    timeout_s: float,
) -> list[Any]:
    results: dict[str, Any] = {}
    watches = []
    deadline = time.monotonic() + timeout_s
    try:
        for ref in workers:
            watches.append(_watch(endpoint, ref))
            missing[ref.address] = next(_numbers)
            endpoint.post(ref.address, RunOnce(missing[ref.address], executor, context))
        while missing:
            received = endpoint.receive(deadline - time.monotonic())
            if received is None:
                late = next(ref.name for ref in workers if ref.address in missing)
                raise CallTimeout(f"worker {late}", timeout_s)
            news, sender = received
            if isinstance(news, OnceDone) and missing.get(sender) == news.number:
                del missing[sender]
                if news.error is not None:
                    raise news.error
                results[sender] = _opened(news.result, executor.name)
            elif isinstance(news, Unread) and news.head == ("RunOnce", missing.get(sender)):
                raise NotDecodable(f"the call of {executor.name}", news.error)
            elif isinstance(news, Ended) and sender in missing:
                raise WorkerCrashed(news.ref.name, news.ref.pid, "an unknown exit")
    finally:
        for forget in watches:
            forget()
    return [results[ref.address] for ref in workers]


def _opened(result: Frame, name: str) -> Any:
    try:
        return result.open("the result")
    except NotDecodable as error:
        raise InvalidOutcome.unreadable(name, error.why) from error


def _watch(endpoint: Endpoint, ref: Ref) -> Callable[[], None]:
    try:
        return endpoint.watch(ref)
    except NoProcess:
        raise WorkerCrashed(ref.name, ref.pid, "an unknown exit") from None
