"""The pools with an `imap` of their own: `multiprocessing.Pool` and mpire."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from tests.benchmarks.peers.base import How, Peer, batches
from tests.benchmarks.work.jobs import Job


class MultiprocessingPool(Peer):
    """`imap` and `imap_unordered` with a chunk size. A thread pulls the whole input, so nothing is bounded."""

    def start(self) -> None:
        self.pool = multiprocessing.Pool(self.workers)

    def stop(self) -> None:
        self.pool.terminate()
        self.pool.join()

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        imap = self.pool.imap if how.ordered else self.pool.imap_unordered
        if how.timeout_s is None:
            return iter(imap(job.item, items, chunksize=how.batch))
        # only results that are not cut into chunks by the pool can be waited for with a limit
        return chain.from_iterable(self._waiting(imap(job.batch, batches(items, how.batch)), how.timeout_s))

    def _waiting(self, results: Any, limit_s: float) -> Iterator[list[Any]]:
        while True:
            try:
                yield results.next(limit_s)
            except StopIteration:
                return


def call(function: Callable[[Any], Any], argument: Any) -> Any:
    """mpire spreads a list over the arguments of a function; this keeps an item whole."""
    return function(argument)


class Mpire(Peer):
    """`WorkerPool.imap` and `imap_unordered` with `max_tasks_active`."""

    def start(self) -> None:
        from mpire import WorkerPool

        self.pool = WorkerPool(self.workers, keep_alive=True)

    def stop(self) -> None:
        self.pool.terminate()

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        imap = self.pool.imap if how.ordered else self.pool.imap_unordered
        results: Iterator[Any] = imap(
            functools.partial(call, job.item),
            ((item,) for item in items),
            iterable_len=None,
            chunk_size=how.batch,
            max_tasks_active=how.batch * how.in_flight,
            task_timeout=how.timeout_s,
        )
        return results
