"""Where items stand that left the flow: skipped, dropped, dead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from slither_actors.dispatch._end_lines import KINDS, RunNames
from slither_actors.dispatch._pulled_ids import PulledIds
from slither_actors.dispatch.accounting import Accounting
from slither_actors.dispatch.ends_file import EndsFile
from slither_actors.dispatch.messages import Ends, Expanded
from slither_actors.errors import EndsFileError
from slither_actors.item import Item
from slither_actors.workers._reading import as_they_came, read_items

OnEnd = Callable[[Item, str], object]

# What a stream keeps of each kind, so that an endless one does not fill the memory.
STREAM_KEEPS = 1000


class EndedItems(deque[Item]):
    """Items that ended in one way: the newest ones, and `total`, the count of all."""

    def __init__(self, items: Iterable[Item] = (), keep: int | None = None) -> None:
        super().__init__(items, keep)
        self.total = len(self)

    def note(self, item: Item) -> None:
        self.append(item)
        self.total += 1


class EndLog:
    """The three ends of one run.

    Args:
        keep: how many of each to keep; `None` keeps all.
        on_end: called with each item and the name of its end, in the thread that consumes the results.
        file: where they are written, before `on_end` is called.
    """

    def __init__(self, keep: int | None = None, on_end: OnEnd | None = None, file: EndsFile | None = None) -> None:
        self.skipped = EndedItems(keep=keep)
        self.dropped = EndedItems(keep=keep)
        self.dead = EndedItems(keep=keep)
        self.pulled = 0  # items of the source
        self.given = 0  # results
        self._born = 0
        self._expanded = 0
        self.ids: PulledIds | None = None  # of the run's source
        self._on_end = on_end
        self._file = file

    def begin(self, run: str, about: Mapping[str, str]) -> None:
        """The run is open, and is called so; `about` is what its telemetry says of it."""
        if self._file is not None:
            self._file.begin(RunNames(run, about.get("pool"), about.get("pipe")))

    @property
    def failure(self) -> EndsFileError | None:
        """Why the file has not got all."""
        return self._file.failure if self._file is not None else None

    def close(self) -> None:
        """The run is over."""
        if self._file is not None:
            self._file.close()

    def counts(self) -> dict[str, int]:
        """How many items ended in each way."""
        return {kind: getattr(self, kind).total for kind in KINDS}

    @property
    def accounting(self) -> Accounting:
        """Where all items are by now. What came was born, also where the news of that comes later."""
        # Another thread may go on meanwhile. So each is read once, and what was pulled at last: else what is pulled in
        # between and comes out would be taken for born.
        given, expanded, ended = self.given, self._expanded, self.counts()
        born, pulled = self._born, self.pulled
        born = max(born, given + expanded + sum(ended.values()) - pulled)
        return Accounting(inputs=pulled, born=born, outputs=given, expanded=expanded, **ended)

    def note(self, ends: Ends | Expanded) -> None:
        """Take in what a node reports; the items get `error`, `stage` and `attempts` into their meta. Those that cannot
        be read here stand without their payload."""
        if isinstance(ends, Expanded):
            for _, _, more, ended in ends.parents:
                self._born += more
                self._expanded += ended
            return
        items, losses = read_items(as_they_came(ends.parcels))
        self._note(ends, items, [item for loss in losses for item in loss.items()])

    def note_item(self, item: Item, ends: Ends) -> None:
        """The same of an item that is at hand."""
        self._note(ends, [item])

    def _note(self, ends: Ends, items: Sequence[Item], lost: Sequence[Item] = ()) -> None:
        if self._file is not None:
            for item in items:
                self._file.note(item, ends)
            for item in lost:
                self._file.note(item, ends, lost=True)
        if self.ids is not None:
            self.ids.end(ends.kind, [*items, *lost])
        log: EndedItems = getattr(self, ends.kind)
        for item in [*items, *lost]:
            marked = item.with_meta(error=ends.error, stage=ends.stage, attempts=ends.attempts)
            log.note(marked)
            if self._on_end is not None:
                self._on_end(marked, ends.kind)


class WithEnds:
    """Base of results: the items that are not among them."""

    _ends: EndLog

    @property
    def accounting(self) -> Accounting:
        """Where the items of the run are by now, in numbers."""
        return self._ends.accounting

    @property
    def skipped(self) -> EndedItems:
        """Items that an error policy took out."""
        return self._ends.skipped

    @property
    def dropped(self) -> EndedItems:
        """Items that a handler dropped."""
        return self._ends.dropped

    @property
    def dead(self) -> EndedItems:
        """Items that were given up."""
        return self._ends.dead
