"""slither_actors: a stream over a pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from operator import attrgetter
from typing import Any

import slither_actors as slither
from tests.benchmarks.peers.base import How, Peer, Table
from tests.benchmarks.work.jobs import Counter, Job

payload_of = attrgetter("payload")


class Stream(Peer):
    """`system.stream(...)`."""

    def start(self) -> None:
        self.system = slither.start(pools={"default": self.workers})
        self.by_key: dict[str, slither.Session] = {}

    def stop(self) -> None:
        self.system.stop()

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        with self.system.stream(
            items,
            job.batch,
            batch_size=how.batch,
            max_in_flight=how.in_flight,
            ordering="preserve" if how.ordered else "as_completed",
            on_error=policy_of(how),
            timeout_s=how.timeout_s or 30.0,
        ) as stream:
            yield from map(payload_of, stream)

    def credit(self, how: How) -> int:
        return (how.in_flight + 4) * how.batch

    def sessions(self, calls: list[tuple[str, int]], window: int) -> dict[str, int]:
        answers: dict[str, int] = {}
        open_calls: deque[tuple[str, Future[int]]] = deque()
        for key, amount in calls:
            if len(open_calls) == window:
                answered, future = open_calls.popleft()
                answers[answered] = future.result()
            if key not in self.by_key:
                self.by_key[key] = self.system.session(key)
            open_calls.append((key, self.by_key[key].submit(amount, add)))
        answers.update((key, future.result()) for key, future in open_calls)
        return answers

    def table(self) -> Table:
        from tests.benchmarks.peers.slither_store import StoreTable

        return StoreTable()


def add(amounts: list[int], ctx: slither.Context) -> list[int]:
    """Add to the counter of the session."""
    counter = ctx.state.setdefault("counter", Counter())
    return [counter.add(amount) for amount in amounts]


def policy_of(how: How) -> Any:
    """The error policy that does what is asked."""
    if how.retries and hasattr(slither, "Retry"):
        return slither.Retry(max_attempts=3, then="skip")
    return "skip" if how.tolerant else "halt"
