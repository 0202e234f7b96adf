"""What a dispatch or a pipe gives back: a list of all, or a stream."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import Self

from slither_actors.dispatch.ends import EndLog, WithEnds
from slither_actors.dispatch.run import Halted, Run
from slither_actors.item import Item

Failure = Callable[[Halted, list[Item]], Exception]


class Results(WithEnds, list[Item]):
    """The surviving items of a dispatch."""

    def __init__(self, items: Iterable[Item], ends: EndLog) -> None:
        super().__init__(items)
        self._ends = ends


class Stream(WithEnds):
    """Results as they are asked for: an iterator, and a context manager that closes it.

    The run lives in the thread that iterates; one thread at a time. A stream keeps the newest 1,000 of each end, and
    counts all (`stream.skipped.total`).
    """

    def __init__(self, run: Run, ends: EndLog, failure: Failure) -> None:
        self._run = run
        self._ends = ends
        self._items = _iterate(run, failure)
        # A loop holds the generator alone, and one that was never begun has no `finally` to end the run.
        weakref.finalize(self._items, run.close).atexit = False

    def __iter__(self) -> Iterator[Item]:
        # the generator itself, so that a for-loop runs without a call per item
        return self._items

    def __next__(self) -> Item:
        return next(self._items)

    def close(self) -> None:
        """End the run: its source is pulled no more, and work in progress is for nobody. Nothing more is yielded."""
        with contextlib.suppress(ValueError):  # called from within the generator, by the source for example
            self._items.close()
        self._run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _iterate(run: Run, failure: Failure) -> Generator[Item]:
    try:
        for batch in run.batches():
            yield from batch
    except Halted as halt:
        # what was finished before the failure has been yielded already
        error = failure(halt, [])
        raise error from error.__cause__
