"""The owner of a store: the one process that writes its tables."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from slither_actors import telemetry
from slither_actors._letter import NUMBERS
from slither_actors.errors import SlitherError, StoreLoadError, StoreUnavailable
from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import EventNotes, StartFailure
from slither_actors.otp.server import LATER, Caller, Server, handles
from slither_actors.store._operations import Once, Outcome, from_plain
from slither_actors.store._owner_calls import ADDRESS
from slither_actors.store._user_load import UserLoad
from slither_actors.store._writer import Writer
from slither_actors.store.catalogue import StoreEntry
from slither_actors.store.messages import RecallOutcome, ReloadTables, WriteTables, Written
from slither_actors.transport.spinning import Spinning

# How often what dead readers hold is freed.
_MAINTENANCE_S = 5.0

# How long the kernel may take to have what is told before a load, of which this process may die.
_TELL_S = 5.0

_made: Any = tuple.__new__  # named tuples and messages without a call of their own


class StoreOwner(Server):
    """Loads a store when it has never been loaded, then carries out what is asked of it, in turn.

    Writes that wait at one time share a commit. Whoever dies leaves the tables as they are after its last commit, and
    the next owner goes on there: what was asked twice, since nobody knew, is carried out once.
    """

    def __init__(self, entry: StoreEntry) -> None:
        self._entry = entry
        self._user_load = UserLoad(entry)
        self._waiting: list[tuple[WriteTables, Caller | str]] = []  # an address of those that came by themselves

    def init(self) -> None:
        gateway = self.life.surroundings.gateway
        assert gateway is not None  # every system has one
        telemetry.attach("gateway", telemetry.STORE, lambda *event: self.post(gateway, EventNotes((event,))))
        try:
            self._writer = Writer(self._entry.location)
            if not self._writer.version:
                died = StoreLoadError(self._entry.name, "the owner's process died of it")
                self.post(gateway, StartFailure(died, self.life.name))
                self.drain(_TELL_S)
                with telemetry.span((*telemetry.STORE, "load"), {"store": self._entry.name}) as span:
                    span.metadata["version"] = self._load(None)
        except SlitherError as error:
            self.post(gateway, StartFailure(error))
            raise
        self._show_address()
        self._maintain()
        hub = self.life.transport.hub
        hub.wait = Spinning(hub.wait).wait  # who writes waits for the answer, and often comes again at once

    def handle_call(self, request: object, caller: Caller) -> object:
        if isinstance(request, WriteTables):
            self._take_write(request, caller)
            return LATER
        self._commit()
        if isinstance(request, ReloadTables):
            known = self._recall(request.writer, request.number)
            return self._replace(request) if known is None else known
        if isinstance(request, RecallOutcome):
            return self._recall(request.writer, request.number)
        return super().handle_call(request, caller)

    @handles(WriteTables)
    def _take_write(self, request: WriteTables, to: Caller | str) -> None:
        self._waiting.append((request, to))
        if len(self._waiting) == 1:
            self.life.behind_all(self._commit)

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        writes = []
        for write, _ in waiting:
            writes.append(_made(Once, (write.writer, write.number, from_plain(write.operation))))
        try:
            outcomes = self._writer.apply(writes)
        except StoreUnavailable as error:
            for write, to in waiting:
                self._answer_write(write, to, Outcome(None, 0, error))
            raise _Broken(str(error)) from error  # the next owner may fare better
        for (write, to), outcome in zip(waiting, outcomes, strict=True):
            self._answer_write(write, to, outcome)

    def _answer_write(self, write: WriteTables, to: Caller | str, outcome: Outcome) -> None:
        result, rows, error = outcome
        if not isinstance(to, str):
            self.reply(to, (result, rows), error)
        elif error is None and type(result) in NUMBERS:
            self.post(to, _made(Written, (write.number, result, rows)))
        else:
            self.reply(Caller(to, write.number), (result, rows), error)

    def _recall(self, writer: bytes, number: int) -> int | None:
        known: tuple[int, Outcome] | None = self._writer.recall(writer)
        return known[1].result if known is not None and known[0] == number else None

    def _replace(self, request: ReloadTables) -> int:
        once = (request.writer, request.number)
        if request.file:
            return self._writer.restore(Path(request.file), once)
        return self._load(once)

    def _load(self, once: tuple[bytes, int] | None) -> int:
        """Run the user's `load`; the new version."""
        return self._user_load.run(self._writer, once)

    def _show_address(self) -> None:
        link = os.path.join(self._entry.location.path, ADDRESS)
        new = f"{link}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)  # of an owner with this number that died here, as in a container they often have the same
        os.symlink(self.address, new)
        os.rename(new, link)

    def _maintain(self) -> None:
        self._writer.maintain()
        self.start_timer(_MAINTENANCE_S, self._maintain)

    def terminate(self, reason: ExitReason) -> None:
        self._commit()
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._entry.location.path, ADDRESS))
        self._writer.close()


class _Broken(Exception):
    """The environment is: the end of this process, and no answer to whoever is served just now."""
