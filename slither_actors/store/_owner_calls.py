"""Calls to the owner of a store, which may be dead: a write is carried out once, or its error says what is known."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any, NoReturn

from slither_actors._letter import opened
from slither_actors.errors import (
    NotDecodable,
    RunDirectoryError,
    StoreLoadError,
    StoreUnavailable,
    WriteInDoubt,
)
from slither_actors.otp.endpoint import HungUp
from slither_actors.otp.messages import Reply
from slither_actors.store._lines import WriteLine, WriteLines
from slither_actors.store._operations import Operation, as_plain
from slither_actors.store.messages import RecallOutcome, ReloadTables, WriteTables, Written
from slither_actors.transport.hub import Undecodable, Unread

# The link beside the tables that leads to the address of their owner.
ADDRESS = "address"

# How long a write waits for its owner, one that is being restarted or one that is busy, where nobody says otherwise.
WRITE_TIMEOUT_S = 30.0

_made: Any = tuple.__new__  # a message without a call of its own

# How often somebody looks whether the next owner is there; it has no way to say so.
_GLANCE_S = 0.005


class OwnerCalls:
    """Asks whoever owns the tables at `path` now.

    Args:
        name: the store's name, for errors.
        path: the directory of its tables.
        lines: of this process.
        timeout_s: how long a write may take, with the time in which there is no owner.
        reload_s: how long a reload or a restore may take.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        lines: WriteLines,
        timeout_s: float = WRITE_TIMEOUT_S,
        reload_s: float = math.inf,
    ) -> None:
        self.name = name
        self.path = path
        self.lines = lines
        self.timeout_s = timeout_s
        self.reload_s = reload_s
        self._link = os.path.join(path, ADDRESS)
        self._who = f"store {name}"
        self._known: str | None = None  # the address of the owner that answered last; none is ever used again

    def write(self, operation: Operation) -> tuple[Any, int]:
        """Have an operation carried out; its result, and the number of rows that were written.

        Raises:
            StoreUnavailable: the owner was not there in time; nothing was written.
            WriteInDoubt: it may have been carried out. Exception: why it was refused.
        """
        line = self._line()
        try:
            request = _made(WriteTables, (next(line.numbers), line.writer, as_plain(operation)))
            result: tuple[Any, int] = self._ask(line, request, self.timeout_s, again=True)
            return result
        finally:
            self.lines.give_back(line)

    def reload(self, file: str = "") -> int:
        """Have everything replaced; the new version.

        Raises:
            StoreLoadError: nothing was changed. StoreUnavailable: the owner was not there in time.
            WriteInDoubt: it was not done in time and may still be, or the owner was lost while it worked on this and
            the next one was not there in time.
        """
        line = self._line()
        try:
            request = ReloadTables(line.writer, next(line.numbers), file)
            version: int | None = self._ask(line, request, self.reload_s, again=False)
        finally:
            self.lines.give_back(line)
        if version is None:
            raise StoreLoadError(self.name, "the owner's process died of it", "restore" if file else "load")
        return version

    def _line(self) -> WriteLine:
        """A line, to be given back; refuses what has no hope from the beginning."""
        lines = self.lines
        if self._known is None:
            self._check_hope(math.inf, in_doubt=False)
            self._known = self._owner()  # which refuses its own process
        elif (refusal := lines.refusal()) is not None:
            raise refusal
        try:
            return lines.borrow()
        except RunDirectoryError:
            self._check_hope(math.inf, in_doubt=False)
            raise

    def _ask(self, line: WriteLine, request: Any, limit_s: float, *, again: bool) -> Any:
        """Ask until an owner answers; a new one is asked `again`, since it knows what was carried out, or only for what
        became of the request."""
        deadline = time.monotonic() + limit_s
        in_doubt = False
        absent_since: float | None = None
        while True:
            address = self._known or self._owner()
            if address is not None:
                answer = line.exchange(address, request, deadline - time.monotonic(), self._who)
                if isinstance(answer, Written):
                    self._known = address
                    return answer.result, answer.rows
                if isinstance(answer, Reply):
                    self._known = address
                    return self._open(answer)
                self._known = None
                if isinstance(answer, Unread | Undecodable):
                    raise NotDecodable(f"a write of store {self.name}", answer.error)
                if answer is None:
                    raise WriteInDoubt(self.name, f"its owner did not answer within {limit_s:g} s")
                if isinstance(answer, HungUp):
                    in_doubt, absent_since = True, None
                    request = request if again else RecallOutcome(request.writer, request.number)
            absent_since = absent_since or time.monotonic()
            self._check_hope(min(deadline, absent_since + self.timeout_s), in_doubt)
            time.sleep(_GLANCE_S)

    def _owner(self) -> str | None:
        try:
            address = os.readlink(self._link)
        except OSError:
            return None
        if os.path.basename(address).startswith(f"{os.getpid()}."):
            raise self._itself()
        return address

    def _itself(self) -> StoreUnavailable:
        return StoreUnavailable(self.name, "this is its owner's process, which cannot wait for itself: use `tables`")

    def _open(self, answer: Reply) -> Any:
        value, error = opened(answer.outcome, lambda: f"the answer of store {self.name}")
        if error is not None:
            raise error
        return value

    def _check_hope(self, deadline: float, in_doubt: bool) -> None:
        """Whether it is worth to wait for another owner."""
        refusal = self.lines.refusal()
        if refusal is None and not self.lines.directory.exists():
            refusal = StoreUnavailable(self.name, "its system is over")
        if refusal is None and deadline < math.inf and not os.path.isdir(self.path):
            refusal = StoreUnavailable(self.name, f"the folder of its tables is gone: {self.path}")
        if refusal is None and time.monotonic() > deadline:
            refusal = StoreUnavailable(self.name, f"no owner came up within {self.timeout_s:g} s")
        if refusal is None:
            return
        if in_doubt:
            raise WriteInDoubt(self.name, str(refusal)) from refusal
        raise refusal


class OwnersOwn(OwnerCalls):
    """What `load` has: refused at once, also before the owner has an address, and in what `load` forks."""

    def _line(self) -> NoReturn:
        raise self._itself()


__all__ = ["ADDRESS", "WRITE_TIMEOUT_S", "OwnerCalls", "OwnersOwn"]
