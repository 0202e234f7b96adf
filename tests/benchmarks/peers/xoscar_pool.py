"""xoscar: an actor per sub-process of an actor pool, driven from an event loop of our own."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

import xoscar

from tests.benchmarks.peers.base import How, Peer, batches
from tests.benchmarks.work.jobs import Counter, Job


class Runner(xoscar.StatelessActor):
    """Runs batches."""

    def run(self, function: Any, batch: list[Any]) -> list[Any]:
        results: list[Any] = function(batch)
        return results


class Session(xoscar.Actor):
    """A counter behind an address."""

    def __init__(self) -> None:
        self.counter = Counter()

    def add(self, number: int) -> int:
        return self.counter.add(number)


class Xoscar(Peer):
    """At most `in_flight` calls are open, each to the actor with the fewest."""

    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.actors: list[Any] = []
        self.sessions_by_key: dict[str, Any] = {}
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.pool = await xoscar.create_actor_pool(f"127.0.0.1:{port}", n_process=self.workers)
        self.places = list(self.pool.sub_processes)
        for place in self.places:
            self.actors.append(await xoscar.create_actor(Runner, address=place, uid=f"runner at {place}"))
        self.load = [0] * self.workers

    def stop(self) -> None:
        self.loop.run_until_complete(self.pool.stop())
        self.loop.close()

    async def _call(self, job: Job, batch: list[Any], timeout_s: float | None) -> list[Any]:
        place = self.load.index(min(self.load))
        self.load[place] += 1
        try:
            results: list[Any] = await asyncio.wait_for(self.actors[place].run(job.batch, batch), timeout_s)
            return results
        finally:
            self.load[place] -= 1

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        work = batches(items, how.batch)
        calls: deque[asyncio.Task[list[Any]]] = deque()
        while True:
            while len(calls) < how.in_flight and (batch := next(work, None)) is not None:
                calls.append(self.loop.create_task(self._call(job, batch, how.timeout_s)))
            if not calls:
                return
            try:
                results = self._finished(calls, how.ordered).result()
            except Exception:
                if not how.tolerant:
                    raise
                continue
            yield from results

    def _finished(self, calls: deque[asyncio.Task[list[Any]]], ordered: bool) -> asyncio.Task[list[Any]]:
        awaited = [calls[0]] if ordered else list(calls)
        done, _ = self.loop.run_until_complete(asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED))
        call = done.pop()
        calls.remove(call)
        return call

    def sessions(self, calls: list[tuple[str, int]], window: int) -> dict[str, int]:
        return self.loop.run_until_complete(self._sessions(calls, window))

    async def _sessions(self, calls: list[tuple[str, int]], window: int) -> dict[str, int]:
        for number, key in enumerate(dict(calls)):
            if key not in self.sessions_by_key:
                place = self.places[number % self.workers]
                self.sessions_by_key[key] = await xoscar.create_actor(Session, address=place, uid=key)
        todo = iter(calls)
        answers: dict[str, int] = {}

        async def caller() -> None:
            for key, amount in todo:
                answer = await self.sessions_by_key[key].add(amount)
                answers[key] = max(answer, answers.get(key, 0))

        callers: list[Coroutine[Any, Any, None]] = [caller() for _ in range(window)]
        await asyncio.gather(*callers)
        return answers
