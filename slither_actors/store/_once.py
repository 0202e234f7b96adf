"""What was carried out lately for whom, kept in a journal beside the tables: what is asked for twice is done once.

A caller that saw the owner die asks the next one again, and neither knows whether the commit came first. The answer
holds from the commit of the write itself on. A caller has one write under way, so the last one of each is enough.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from pickle import Pickler, dumps, loads
from typing import Any

from slither_actors.store._journal import LEAST_BYTES, Journal, size_for
from slither_actors.store._operations import Once, Operation, Outcome

MOST_CALLERS = 4096
"""How many callers are remembered at least; who has not written for so many others' sake cannot be asking still."""

Remembered = dict[bytes, tuple[int, Outcome]]
Row = tuple[bytes, int, Any, int]


class Memory:
    """The last outcome of each caller, as it is committed.

    Attributes:
        pending: What was noted for a commit of which it is not known whether it came about.

    Raises:
        OSError: There is no room for it.
    """

    def __init__(self, directory: Path) -> None:
        self._journal = Journal(directory)
        self._known: Remembered = {}
        self._grown = False
        self.pending: Remembered = {}

    def load(self, last: int) -> None:
        """Read what former writers noted, where `last` is the number of the last commit."""
        self._known = {}
        for found in self._journal.records(last, _read):
            self.pending = found
            self.committed()
        self._trim()

    def recall(self, writer: bytes) -> tuple[int, Outcome] | None:
        """The number and the outcome of what was carried out last for a caller."""
        return self._known.get(writer)

    def carry_out(self, once: Once, new: Remembered, act: Callable[[Operation], Outcome]) -> Outcome:
        """What became of it, if it was carried out before, or in the transaction that is under way; else what `act`
        makes of it, noted in `new`."""
        writer, number, operation = once
        known = new.get(writer) or self._known.get(writer)
        if known is not None and known[0] == number:
            return known[1]
        outcome = act(operation)
        if outcome.written:
            new[writer] = number, outcome
        return outcome

    def note(self, commit: int, new: Remembered) -> None:
        """Write it down for the commit of this number, which comes next; `settle` or `committed` says what became of
        that.

        Raises:
            OSError: There is no room for it.
        """
        rows = []
        for writer, (number, outcome) in new.items():
            rows.append((writer, number, outcome[0], outcome[1]))  # no comprehension, which is a call
        data = dumps(rows, 5)
        if not self._journal.put(commit, data):
            self._rewrite(commit - 1, len(data))
            self._journal.put(commit, data)
        self.pending = new

    def committed(self) -> None:
        """That commit came about."""
        known = self._known
        for writer, one in self.pending.items():
            known.pop(writer, None)  # who writes is the youngest again
            known[writer] = one
        self.pending = {}
        self._grown = True

    def settle(self, last: int) -> bool:
        """Whether it did, where `last` is the number of the last one."""
        holds = self._journal.settle(last)
        if holds:
            self.committed()
        self.pending = {}
        return holds

    def tidy(self, last: int) -> None:
        """Forget the oldest callers that are too many, and give back the room of what was large. Nothing is pending."""
        self._trim()
        if self._grown and self._journal.size > LEAST_BYTES:
            self._grown = False
            needed = _Counter()
            Pickler(needed, 5).dump(self._rows())
            if size_for(needed.bytes) < self._journal.size:
                with contextlib.suppress(OSError):
                    self._rewrite(last)

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _rewrite(self, last: int, more: int = 0) -> None:
        self._trim()
        self._journal.rewrite(last, dumps(self._rows(), 5), more)

    def _rows(self) -> list[Row]:
        return [(writer, number, outcome[0], outcome[1]) for writer, (number, outcome) in self._known.items()]

    def _trim(self) -> None:
        for writer in list(self._known)[: max(0, len(self._known) - MOST_CALLERS)]:
            del self._known[writer]


class _Counter:
    """Takes what a pickler writes, of which nothing large is copied for it."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: bytes) -> None:
        self.bytes += len(data)


def _read(record: bytes) -> Remembered:
    return {writer: (number, Outcome(result, written)) for writer, number, result, written in loads(record)}
