"""slither_actors: pipes of local, worker and router stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import slither_actors as slither
from tests.benchmarks.peers.base import How
from tests.benchmarks.peers.slither import Stream, payload_of
from tests.benchmarks.work.jobs import Job, same
from tests.benchmarks.work.text import TEXT, analyse

# Items in batches of stages that are no workers', and batches on an edge to them, as docs/architecture.md tells.
STAGE_BATCH, WINDOW = 32, 2


def tidied(document: str) -> str:
    """A document without more spaces than it needs."""
    return " ".join(document.split())


def praises(analysis: dict[str, Any]) -> bool:
    return bool(analysis["sentiment"] > 0)


def blames(analysis: dict[str, Any]) -> bool:
    return bool(analysis["sentiment"] < 0)


class TextPipe(slither.Pipe):
    """Tidy a document, analyse it in a worker process, and sort it by its tone."""

    @slither.local
    def tidy(item: slither.Item) -> str:
        return tidied(item.payload)

    analyse = slither.worker("tests.benchmarks.work.text:analyse_all", batch_size=50)
    sort = slither.router(
        (lambda item: praises(item.payload), "praise"),
        (lambda item: blames(item.payload), "blame"),
    )
    outputs = ["praise", "blame"]


def sorted_out(documents: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """The same without a pipe."""
    analyses = [analyse(tidied(document)) for document in documents]
    return [("praise" if praises(one) else "blame" if blames(one) else "default", one) for one in analyses]


def _item_sorted_out(document: str) -> tuple[str, dict[str, Any]]:
    return sorted_out([document])[0]


class PipeStream(Stream):
    """`system.stream_pipe(...)`: of the pipe above for texts, of one that does nothing for everything else."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.kinds = ["local", "worker", "router"]
        self.pipes: dict[How, type[slither.Pipe]] = {}

    def start(self) -> None:
        self.system = slither.start(pools={"default": self.workers}, pipes=[TextPipe])

    def lead_through(self, kinds: list[str]) -> None:
        self.kinds = kinds

    def bare(self, job: Job) -> Job:
        return Job(_item_sorted_out, sorted_out) if job is TEXT else job

    def credit(self, how: How) -> int:
        """Two batches of its consumer on each edge, to workers as many as they may have and less than one that is not
        full; behind workers batches are theirs."""
        total, size = 0, STAGE_BATCH
        for kind in self.kinds:
            if kind == "worker":
                total += (how.in_flight + WINDOW) * how.batch + how.batch - 1
                size = how.batch
            else:
                total += WINDOW * size
                size = size if kind == "router" else STAGE_BATCH
        return total + WINDOW * size

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        if job is TEXT:
            pipe: type[slither.Pipe] = TextPipe
        else:
            pipe = self.pipes.get(how) or self.pipes.setdefault(how, pipe_of(self.kinds, job, how))
        with self.system.stream_pipe(pipe, items) as stream:
            yield from map(payload_of, stream)


def pipe_of(kinds: list[str], job: Job, how: How) -> type[slither.Pipe]:
    """A pipe of stages of these kinds: workers do the job, the others nothing."""
    stages: dict[str, Any] = {}
    for number, kind in enumerate(kinds):
        if kind == "worker":
            stage: Any = slither.worker(job.batch, batch_size=how.batch, max_in_flight=how.in_flight)
        elif kind == "router":
            stage = slither.router((lambda item: item.payload is None, "nothing"))
        else:
            stage = slither.local(lambda item: same(item.payload))
        stages[f"{kind}_{number}"] = stage
    return type(slither.Pipe)("NoopPipe", (slither.Pipe,), {**stages, "outputs": ["nothing"]})
