"""The pools that answer with futures: of the standard library, loky and pebble; and `ProcessPoolExecutor.map`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from tests.benchmarks.peers.base import FuturesPeer, How
from tests.benchmarks.work.jobs import Job


class Bounded(FuturesPeer):
    """`ProcessPoolExecutor.submit` in a bounded loop."""

    def start(self) -> None:
        self.pool: Any = ProcessPoolExecutor(self.workers)

    def stop(self) -> None:
        self.pool.shutdown(cancel_futures=True)

    def submit(self, job: Job, batch: list[Any], how: How) -> Future[list[Any]]:
        future: Future[list[Any]] = self.pool.submit(job.batch, batch)
        return future


class Loky(Bounded):
    """loky's executor in the same loop."""

    def start(self) -> None:
        from loky import ProcessPoolExecutor as LokyExecutor

        self.pool = LokyExecutor(self.workers)

    def stop(self) -> None:
        self.pool.shutdown(kill_workers=True)


class Pebble(FuturesPeer):
    """`pebble.ProcessPool.schedule` in the same loop; it kills a worker whose task takes too long."""

    def start(self) -> None:
        from pebble import ProcessPool

        self.pool = ProcessPool(self.workers)

    def stop(self) -> None:
        self.pool.stop()
        self.pool.join()

    def submit(self, job: Job, batch: list[Any], how: How) -> Future[list[Any]]:
        future: Future[list[Any]] = self.pool.schedule(job.batch, args=(batch,), timeout=how.timeout_s)
        return future

    def patience_s(self, how: How) -> float | None:
        return None


class Map(Bounded):
    """`ProcessPoolExecutor.map` with a chunk size; it takes the whole input before the first result."""

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        results: Iterator[Any] = self.pool.map(job.item, items, chunksize=how.batch)
        return results
