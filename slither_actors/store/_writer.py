"""The one writer of a store: used by its owner alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from slither_actors._describe import is_of_a_signal, said
from slither_actors.errors import StoreFull, StoreLoadError, StoreUnavailable
from slither_actors.store._apply import Change
from slither_actors.store._bulk import remove_bulk_files_of_the_dead
from slither_actors.store._claim import claim, note_made, refuse_lost
from slither_actors.store._dump import Dump
from slither_actors.store._environment import Failure, MapFull, Txn, environment_to_own, unavailable
from slither_actors.store._layout import (
    VERSION,
    Layout,
    as_number,
    describe,
    free_slots,
    layouts_of,
    number_in,
    remove_former_rows,
    version_in,
)
from slither_actors.store._load import Loading, LoadTables
from slither_actors.store._once import Memory, Remembered
from slither_actors.store._operations import Once, Operation, Outcome
from slither_actors.store._schema import StoreLocation
from slither_actors.store._words import Words

T = TypeVar("T")
Remembrance = tuple[bytes, int] | None

_MOST_GROWTHS = 44  # from the smallest map beyond all addresses


class Writer:
    """The one writer of a store.

    What a former writer left, wherever it was killed, is made whole when the next one opens. Not safe to use from
    several threads.
    """

    def __init__(self, location: StoreLocation) -> None:
        """Open the environment, making it where there is none.

        Raises:
            StoreUnavailable: It cannot be opened, holds tables of other kinds, or has a living writer.
            StoreFull: There is no room for it.
        """
        self.location = location
        try:
            self._claim: int | None = claim(location)
            refuse_lost(location, self._claim)
            self._environment = environment_to_own(location.path, location.name, durable=location.durable)
            self._words = Words(location.path)
            self._memory = Memory(location.path)
        except OSError as error:
            raise unavailable(location.name, location.path, error) from error
        self._layouts: dict[str, Layout] = {}
        self._counts: dict[str, int] = {}
        self._growing(self._prepare)
        note_made(self._claim)

    @property
    def version(self) -> int:
        """How often the store was loaded; 0 before its first load. It is kept in the store, so a new owner of one that
        was loaded need not load it again."""
        return self._environment.read(version_in)

    def recall(self, writer: bytes) -> tuple[int, Outcome] | None:
        """The number and the outcome of the last `Once` that was carried out for a caller, by whichever writer."""
        return self._memory.recall(writer)

    def apply(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Carry out operations of several callers, one after another, in one commit; an outcome for each.

        One that is refused fails alone. When it returns, all the others are committed and every later read sees them.
        Where not all of them together can be committed they are tried one by one, and the outcome of those that
        cannot is the error: StoreFull where there is no room.

        Raises:
            StoreUnavailable: The environment is broken; nothing of this was done.
        """
        try:
            return self._growing(self._attempt, operations)
        except StoreUnavailable:
            raise
        except Exception as error:  # no room, or an operation that is none: the others shall not suffer from it
            if len(operations) == 1:
                return [Outcome(None, 0, error)]
            return [self._alone(operation) for operation in operations]

    def rebuild(self, load: Callable[[Any], object], once: Remembrance = None) -> int:
        """Replace everything by what `load` puts into the tables that it gets, in one commit; the new version.

        Attributes of its argument are the tables; it reads what it wrote. It is called once, and again only where the
        map has to grow for it, which takes more than a terabyte or a limit of the process's addresses.

        Args:
            load: What fills the tables.
            once: The caller and number by which `recall` finds the new version.

        Raises:
            StoreLoadError: `load` raised; nothing was changed. The cause is what it raised.
            StoreFull: There is no room; nothing was changed.
        """

        def fill(change: Change) -> None:
            loading = Loading(change, self.location.name)
            try:
                load(LoadTables(loading, self._layouts))
            except (Failure, StoreFull):
                raise
            except Exception as error:
                if is_of_a_signal(error):
                    raise
                raise StoreLoadError(self.location.name, said(error)) from error
            finally:
                loading.end()

        return self._growing(self._replace_all, fill, once)

    def restore(self, file: Path, once: Remembrance = None) -> int:
        """Replace everything by what a dump holds, in one commit; the new version.

        Raises:
            StoreLoadError: The file is no dump of such a store; nothing was changed.
            StoreFull: There is no room; nothing was changed.
        """
        source = Dump(self.location, file)

        def fill(change: Change) -> None:
            for name, layout in self._layouts.items():
                change.count(name, source.copy(layout, change.txn))

        try:
            return self._growing(self._replace_all, fill, once)
        finally:
            source.close()

    def maintain(self) -> int:
        """Free what dead readers hold, and files of dead callers; the number of readers. To be called now and then."""
        remove_bulk_files_of_the_dead(self.location.path)
        self._settle()
        self._memory.tidy(self._last_commit())
        return self._environment.open().reader_check()

    def close(self) -> None:
        """Let go of the environment. What was committed stays."""
        self._environment.close(writing=True)
        self._memory.close()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _alone(self, operation: Operation) -> Outcome:
        try:
            return self.apply([operation])[0]
        except StoreUnavailable as error:  # others of its commit may be done
            return Outcome(None, 0, error)

    def _attempt(self, operations: Sequence[Operation]) -> list[Outcome]:
        change = self._begin()
        new: Remembered = {}
        try:
            outcomes = []
            for operation in operations:
                if type(operation) is Once:
                    outcomes.append(self._memory.carry_out(operation, new, change.carry_out))
                else:
                    outcomes.append(change.carry_out(operation))
            if change.touched:
                self._commit(change, new)
                return outcomes
        except BaseException:
            _abort(change.txn)
            raise
        _abort(change.txn)
        return outcomes

    def _replace_all(self, fill: Callable[[Change], None], once: Remembrance) -> int:
        change = self._begin()
        try:
            version = number_in(change.txn.get(VERSION)) + 1
            change.txn.drop(self._environment.open().open_db(None, txn=change.txn), delete=False)
            self._describe(change.txn)
            fill(change)
            change.txn.put(VERSION, as_number(version))
            former, self._counts = self._counts, dict.fromkeys(self._layouts, 0)
            try:
                change.touched.update(self._layouts)
                self._commit(change, {} if once is None else {once[0]: (once[1], Outcome(version, 1))})
            except BaseException:
                self._counts = former
                raise
            return version
        finally:
            _abort(change.txn)

    def _begin(self) -> Change:
        if self._memory.pending:
            self._settle()
        txn = self._environment.begin(write=True)
        return Change(txn, self._layouts, self.location.path, self._nested)

    def _settle(self) -> None:
        """Find out what became of a commit that failed: it may still have come about."""
        if self._memory.pending and self._memory.settle(self._last_commit()):
            self._counts = self._environment.read(self._sizes)

    def _sizes(self, txn: Txn) -> dict[str, int]:
        return {name: layout.size(txn) for name, layout in self._layouts.items()}

    def _nested(self, parent: Txn) -> Txn:
        return self._environment.open().begin(parent=parent, write=True)

    def _commit(self, change: Change, new: Remembered) -> None:
        """Commit, so that no reader uses what it kept from the moment on at which others may see the new state."""
        txn, layouts = change.txn, self._layouts
        counts = {}
        for name, added in change.added.items():
            if added:
                counts[name] = self._counts[name] + added
                txn.put(layouts[name].count, as_number(counts[name]))
        if new:
            try:
                self._memory.note(txn.id(), new)
            except OSError as error:
                raise unavailable(self.location.name, self.location.path, error) from error
        slots = []
        for name in change.touched:
            slots.append(layouts[name].slot)  # no comprehension, which is a call
        self._words.around(txn.commit, slots)
        if counts:
            self._counts.update(counts)
        if new:
            self._memory.committed()

    def _prepare(self) -> None:
        """Find the tables, and make those that are not there yet."""
        txn = self._environment.open().begin(write=True)
        try:
            layouts = layouts_of(txn, self.location)
            missing = [spec for spec in self.location.tables if spec.name not in layouts]
            slots = free_slots(txn, len(missing), self.location)
            layouts |= {spec.name: Layout(spec, slot) for spec, slot in zip(missing, slots, strict=True)}
            self._layouts = layouts
            self._counts = self._sizes(txn)
            self._memory.load(self._last_commit())
            former = remove_former_rows(txn)
            if missing:
                self._describe(txn)
            if missing or former:
                txn.commit()
        finally:
            _abort(txn)

    def _last_commit(self) -> int:
        """The number of it; each commit has one more than that before."""
        return int(self._environment.open().info()["last_txnid"])

    def _describe(self, txn: Txn) -> None:
        for layout in self._layouts.values():
            txn.put(*describe(layout.spec, layout.slot))

    def _growing(self, action: Callable[..., T], *args: Any) -> T:
        """Do it, again with a larger map as long as the map is full; errors of LMDB become ours.

        Raises:
            StoreFull, StoreUnavailable: It cannot be done; nothing was changed.
        """
        for _ in range(_MOST_GROWTHS):
            try:
                return action(*args)
            except MapFull:
                self._environment.grow()
            except lmdb.PanicError as error:  # LMDB wants a new handle after a write to its head failed
                self._environment.close()
                raise unavailable(self.location.name, self.location.path, error) from error
            except Failure as error:
                raise unavailable(self.location.name, self.location.path, error) from error
        raise StoreFull(self.location.name, "the map cannot grow any more")


def _abort(txn: Txn) -> None:
    with contextlib.suppress(Failure):
        txn.abort()
