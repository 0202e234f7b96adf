"""What every peer can be asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from tests.benchmarks.work.jobs import Job


class NotPossible(Exception):
    """The peer has no means for what a workload asks."""


class How(NamedTuple):
    """How work is handed out.

    Attributes:
        batch: items in one message.
        in_flight: batches that may be out at once, where a peer can bound that.
        ordered: results in the order of the items, or as they complete.
        tolerant: a batch that fails is left out instead of ending the run, where a peer can do that.
        retries: a batch whose process died should be tried again, where a peer can do that.
        timeout_s: how long a batch may take.
    """

    batch: int
    in_flight: int = 8
    ordered: bool = True
    tolerant: bool = False
    retries: bool = False
    timeout_s: float | None = None


class Table:
    """A table that processes share: `open`, anything else, `close`."""

    def open(self) -> None:
        """Make it, empty."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove it."""
        raise NotImplementedError

    def reader(self) -> Callable[[str], Any]:
        """What gives the value of a key, as an object of the caller's own where that is so for all values."""
        raise NotImplementedError

    def writer(self) -> Callable[[str, Any], Any]:
        """What sets the value of a key, and returns when others can read it."""
        raise NotImplementedError

    def bulk(self, rows: Iterable[tuple[str, Any]]) -> None:
        """Set many at once, in the quickest way that it has."""
        raise NotImplementedError


class Peer:
    """Worker processes: `start`, `dispatch` any number of times, `stop`."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def start(self) -> None:
        """Bring the workers up, as far as the peer does so before the first item."""

    def stop(self) -> None:
        """End them."""

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        """Stream the results, one by one."""
        raise NotImplementedError

    def bare(self, job: Job) -> Job:
        """What the peer does with an item in all, as a job for processes that do nothing else."""
        return job

    def credit(self, how: How) -> int:
        """How many items it may have pulled beyond those whose results were taken."""
        raise NotPossible("no bound for what is pulled")

    def lead_through(self, kinds: list[str]) -> None:
        """Before the start: let no-ops pass stages of these kinds."""
        raise NotPossible("no stages")

    def sessions(self, calls: list[tuple[str, int]], window: int) -> dict[str, int]:
        """Add numbers to counters that live in workers, by key, with at most `window` calls unanswered.

        Returns:
            The last answer of each counter.
        """
        raise NotPossible("no state in workers that a key leads to")

    def table(self) -> Table:
        """A table that processes share; it needs no `start` of the peer."""
        raise NotPossible("no tables")


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Items in lists of `size`, the last one shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


class FuturesPeer(Peer):
    """A peer that answers with futures, behind the bounded loop that a careful user writes by hand."""

    def submit(self, job: Job, batch: list[Any], how: How) -> Future[list[Any]]:
        raise NotImplementedError

    def patience_s(self, how: How) -> float | None:
        """How long to wait for a future; a pool that ends what takes too long needs no bound here."""
        return how.timeout_s

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        waves = self._in_order if how.ordered else self._as_completed
        for future in waves(job, batches(items, how.batch), how):
            try:
                results = future.result(self.patience_s(how))
            except Exception:
                if not how.tolerant:
                    raise
                continue
            yield from results

    def _in_order(self, job: Job, work: Iterator[list[Any]], how: How) -> Iterator[Future[list[Any]]]:
        waiting: deque[Future[list[Any]]] = deque()
        for batch in work:
            waiting.append(self.submit(job, batch, how))
            if len(waiting) == how.in_flight:
                yield waiting.popleft()
        yield from waiting

    def _as_completed(self, job: Job, work: Iterator[list[Any]], how: How) -> Iterator[Future[list[Any]]]:
        done: SimpleQueue[Future[list[Any]]] = SimpleQueue()
        out = 0
        for batch in islice(work, how.in_flight):
            self.submit(job, batch, how).add_done_callback(done.put)
            out += 1
        while out:
            try:
                future = done.get(timeout=self.patience_s(how))
            except Empty:
                raise TimeoutError("nothing finished in time, and the stuck worker stays") from None
            out -= 1
            for batch in islice(work, 1):
                self.submit(job, batch, how).add_done_callback(done.put)
                out += 1
            yield future
