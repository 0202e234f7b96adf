"""Those that bring a cluster or an actor framework: Ray and Dask, each on this machine alone, in a bounded loop."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from tests.benchmarks.peers.base import How, NotPossible, Peer, batches
from tests.benchmarks.work.jobs import Counter, Job


class Ray(Peer):
    """Tasks, bounded by `ray.wait`."""

    def start(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        self.ray = ray
        ray.init(num_cpus=self.workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        self.counters: dict[str, Any] = {}

    def stop(self) -> None:
        self.ray.shutdown()

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        if how.timeout_s is not None:
            raise NotPossible("a task has no time limit")
        task = self.ray.remote(job.batch if hasattr(job.batch, "__code__") else lambda batch: job.batch(batch))
        work = batches(items, how.batch)
        refs = [task.remote(batch) for batch in islice(work, how.in_flight)]
        while refs:
            (ref, *_), _ = ([refs[0]], None) if how.ordered else self.ray.wait(refs, num_returns=1)
            refs.remove(ref)
            try:
                results = self.ray.get(ref)
            except self.ray.exceptions.RayError:
                if not how.tolerant:
                    raise
                results = []
            refs += [task.remote(batch) for batch in islice(work, 1)]
            yield from results

    def sessions(self, calls: list[tuple[str, int]], window: int) -> dict[str, int]:
        actor = self.ray.remote(num_cpus=0)(Counter)
        for key in dict(calls).keys() - self.counters.keys():
            self.counters[key] = actor.remote()
        waiting: deque[tuple[str, Any]] = deque()
        answers: dict[str, int] = {}
        for key, number in calls:
            waiting.append((key, self.counters[key].add.remote(number)))
            if len(waiting) == window:
                key, ref = waiting.popleft()
                answers[key] = self.ray.get(ref)
        return answers | {key: self.ray.get(ref) for key, ref in waiting}


class Dask(Peer):
    """`Client.submit` on a local cluster of processes, bounded by the oldest future or by `as_completed`."""

    def start(self) -> None:
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self.cluster = LocalCluster(
            n_workers=self.workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
        self.client = Client(self.cluster)
        self.counters: dict[str, Any] = {}

    def stop(self) -> None:
        with contextlib.closing(self.cluster), contextlib.closing(self.client):
            pass

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        if how.timeout_s is not None:
            raise NotPossible("a task that runs cannot be ended")
        from distributed import as_completed

        work = batches(items, how.batch)
        futures = deque(self._submit(job, batch) for batch in islice(work, how.in_flight))
        done = as_completed(() if how.ordered else futures)
        while futures:
            future = futures[0] if how.ordered else next(done)
            futures.remove(future)
            for batch in islice(work, 1):
                futures.append(self._submit(job, batch))
                if not how.ordered:
                    done.add(futures[-1])
            try:
                yield from future.result()
            except Exception:
                if not how.tolerant:
                    raise

    def _submit(self, job: Job, batch: list[Any]) -> Any:
        return self.client.submit(job.batch, batch, pure=False)

    def sessions(self, calls: list[tuple[str, int]], window: int) -> dict[str, int]:
        for key in dict(calls).keys() - self.counters.keys():
            self.counters[key] = self.client.submit(Counter, actor=True, pure=False).result()
        waiting: deque[tuple[str, Any]] = deque()
        answers: dict[str, int] = {}
        for key, number in calls:
            waiting.append((key, self.counters[key].add(number)))
            if len(waiting) == window:
                key, future = waiting.popleft()
                answers[key] = future.result()
        return answers | {key: future.result() for key, future in waiting}
