"""Limits of one workload each: bare forked processes for text, slots of shared memory for arrays."""

from __future__ import annotations

import mmap
import multiprocessing as mp
import multiprocessing.connection
import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any

from tests.benchmarks.peers.base import How, Peer, batches
from tests.benchmarks.work.jobs import Job

SLOT = 8 << 20


class BareForks(Peer):
    """A process per worker, each with its share of the items from the start; no result comes back.

    So this is what the processors give at all, at this moment.
    """

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        everything = list(items)
        pids = []
        for place in range(self.workers):
            pid = os.fork()
            if pid == 0:
                for batch in batches(everything[place :: self.workers], how.batch):
                    job.batch(batch)
                os._exit(0)
            pids.append(pid)
        for pid in pids:
            if os.waitpid(pid, 0)[1]:
                raise RuntimeError("a bare process failed")
        yield from everything


class SharedMemory(Peer):
    """Arrays are copied into a slot that the worker sees too, and results out of it; a pipe says where they are."""

    def start(self) -> None:
        self.memory = mmap.mmap(-1, SLOT * How(1).in_flight)
        self.pipes: list[Any] = []
        self.pids: list[int] = []
        for _ in range(self.workers):
            ours, theirs = mp.Pipe()
            self.pids.append(os.fork())
            if self.pids[-1] == 0:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                for pipe in [ours, *self.pipes]:
                    pipe.close()
                self._serve(theirs)
            theirs.close()
            self.pipes.append(ours)

    def stop(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        for pid in self.pids:
            os.waitpid(pid, 0)

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        work = enumerate(batches(items, how.batch))
        free = list(range(how.in_flight))
        load = [0] * self.workers
        done: dict[int, tuple[int, list[Any]]] = {}
        due = 0
        while True:
            while free and (task := next(work, None)) is not None:
                place, slot = load.index(min(load)), free.pop()
                load[place] += 1
                self.pipes[place].send((task[0], slot, job.batch, self._put(slot, 0, task[1])))
            if not any(load) and not done:
                return
            pipe: Any
            for pipe in multiprocessing.connection.wait(self.pipes) if any(load) else []:
                number, slot, places = pipe.recv()
                load[self.pipes.index(pipe)] -= 1
                done[number] = slot, places
            while due in done:
                slot, places = done.pop(due)
                results = [value.copy() if hasattr(value, "copy") else value for value in self._get(places)]
                free.append(slot)
                due += 1
                yield from results

    def _serve(self, pipe: Any) -> None:
        try:
            while True:
                number, slot, function, places = pipe.recv()
                results = function(self._get(places))
                pipe.send((number, slot, self._put(slot, SLOT // 2, results)))
        except EOFError:
            os._exit(0)
        finally:
            os._exit(1)

    def _put(self, slot: int, offset: int, values: list[Any]) -> list[Any]:
        import numpy as np

        at = slot * SLOT + offset
        places = []
        for value in values:
            if isinstance(value, np.ndarray):
                np.frombuffer(self.memory, value.dtype, value.size, at)[:] = value.ravel()
                places.append((at, value.dtype.str, value.shape))
                at += value.nbytes
            else:
                places.append(value)
        return places

    def _get(self, places: list[Any]) -> list[Any]:
        import numpy as np

        return [
            np.ndarray(place[2], place[1], self.memory, place[0]) if isinstance(place, tuple) else place
            for place in places
        ]
