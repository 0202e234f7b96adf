"""What a dispatch or a pipe gives back: a list of all, or a stream."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from slither_actors.dispatch.ends import EndLog, WithEnds
from slither_actors.dispatch.run import Halted, Run
from slither_actors.errors import StreamBusy
from slither_actors.item import Item
from slither_actors.system._kept import Kept

Failure = Callable[[Halted, list[Item]], Exception]


class Results(WithEnds, list[Item]):
    """The surviving items of a dispatch."""

    def __init__(self, items: Iterable[Item], ends: EndLog) -> None:
        super().__init__(items)
        self._ends = ends


class Stream(WithEnds):
    """Results as they are asked for: an iterator, and a context manager that closes it.

    The run lives in the thread that asks. Threads may take turns; while one waits for results, another one that asks
    gets `StreamBusy`. A stream keeps the newest 1,000 of each end, and counts all (`stream.skipped.total`).

    When its system or its pipe is stopped, nothing more is read from the source, and the stream ends with the last
    result of what was: `drained` says so. What was not finished in time is a `DispatchError` or a `PipeError` behind
    what was.
    """

    def __init__(self, run: Run, ends: EndLog, failure: Failure) -> None:
        self._run = run
        self._ends = ends
        self._failure = failure
        self._batches = run.batches()
        self._batch: list[Item] = []
        self._items = iter(self._batch)  # what of it was not taken yet
        self._waiting = threading.Lock()  # held by the thread that waits for the next batch
        self._closed = False
        self._kept = Kept()
        run.keep = weakref.WeakMethod(self._keep)
        weakref.finalize(self, run.close).atexit = False

    def __iter__(self) -> Iterator[Item]:
        # a generator, so that a for-loop runs without a call per item
        items: Iterator[Item] | None = self._items
        while items is not None:
            yield from items
            items = self._next_batch(items)

    def __next__(self) -> Item:
        items: Iterator[Item] | None = self._items
        while items is not None:
            for item in items:
                return item
            items = self._next_batch(items)
        raise StopIteration

    def _next_batch(self, taken: Iterator[Item]) -> Iterator[Item] | None:
        """What follows when `taken` is used up; `None` at the end."""
        self._run.check_process()
        if not self._kept.wait_for(self._waiting, has_it=self._run.driver == threading.get_ident()):
            if self._closed:  # by whoever holds it, or under one who will find out
                return None
            raise StreamBusy
        try:
            if self._items is taken:  # else another thread was here already
                self._run.driver = self._run.consumer = threading.get_ident()
                batch = self._kept.next_of(self._batches)
                if batch is None:
                    return None
                self._batch, self._items = batch, iter(batch)
        except Halted as halt:
            # what was finished before the failure has been yielded already
            error = self._failure(halt, [])
            raise error from error.__cause__
        finally:
            self._run.driver = None
            self._waiting.release()
        if self._closed:  # meanwhile, by someone who could not do the rest
            self.close()
        return self._items

    def close(self) -> None:
        """End the run: its source is pulled no more, and work in progress is for nobody. Nothing more is yielded.

        Safe to call from any thread, from the source and from `on_end`. A thread that waits for results is woken, ends
        the run and finds the stream at its end; one that is busy in the source does so when the source answers.
        """
        self._closed = True
        self._batch.clear()
        self._kept.clear()
        self._run.orders.cancel()
        if self._waiting.acquire(blocking=False):  # else the thread that holds it sees that the run was cancelled
            try:
                self._batches.close()
                self._run.close()
            finally:
                self._waiting.release()

    @property
    def drained(self) -> bool:
        """Whether the source was cut short of its end, since the system or the pipe was stopped. Known for good when
        the stream is at its end."""
        return self._run.drained

    def _keep(self, until: float) -> None:
        """Take what the run still gives, for whoever asks later, if nobody asks now."""
        self._kept.fill(self._batches, self._waiting, until)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def collect(run: Run, failure: Failure) -> list[Item]:
    """All results of a run; raises what `failure` makes of a halt."""
    items: list[Item] = []
    run.driver = run.consumer = threading.get_ident()
    try:
        for batch in run.batches():
            items += batch
        if run.drained:
            raise Halted(None, run.drained_error(), 0)
    except Halted as halt:
        error = failure(halt, items)
        raise error from error.__cause__
    return items
