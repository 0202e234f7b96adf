"""slither_actors: the text analysis as a pipe of local, worker and router stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import slither_actors as slither
from tests.benchmarks.peers.base import How
from tests.benchmarks.peers.slither import Stream, payload_of
from tests.benchmarks.work.jobs import Job


class TextPipe(slither.Pipe):
    """Tidy a document, analyse it in a worker process, and sort it by its tone."""

    @slither.local
    def tidy(item: slither.Item) -> str:
        return " ".join(item.payload.split())

    analyse = slither.worker("tests.benchmarks.work.text:analyse_all", batch_size=50)
    sort = slither.router(
        (lambda item: item.payload["sentiment"] > 0, "praise"),
        (lambda item: item.payload["sentiment"] < 0, "blame"),
    )
    outputs = ["praise", "blame"]


class TextPipeStream(Stream):
    """`system.stream_pipe(...)` of the pipe above, whatever the job."""

    def start(self) -> None:
        self.system = slither.start(pools={"default": self.workers}, pipes=[TextPipe])

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        with self.system.stream_pipe(TextPipe, items) as stream:
            yield from map(payload_of, stream)
