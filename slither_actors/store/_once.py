"""What was carried out lately for whom, kept in the tree beside the tables: what is asked for twice is done once.

A caller that saw the owner die asks the next one again, and neither knows whether the commit came first. The answer is
committed with the write itself. A caller has one write under way, so the last one of each is enough.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable

from slither_actors.store._environment import Txn
from slither_actors.store._operations import Once, Operation, Outcome

MOST_CALLERS = 4096
"""How many callers are remembered at least; who has not written for so many others' sake cannot be asking still."""

_LEAD = b"\0o"

Remembered = dict[bytes, tuple[int, Outcome]]


class Memory:
    """The last outcome of each caller, as it is committed."""

    def __init__(self) -> None:
        self._known: Remembered = {}

    def load(self, txn: Txn) -> None:
        """Read what the tree has."""
        self._known = {}
        cursor = txn.cursor()
        more = cursor.set_range(_LEAD)
        while more and cursor.key().startswith(_LEAD):
            number, result, written = pickle.loads(cursor.value())
            self._known[cursor.key()[len(_LEAD) :]] = number, Outcome(result, written)
            more = cursor.next()

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

    def note(self, txn: Txn, new: Remembered) -> None:
        """Write it down with the transaction that carries it out."""
        for writer, (number, outcome) in new.items():
            txn.put(_LEAD + writer, pickle.dumps((number, outcome.result, outcome.written), protocol=5))

    def committed(self, new: Remembered) -> None:
        """That transaction is committed."""
        for writer, known in new.items():
            self._known.pop(writer, None)  # who writes is the youngest again
            self._known[writer] = known

    def rewrite(self, txn: Txn) -> None:
        """Write all of it into a tree that was emptied."""
        self.note(txn, self._known)

    @property
    def too_many(self) -> int:
        """By how many callers it is too large."""
        return max(0, len(self._known) - MOST_CALLERS)

    def forget(self, txn: Txn) -> None:
        """Remove the oldest that are too many."""
        for writer in list(self._known)[: self.too_many]:
            txn.delete(_LEAD + writer)
            del self._known[writer]
